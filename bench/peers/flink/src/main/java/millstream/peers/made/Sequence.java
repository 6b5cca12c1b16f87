package millstream.peers.made;

import org.apache.flink.api.connector.source.ReaderOutput;

/** The records of one partition, one after the other, without end: whoever reads them counts. */
public interface Sequence<T> {
    /** Gives the next record. The object may be the one given before. */
    void emit(ReaderOutput<T> out);

    /** What the next record follows from, besides how many were made. */
    long state();

    /** Goes on from a position. */
    void goTo(long made, long state);
}
