package millstream.peers.nexmark;

import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.TimestampData;

/** One event: event_type, person, auction, bid, dateTime. Of the three rows in it there is one. */
final class EventRow extends MadeRow {
    static final int PERSON = 0;
    static final int AUCTION = 1;
    static final int BID = 2;

    private static final int FIELDS = 5;

    private final PersonRow person = new PersonRow();
    private final AuctionRow auction = new AuctionRow();
    private final BidRow bid = new BidRow();
    private int type;
    private long dateTime;

    /** Becomes the event that comes after so many. */
    void fill(Clock clock, long eventsSoFar) {
        long number = clock.number(eventsSoFar);
        dateTime = clock.time(number);
        long at = number % Clock.CYCLE;
        if (at < Clock.PERSONS) {
            type = PERSON;
            person.fill(number, dateTime);
        } else if (at < Clock.PERSONS + Clock.AUCTIONS) {
            type = AUCTION;
            auction.fill(clock, number, dateTime);
        } else {
            type = BID;
            bid.fill(number, dateTime);
        }
    }

    /** The row of the event itself. */
    RowData itself() {
        return type == PERSON ? person : type == AUCTION ? auction : bid;
    }

    int type() {
        return type;
    }

    @Override
    public int getArity() {
        return FIELDS;
    }

    @Override
    public boolean isNullAt(int field) {
        return field > 0 && field < FIELDS - 1 && field - 1 != type;
    }

    @Override
    public int getInt(int field) {
        return type;
    }

    @Override
    public TimestampData getTimestamp(int field, int precision) {
        return TimestampData.fromEpochMillis(dateTime);
    }

    @Override
    public RowData getRow(int field, int fields) {
        return field == 1 ? person : field == 2 ? auction : bid;
    }
}
