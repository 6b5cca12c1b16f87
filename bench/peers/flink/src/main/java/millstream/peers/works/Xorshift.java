package millstream.peers.works;

/** Marsaglia's xorshift of 64 bits (13, 7, 17). */
final class Xorshift {
    private long state;

    Xorshift(int partition) {
        state = 0x9E3779B97F4A7C15L * (partition + 1);
    }

    long next() {
        long x = state;
        x ^= x << 13;
        x ^= x >>> 7;
        x ^= x << 17;
        state = x;
        return x;
    }

    long state() {
        return state;
    }

    void goTo(long kept) {
        state = kept;
    }

    /** A number below {@code bound}, uniform, of the lower 63 bits. */
    static long below(long bound, long random) {
        return Math.multiplyHigh(random & Long.MAX_VALUE, bound << 1);
    }
}
