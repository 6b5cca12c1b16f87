package millstream.peers.nexmark;

import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.data.binary.BinaryStringData;

/** Someone offers so much for something: auction, bidder, price, channel, url, dateTime, extra. */
final class BidRow extends MadeRow {
    private static final int FIELDS = 7;
    private static final int CHANNEL = 3;
    private static final int URL = 4;
    private static final int SIZE = 100;
    private static final int SIZE_OF_NUMBERS = 4 * 8;
    private static final int AUCTIONS_AHEAD = 10;
    /** A price takes two numbers. */
    private static final int NUMBERS_PER_PRICE = 2;

    private final Lcg random = new Lcg();
    private long number;
    private long dateTime;
    private boolean idsDrawn;
    private long auction;
    private long bidder;
    private long beforePrice;

    void fill(long number, long dateTime) {
        this.number = number;
        this.dateTime = dateTime;
        idsDrawn = false;
    }

    private void drawIds() {
        random.seed(number);
        long lastAuction = Clock.lastAuction(number);
        if (random.nextInt(Clock.HOT_AUCTION_RATIO) > 0) {
            auction = lastAuction / Draw.HOT_EVERY * Draw.HOT_EVERY;
        } else {
            long first = Math.max(lastAuction - Clock.IN_FLIGHT_AUCTIONS, 0);
            auction = first + random.nextBelow(lastAuction - first + 1 + AUCTIONS_AHEAD);
        }
        auction += Draw.FIRST_AUCTION;
        // The second one: hot sellers are the first ones.
        bidder = Draw.FIRST_PERSON
                + (random.nextInt(Clock.HOT_BIDDER_RATIO) > 0
                        ? Clock.lastPerson(number) / Draw.HOT_EVERY * Draw.HOT_EVERY + 1
                        : Clock.activePerson(number, random));
        beforePrice = random.state();
        idsDrawn = true;
    }

    /** Goes to where the length of the text is drawn. */
    private int extraLength() {
        if (!idsDrawn) {
            drawIds();
        }
        random.goTo(beforePrice).skip(NUMBERS_PER_PRICE);
        return Draw.extraLength(random, SIZE_OF_NUMBERS, SIZE);
    }

    private int channel() {
        Draw.skipExtra(random, extraLength());
        return Channels.draw(random);
    }

    @Override
    public int getArity() {
        return FIELDS;
    }

    @Override
    public long getLong(int field) {
        if (!idsDrawn) {
            drawIds();
        }
        return switch (field) {
            case 0 -> auction;
            case 1 -> bidder;
            default -> Draw.price(random.goTo(beforePrice));
        };
    }

    @Override
    public TimestampData getTimestamp(int field, int precision) {
        return TimestampData.fromEpochMillis(dateTime);
    }

    @Override
    public StringData getString(int field) {
        return switch (field) {
            case CHANNEL -> Channels.NAMES[channel()];
            case URL -> Channels.URLS[channel()];
            default -> {
                int length = extraLength();
                yield BinaryStringData.fromBytes(Draw.extra(random, length));
            }
        };
    }
}
