package millstream.peers.nexmark;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** What came out of a query. One process runs one query. */
final class Rows {
    private static final long FNV_BASIS = 0xCBF29CE484222325L;
    private static final long FNV_PRIME = 0x100000001B3L;

    private static long count;
    private static long sum;
    private static final Map<String, Integer> KEPT = new TreeMap<>();

    private Rows() {}

    static synchronized void add(long moreCount, long moreSum) {
        count += moreCount;
        sum += moreSum;
    }

    /** Adds a row to the table that is kept, or takes one away. */
    static synchronized void change(String row, int by) {
        KEPT.merge(row, by, (before, more) -> before + more == 0 ? null : before + more);
    }

    static synchronized long count() {
        return count;
    }

    static synchronized long sum() {
        return sum;
    }

    /** The table's rows in order, each as often as it is there. */
    static synchronized List<String> kept() {
        List<String> rows = new ArrayList<>();
        KEPT.forEach((row, times) -> {
            if (times < 0) {
                throw new IllegalStateException("taken away more often than given: " + row);
            }
            for (int time = 0; time < times; time++) {
                rows.add(row);
            }
        });
        return rows;
    }

    /** Fowler, Noll and Vo, variant 1a. */
    static long hash(String row) {
        long hash = FNV_BASIS;
        for (byte one : row.getBytes(StandardCharsets.UTF_8)) {
            hash = (hash ^ (one & 0xFF)) * FNV_PRIME;
        }
        return hash;
    }
}
