package millstream.peers.works;

/** How many times a key was seen, of a window or so far. */
public final class Counted {
    public long key;
    public long startMs;
    public long count;
}
