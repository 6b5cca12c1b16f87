package millstream.peers.nexmark;

import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.data.binary.BinaryStringData;

/** Someone who sells and bids: id, name, emailAddress, creditCard, city, state, dateTime, extra. */
final class PersonRow extends MadeRow {
    private static final int FIELDS = 8;
    private static final int EXTRA = 7;
    private static final int SIZE = 200;
    private static final int SIZE_OF_NUMBERS = 8;

    private static final String[] STATES = {"AZ", "CA", "ID", "OR", "WA", "WY"};
    private static final String[] CITIES = {
        "Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne"
    };
    private static final String[] FIRST_NAMES = {
        "Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"
    };
    private static final String[] LAST_NAMES = {
        "Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"
    };

    private final Lcg random = new Lcg();
    private final StringData[] texts = new StringData[FIELDS];
    private long number;
    private long dateTime;
    private boolean drawn;

    void fill(long number, long dateTime) {
        this.number = number;
        this.dateTime = dateTime;
        drawn = false;
    }

    private static String oneOf(String[] choices, Lcg random) {
        return choices[random.nextInt(choices.length)];
    }

    private void draw() {
        random.seed(number);
        String name = oneOf(FIRST_NAMES, random) + " " + oneOf(LAST_NAMES, random);
        String email = Draw.word(random, 7, ' ') + "@" + Draw.word(random, 5, ' ') + ".com";
        StringBuilder card = new StringBuilder(19);
        for (int group = 0; group < 4; group++) {
            int digits = random.nextInt(10_000);
            if (group > 0) {
                card.append(' ');
            }
            card.append((char) ('0' + digits / 1000)).append((char) ('0' + digits / 100 % 10));
            card.append((char) ('0' + digits / 10 % 10)).append((char) ('0' + digits % 10));
        }
        String city = oneOf(CITIES, random);
        String state = oneOf(STATES, random);
        int size = SIZE_OF_NUMBERS + name.length() + email.length() + card.length() + city.length() + state.length();
        texts[1] = StringData.fromString(name);
        texts[2] = StringData.fromString(email);
        texts[3] = StringData.fromString(card.toString());
        texts[4] = StringData.fromString(city);
        texts[5] = StringData.fromString(state);
        texts[EXTRA] = BinaryStringData.fromBytes(Draw.extra(random, Draw.extraLength(random, size, SIZE)));
        drawn = true;
    }

    @Override
    public int getArity() {
        return FIELDS;
    }

    @Override
    public long getLong(int field) {
        return Clock.lastPerson(number) + Draw.FIRST_PERSON;
    }

    @Override
    public TimestampData getTimestamp(int field, int precision) {
        return TimestampData.fromEpochMillis(dateTime);
    }

    @Override
    public StringData getString(int field) {
        if (!drawn) {
            draw();
        }
        return texts[field];
    }
}
