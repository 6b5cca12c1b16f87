package millstream.peers.works;

import java.time.Duration;
import java.util.Set;
import millstream.peers.Course;
import millstream.peers.Options;
import millstream.peers.Report;
import millstream.peers.Settings;
import millstream.peers.made.MadeSource;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.functions.FlatMapFunction;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.DataStreamUtils;
import org.apache.flink.streaming.api.datastream.KeyedStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.windowing.WindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;

/** The works in Flink, one run at a time: prints one line of JSON. */
public final class Works {
    private static final Set<String> OPTIONS =
            Set.of("work", "keys", "shards", "events", "warm-up", "exchange", "checkpoint-interval", "dir");
    private static final Duration WINDOW = Duration.ofSeconds(1);
    private static final Duration OUT_OF_ORDER = Duration.ofMillis(100);

    private Works() {}

    public static void main(String[] arguments) throws Exception {
        Options options = new Options(arguments, OPTIONS);
        String work = options.text("work");
        boolean many = work.equals("passthrough") || work.equals("keyed");
        long keys = options.number("keys", many ? 1_000_000 : 10_000);
        int shards = (int) options.number("shards", 1);
        long events = options.number("events", 20_000_000);
        long warmUp = options.number("warm-up", 0);
        boolean exchange = options.flag("exchange", true);
        long intervalMs = options.interval("checkpoint-interval");

        StreamExecutionEnvironment environment = Settings.environment(shards, intervalMs, options);
        build(environment, work, keys, warmUp + events, exchange);
        Course course = Course.start(warmUp, events);
        environment.execute(work);
        Report report = new Report()
                .text("system", "flink")
                .text("version", Settings.version())
                .text("guarantee", intervalMs > 0 ? "exactly once" : "none")
                .text("settings", "object reuse, serializer by hand, state in hash maps on the heap, 64 records a poll; "
                        + Report.machine())
                .text("work", work)
                .number("keys", keys)
                .number("shards", shards)
                .flag("exchange", exchange)
                .number("warm_up", warmUp)
                .course(course.end())
                .number("results", Results.count())
                .text("checksum", String.format("%016x", Results.sum()));
        if (intervalMs > 0) {
            report.number("checkpoint_interval_ms", intervalMs);
        }
        System.out.println(report);
        System.exit(0);
    }

    private static void build(
            StreamExecutionEnvironment environment, String work, long keys, long records, boolean exchange) {
        switch (work) {
            case "passthrough" -> bids(environment, keys, records, WatermarkStrategy.noWatermarks())
                    .map(new Discount())
                    .returns(new BidSerializer.Information())
                    .sinkTo(new Results.CollectSink<>(bid -> bid.price));
            case "wordcount" -> {
                DataStream<String> words = environment
                        .fromSource(
                                new MadeSource<>(new Lines(keys), records), WatermarkStrategy.noWatermarks(), "lines")
                        .flatMap(new Split());
                KeySelector<String, String> itself = word -> word;
                (exchange
                                ? words.keyBy(itself, Types.STRING)
                                : DataStreamUtils.reinterpretAsKeyedStream(words, itself, Types.STRING))
                        .process(new CountWords())
                        .sinkTo(new Results.CollectSink<>(counted -> counted.key * counted.count));
            }
            case "keyed" -> byAuction(bids(environment, keys, records, WatermarkStrategy.noWatermarks()), exchange)
                    .process(new Count())
                    .sinkTo(new Results.CollectSink<>(counted -> (counted.key + 1) * counted.count));
            case "window" -> byAuction(
                            bids(environment, keys, records,
                                    WatermarkStrategy.forBoundedOutOfOrderness(OUT_OF_ORDER)),
                            exchange)
                    .window(TumblingEventTimeWindows.of(WINDOW))
                    .aggregate(new CountAll(), new OfWindow())
                    .sinkTo(new Results.CollectSink<>(
                            counted -> (counted.key + 1) * counted.count + counted.startMs));
            default -> throw new IllegalArgumentException(
                    "--work " + work + ": no such work; there are passthrough, wordcount, keyed, window");
        }
    }

    private static DataStream<Bid> bids(
            StreamExecutionEnvironment environment, long keys, long records, WatermarkStrategy<Bid> watermarks) {
        return environment.fromSource(new MadeSource<>(new Bids(keys), records), watermarks, "bids");
    }

    private static KeyedStream<Bid, Long> byAuction(DataStream<Bid> bids, boolean exchange) {
        KeySelector<Bid, Long> auction = bid -> bid.auction;
        return exchange
                ? bids.keyBy(auction, Types.LONG)
                : DataStreamUtils.reinterpretAsKeyedStream(bids, auction, Types.LONG);
    }

    /** Changes the price in place: nobody else holds the bid. */
    public static final class Discount implements MapFunction<Bid, Bid> {
        @Override
        public Bid map(Bid bid) {
            bid.price = (long) (bid.price * 0.908);
            return bid;
        }
    }

    /** A line's words. */
    public static final class Split implements FlatMapFunction<String, String> {
        @Override
        public void flatMap(String line, Collector<String> words) {
            int from = 0;
            for (int space = line.indexOf(' '); space >= 0; space = line.indexOf(' ', from)) {
                words.collect(line.substring(from, space));
                from = space + 1;
            }
            words.collect(line.substring(from));
        }
    }

    /** The running count of each bid's auction. */
    public static final class Count extends KeyedProcessFunction<Long, Bid, Counted> {
        private transient ValueState<Long> state;
        private transient Counted counted;

        @Override
        public void open(OpenContext context) {
            state = getRuntimeContext().getState(new ValueStateDescriptor<>("count", Types.LONG));
            counted = new Counted();
        }

        @Override
        public void processElement(Bid bid, Context context, Collector<Counted> out) throws Exception {
            Long before = state.value();
            counted.count = before == null ? 1 : before + 1;
            counted.key = bid.auction;
            state.update(counted.count);
            out.collect(counted);
        }
    }

    /** The running count of each word, with the word's hash as the key. */
    public static final class CountWords extends KeyedProcessFunction<String, String, Counted> {
        private transient ValueState<Long> state;
        private transient Counted counted;

        @Override
        public void open(OpenContext context) {
            state = getRuntimeContext().getState(new ValueStateDescriptor<>("count", Types.LONG));
            counted = new Counted();
        }

        @Override
        public void processElement(String word, Context context, Collector<Counted> out) throws Exception {
            Long before = state.value();
            counted.count = before == null ? 1 : before + 1;
            counted.key = word.hashCode();
            state.update(counted.count);
            out.collect(counted);
        }
    }

    /** How many bids a window has. */
    public static final class CountAll implements AggregateFunction<Bid, long[], Long> {
        @Override
        public long[] createAccumulator() {
            return new long[1];
        }

        @Override
        public long[] add(Bid bid, long[] count) {
            count[0]++;
            return count;
        }

        @Override
        public Long getResult(long[] count) {
            return count[0];
        }

        @Override
        public long[] merge(long[] one, long[] other) {
            one[0] += other[0];
            return one;
        }
    }

    /** Says of which window a count is. */
    public static final class OfWindow implements WindowFunction<Long, Counted, Long, TimeWindow> {
        private transient Counted counted;

        @Override
        public void apply(Long key, TimeWindow window, Iterable<Long> counts, Collector<Counted> out) {
            if (counted == null) {
                counted = new Counted();
            }
            counted.key = key;
            counted.startMs = window.getStart();
            counted.count = counts.iterator().next();
            out.collect(counted);
        }
    }
}
