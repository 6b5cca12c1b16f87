package millstream.peers.works;

import java.io.Serializable;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;

/** How many results there were, and a sum over all of them, which wraps around. One process runs one job. */
final class Results {
    private static long count;
    private static long sum;

    private Results() {}

    static synchronized void add(long moreCount, long moreSum) {
        count += moreCount;
        sum += moreSum;
    }

    static synchronized long count() {
        return count;
    }

    static synchronized long sum() {
        return sum;
    }

    /** What a result adds to the sum. */
    interface Value<T> extends Serializable {
        long of(T result);
    }

    /** Adds up all results. */
    record CollectSink<T>(Value<T> value) implements Sink<T> {
        @Override
        public SinkWriter<T> createWriter(WriterInitContext context) {
            Value<T> value = this.value;
            return new SinkWriter<>() {
                private long count;
                private long sum;

                @Override
                public void write(T result, Context context) {
                    count++;
                    sum += value.of(result);
                }

                @Override
                public void flush(boolean endOfInput) {}

                @Override
                public void close() {
                    add(count, sum);
                }
            };
        }
    }
}
