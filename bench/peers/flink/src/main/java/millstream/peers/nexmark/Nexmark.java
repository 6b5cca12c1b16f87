package millstream.peers.nexmark;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import millstream.peers.Course;
import millstream.peers.Options;
import millstream.peers.Report;
import millstream.peers.Settings;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.Table;
import org.apache.flink.table.api.TableDescriptor;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;

/** One query of Nexmark in Flink, given as the text of one SELECT: prints one line of JSON. */
public final class Nexmark {
    private static final Set<String> OPTIONS = Set.of(
            "sql", "events", "warm-up", "shards", "rate", "out-of-order-group", "mode", "rows", "files",
            "checkpoint-interval", "dir");

    private Nexmark() {}

    public static void main(String[] arguments) throws Exception {
        Options options = new Options(arguments, OPTIONS);
        Path sql = Path.of(options.text("sql"));
        int shards = (int) options.number("shards", 1);
        long events = options.number("events", 10_000_000);
        long warmUp = options.number("warm-up", 0);
        long intervalMs = options.interval("checkpoint-interval");
        RowTables.Mode mode = options.text("rows", "").isEmpty()
                ? RowTables.Mode.valueOf(options.text("mode", "count").toUpperCase(java.util.Locale.ROOT))
                : RowTables.Mode.KEEP;

        StreamExecutionEnvironment environment = Settings.environment(shards, intervalMs, options);
        StreamTableEnvironment tables = StreamTableEnvironment.create(environment);
        settings(tables);
        tables.createTemporarySystemFunction("count_char", CountChar.class);
        for (String statement : Schema.statements(
                warmUp + events, options.number("rate", 10_000), options.number("out-of-order-group", 1))) {
            tables.executeSql(statement);
        }
        Table query = tables.sqlQuery(Files.readString(sql).strip().replaceAll(";$", ""));
        String files = options.text("files", "");
        Path into = files.isEmpty() ? null : Files.createTempDirectory(Path.of(files), "nexmark-flink-");
        TableDescriptor rows = into == null
                ? TableDescriptor.forConnector("rows").option("mode", mode.name()).build()
                : TableDescriptor.forConnector("filesystem").option("path", into.toUri().toString()).format("csv").build();
        Course course = Course.start(warmUp, events);
        query.executeInsert(rows).await();
        Report report = new Report()
                .text("system", "flink")
                .text("version", Settings.version())
                .text("guarantee", intervalMs > 0 ? "exactly once" : "none")
                .text("settings", "object reuse, mini-batches of 50,000 or 2 s, two-phase aggregation, distinct"
                        + " aggregates split, state in hash maps on the heap, fields drawn when asked for; "
                        + Report.machine())
                .text("query", sql.getFileName().toString().replaceAll("\\.sql$", ""))
                .number("shards", shards)
                .number("warm_up", warmUp)
                .course(course.end());
        if (into == null) {
            report.number("rows", Rows.count());
        } else {
            report.number("file_bytes", remove(into));
        }
        if (mode == RowTables.Mode.CHECK) {
            report.text("checksum", String.format("%016x", Rows.sum()));
        }
        if (mode == RowTables.Mode.KEEP) {
            Files.write(Path.of(options.text("rows")), Rows.kept());
        }
        System.out.println(report);
        System.exit(0);
    }

    /** Removes a directory with all that lies in it, and says how many bytes its files had. */
    private static long remove(Path directory) throws IOException {
        long bytes = 0;
        List<Path> all;
        try (Stream<Path> walk = Files.walk(directory)) {
            all = walk.sorted(Comparator.reverseOrder()).toList();
        }
        for (Path path : all) {
            bytes += Files.isRegularFile(path) ? Files.size(path) : 0;
            Files.delete(path);
        }
        return bytes;
    }

    private static void settings(StreamTableEnvironment tables) {
        tables.getConfig().set("table.exec.mini-batch.enabled", "true");
        tables.getConfig().set("table.exec.mini-batch.allow-latency", "2 s");
        tables.getConfig().set("table.exec.mini-batch.size", "50000");
        tables.getConfig().set("table.optimizer.agg-phase-strategy", "TWO_PHASE");
        tables.getConfig().set("table.optimizer.distinct-agg.split.enabled", "true");
        tables.getConfig().set("table.local-time-zone", "UTC");
    }
}
