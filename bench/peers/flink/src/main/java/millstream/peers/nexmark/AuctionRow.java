package millstream.peers.nexmark;

import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.data.binary.BinaryStringData;

/** Something is for sale: id, itemName, description, initialBid, reserve, dateTime, expires, seller, category, extra. */
final class AuctionRow extends MadeRow {
    private static final int FIELDS = 10;
    private static final int SIZE = 500;
    private static final int SIZE_OF_NUMBERS = 6 * 8;
    private static final int CATEGORIES = 5;

    private final Lcg random = new Lcg();
    private Clock clock;
    private long number;
    private long dateTime;
    private boolean numbersDrawn;
    private long seller;
    private long category;
    private long initialBid;
    private long expires;
    private boolean textsDrawn;
    private StringData itemName;
    private StringData description;
    private long reserve;
    private StringData extra;

    void fill(Clock clock, long number, long dateTime) {
        this.clock = clock;
        this.number = number;
        this.dateTime = dateTime;
        numbersDrawn = false;
        textsDrawn = false;
    }

    private void drawNumbers() {
        random.seed(number);
        seller = Draw.FIRST_PERSON
                + (random.nextInt(Clock.HOT_SELLER_RATIO) > 0
                        ? Clock.lastPerson(number) / Draw.HOT_EVERY * Draw.HOT_EVERY
                        : Clock.activePerson(number, random));
        category = Draw.FIRST_CATEGORY + random.nextInt(CATEGORIES);
        initialBid = Draw.price(random);
        // As long as it takes, on average, until so many others have come.
        long ahead = (long) Clock.IN_FLIGHT_AUCTIONS * Clock.CYCLE / Clock.AUCTIONS;
        long horizon = clock.time(number + ahead) - dateTime;
        expires = dateTime + 1 + random.nextBelow(Math.max(horizon * 2, 1));
        numbersDrawn = true;
    }

    private void drawTexts() {
        if (!numbersDrawn) {
            drawNumbers();
        }
        String name = Draw.word(random, 20, ' ');
        String about = Draw.word(random, 100, ' ');
        reserve = initialBid + Draw.price(random);
        int size = SIZE_OF_NUMBERS + name.length() + about.length();
        itemName = StringData.fromString(name);
        description = StringData.fromString(about);
        extra = BinaryStringData.fromBytes(Draw.extra(random, Draw.extraLength(random, size, SIZE)));
        textsDrawn = true;
    }

    @Override
    public int getArity() {
        return FIELDS;
    }

    @Override
    public long getLong(int field) {
        if (field == 0) {
            return Clock.lastAuction(number) + Draw.FIRST_AUCTION;
        }
        if (field == 4) {
            if (!textsDrawn) {
                drawTexts();
            }
            return reserve;
        }
        if (!numbersDrawn) {
            drawNumbers();
        }
        return field == 3 ? initialBid : field == 7 ? seller : category;
    }

    @Override
    public TimestampData getTimestamp(int field, int precision) {
        if (field == 6 && !numbersDrawn) {
            drawNumbers();
        }
        return TimestampData.fromEpochMillis(field == 6 ? expires : dateTime);
    }

    @Override
    public StringData getString(int field) {
        if (!textsDrawn) {
            drawTexts();
        }
        return field == 1 ? itemName : field == 2 ? description : extra;
    }
}
