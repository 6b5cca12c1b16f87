package millstream.peers.nexmark;

import java.nio.charset.StandardCharsets;

/** What people, auctions and bids draw alike. */
final class Draw {
    static final long FIRST_PERSON = 1000;
    static final long FIRST_AUCTION = 1000;
    static final long FIRST_CATEGORY = 10;
    /** Of so many auctions, or people, that follow each other one is hot. */
    static final int HOT_EVERY = 100;

    private static final int WORD_MIN = 3;
    private static final int LETTERS_PER_NUMBER = 6;
    private static final int ALPHABET = 26;

    private Draw() {}

    /** In cents, from 1 to 1,000,000 dollars: as many below 10 as from 10 to 100. */
    static long price(Lcg random) {
        return Math.round(Math.pow(10.0, random.nextDouble() * 6.0) * 100.0);
    }

    /** A word of less than so many letters; spaces at its ends are cut off. */
    static String word(Lcg random, int lengthMax, char special) {
        int length = WORD_MIN + random.nextInt(lengthMax - WORD_MIN);
        byte[] letters = new byte[length];
        for (int at = 0; at < length; at++) {
            letters[at] = (byte) (random.nextInt(13) == 0 ? special : 'a' + random.nextInt(ALPHABET));
        }
        return new String(letters, StandardCharsets.ISO_8859_1).trim();
    }

    /** How long a text is to be, so that it and what there is come to {@code size} on average, give or take a fifth. */
    static int extraLength(Lcg random, int sizeSoFar, int size) {
        if (sizeSoFar > size) {
            return 0;
        }
        int desired = size - sizeSoFar;
        int delta = (int) Math.round(desired * 0.2);
        return desired - delta + (delta == 0 ? 0 : random.nextInt(2 * delta));
    }

    /** Text without meaning. */
    static byte[] extra(Lcg random, int length) {
        byte[] letters = new byte[length];
        int number = 0;
        for (int at = 0; at < length; at++) {
            if (at % LETTERS_PER_NUMBER == 0) {
                number = random.nextInt();
            }
            // A negative number gives letters before a.
            letters[at] = (byte) ('a' + number % ALPHABET);
            number /= ALPHABET;
        }
        return letters;
    }

    /** Passes over a text of this length. */
    static void skipExtra(Lcg random, int length) {
        random.skip((length + LETTERS_PER_NUMBER - 1) / LETTERS_PER_NUMBER);
    }
}
