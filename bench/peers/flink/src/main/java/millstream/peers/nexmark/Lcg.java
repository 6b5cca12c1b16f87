package millstream.peers.nexmark;

/** Gives the numbers of {@link java.util.Random} for the same seed, without what makes that one safe for several threads. */
final class Lcg {
    private static final long MULTIPLIER = 0x5DEECE66DL;
    private static final long ADDEND = 0xBL;
    private static final long MASK = (1L << 48) - 1;
    private static final int STEPS_MAX = 256;
    /** What so many steps come to: a multiplier and an addend. */
    private static final long[] MULTIPLIERS = new long[STEPS_MAX];
    private static final long[] ADDENDS = new long[STEPS_MAX];

    static {
        MULTIPLIERS[0] = 1;
        for (int steps = 1; steps < STEPS_MAX; steps++) {
            MULTIPLIERS[steps] = MULTIPLIERS[steps - 1] * MULTIPLIER & MASK;
            ADDENDS[steps] = ADDENDS[steps - 1] * MULTIPLIER + ADDEND & MASK;
        }
    }

    private long state;

    /** Begins as a new one with this seed. */
    Lcg seed(long seed) {
        state = (seed ^ MULTIPLIER) & MASK;
        return this;
    }

    /** Goes on where another one was. */
    Lcg goTo(long kept) {
        state = kept;
        return this;
    }

    long state() {
        return state;
    }

    private int bits(int bits) {
        state = state * MULTIPLIER + ADDEND & MASK;
        return (int) (state >>> (48 - bits));
    }

    int nextInt() {
        return bits(32);
    }

    int nextInt(int bound) {
        int drawn = bits(31);
        if ((bound & -bound) == bound) {
            return (int) ((bound * (long) drawn) >> 31);
        }
        int value = drawn % bound;
        // The last stretch of numbers is not as long as the bound, and is not used.
        while (drawn - value + (bound - 1) < 0) {
            drawn = bits(31);
            value = drawn % bound;
        }
        return value;
    }

    /** Below a bound that need not fit an int. */
    long nextBelow(long bound) {
        return bound < Integer.MAX_VALUE ? nextInt((int) bound) : Math.abs(nextLong() % bound);
    }

    long nextLong() {
        return ((long) bits(32) << 32) + bits(32);
    }

    double nextDouble() {
        return (((long) bits(26) << 27) + bits(27)) * 0x1.0p-53;
    }

    /** Passes over so many numbers of {@link #nextInt()}. */
    void skip(int numbers) {
        for (int left = numbers; left > 0; left -= STEPS_MAX - 1) {
            int steps = Math.min(left, STEPS_MAX - 1);
            state = state * MULTIPLIERS[steps] + ADDENDS[steps] & MASK;
        }
    }
}
