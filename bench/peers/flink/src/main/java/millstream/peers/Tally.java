package millstream.peers;

import java.util.concurrent.atomic.AtomicLongArray;

/** How many records each partition of the source has given. One process runs one job, so that there is one tally. */
public final class Tally {
    /** As many numbers as take up two cache lines. */
    private static final int APART = 16;
    private static final int PARTITIONS_MAX = 256;
    private static final AtomicLongArray GIVEN = new AtomicLongArray(APART * PARTITIONS_MAX);

    private Tally() {}

    /** Called by the partition's thread only. */
    public static void set(int partition, long given) {
        GIVEN.lazySet(partition * APART, given);
    }

    public static long total() {
        long total = 0;
        for (int partition = 0; partition < PARTITIONS_MAX; partition++) {
            total += GIVEN.get(partition * APART);
        }
        return total;
    }
}
