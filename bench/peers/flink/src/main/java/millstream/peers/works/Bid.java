package millstream.peers.works;

/** A bid in an auction. */
public final class Bid {
    public long auction;
    public long bidder;
    public long price;
    public int channel;
    /** Event time in milliseconds. */
    public long dateTime;
}
