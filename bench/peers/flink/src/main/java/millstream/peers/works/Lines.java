package millstream.peers.works;

import java.nio.charset.StandardCharsets;
import millstream.peers.made.Sequence;
import millstream.peers.made.Sequences;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.connector.source.ReaderOutput;

/** Lines of eight words of a vocabulary, with one space between them. */
record Lines(long words) implements Sequences<String> {
    private static final int WORDS_PER_LINE = 8;
    private static final int LETTERS = 26;
    /** The least number that has four letters. */
    private static final long FOUR_LETTERS = LETTERS * LETTERS * LETTERS;
    /** More letters than a number has. */
    private static final int LETTERS_MAX = 14;

    @Override
    public Sequence<String> open(int partition, int partitions) {
        return new OfPartition(words, partition);
    }

    @Override
    public TypeInformation<String> type() {
        return Types.STRING;
    }

    /** A number in letters, the highest first. */
    private static byte[] word(long number) {
        StringBuilder letters = new StringBuilder();
        for (long left = number + FOUR_LETTERS; left > 0; left /= LETTERS) {
            letters.append((char) ('a' + left % LETTERS));
        }
        return letters.reverse().toString().getBytes(StandardCharsets.ISO_8859_1);
    }

    private static final class OfPartition implements Sequence<String> {
        private final byte[][] vocabulary;
        private final Xorshift random;
        private final byte[] line = new byte[WORDS_PER_LINE * (LETTERS_MAX + 1)];

        OfPartition(long words, int partition) {
            vocabulary = new byte[Math.toIntExact(words)][];
            for (int at = 0; at < vocabulary.length; at++) {
                vocabulary[at] = word(at);
            }
            random = new Xorshift(partition);
        }

        @Override
        public void emit(ReaderOutput<String> out) {
            int end = 0;
            for (int at = 0; at < WORDS_PER_LINE; at++) {
                if (at > 0) {
                    line[end++] = ' ';
                }
                byte[] word = vocabulary[(int) Xorshift.below(vocabulary.length, random.next())];
                System.arraycopy(word, 0, line, end, word.length);
                end += word.length;
            }
            out.collect(new String(line, 0, end, StandardCharsets.ISO_8859_1));
        }

        @Override
        public long state() {
            return random.state();
        }

        @Override
        public void goTo(long made, long state) {
            random.goTo(state);
        }
    }
}
