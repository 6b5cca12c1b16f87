package millstream.peers.nexmark;

import java.io.BufferedWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import millstream.peers.Course;
import millstream.peers.Options;
import millstream.peers.Report;
import millstream.peers.Tally;
import org.apache.flink.table.data.RowData;

/** The generator alone, without Flink: how fast it is, or what it makes. Prints one line of JSON. */
public final class Generator {
    private static final Set<String> OPTIONS =
            Set.of("events", "warm-up", "shards", "rate", "out-of-order-group", "draw", "write");
    private static final int TURN = 1024;

    private Generator() {}

    public static void main(String[] arguments) throws Exception {
        Options options = new Options(arguments, OPTIONS);
        Clock clock = new Clock(options.number("rate", 10_000), options.number("out-of-order-group", 1));
        long events = options.number("events", 10_000_000);
        long warmUp = options.number("warm-up", 0);
        int shards = (int) options.number("shards", 1);
        String draw = options.text("draw", "numbers");
        if (!Set.of("numbers", "all").contains(draw)) {
            throw new IllegalArgumentException("--draw " + draw + ": it is numbers or all");
        }
        if (!options.text("write", "").isEmpty()) {
            write(clock, events, Path.of(options.text("write")));
            return;
        }
        Course course = Course.start(warmUp, events);
        AtomicLong sum = new AtomicLong();
        List<Thread> threads = new ArrayList<>();
        for (int shard = 0; shard < shards; shard++) {
            int first = shard;
            Thread thread = new Thread(
                    () -> sum.addAndGet(drawn(clock, first, shards, warmUp + events, draw.equals("all"))));
            thread.start();
            threads.add(thread);
        }
        for (Thread thread : threads) {
            thread.join();
        }
        System.out.println(new Report()
                .text("system", "flink")
                .text("settings", "the generator alone, " + draw + " drawn; " + Report.machine())
                .text("work", "generator")
                .number("shards", shards)
                .number("warm_up", warmUp)
                .course(course.end())
                .text("checksum", String.format("%016x", sum.get())));
    }

    /** Draws the events of a shard, and adds up what is in them. */
    private static long drawn(Clock clock, int first, int stride, long events, boolean all) {
        EventRow event = new EventRow();
        long sum = 0;
        long made = 0;
        for (long at = first; at < events; at += stride) {
            event.fill(clock, at);
            RowData row = event.itself();
            sum += event.getTimestamp(4, 3).getMillisecond();
            switch (event.type()) {
                case EventRow.PERSON -> {
                    sum += row.getLong(0);
                    sum += all ? row.getString(7).toBytes().length : 0;
                }
                case EventRow.AUCTION -> {
                    sum += row.getLong(0) + row.getLong(3) + row.getLong(7) + row.getLong(8);
                    sum += row.getTimestamp(6, 3).getMillisecond();
                    sum += all ? row.getLong(4) + row.getString(9).toBytes().length : 0;
                }
                default -> {
                    sum += row.getLong(0) + row.getLong(1) + row.getLong(2);
                    sum += all ? row.getString(6).toBytes().length : 0;
                }
            }
            made++;
            if (made % TURN == 0) {
                Tally.set(first, made);
            }
        }
        Tally.set(first, made);
        return sum;
    }

    /** Writes events as text, one a line: fields with commas between them. */
    private static void write(Clock clock, long events, Path path) throws Exception {
        EventRow event = new EventRow();
        try (BufferedWriter out = Files.newBufferedWriter(path)) {
            for (long at = 0; at < events; at++) {
                event.fill(clock, at);
                out.write(event.type() + "," + Schema.TEXTS.get(event.type()).of(event.itself()));
                out.newLine();
            }
        }
    }
}
