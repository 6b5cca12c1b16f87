package millstream.peers;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/** What a program says of its run: one line of JSON. */
public final class Report {
    private final List<String> members = new ArrayList<>();

    public Report text(String name, String value) {
        return raw(name, '"' + value.replace("\\", "\\\\").replace("\"", "\\\"") + '"');
    }

    public Report number(String name, double value) {
        return raw(name, String.format(Locale.ROOT, "%.6f", value));
    }

    public Report number(String name, long value) {
        return raw(name, Long.toString(value));
    }

    public Report flag(String name, boolean value) {
        return raw(name, Boolean.toString(value));
    }

    /** What was seen of a run, and of this process. */
    public Report course(Course course) throws IOException {
        String quarters = Arrays.stream(course.quarters())
                .mapToObj(rate -> String.format(Locale.ROOT, "%.1f", rate))
                .collect(Collectors.joining(","));
        return number("events", course.events())
                .number("seconds", course.seconds())
                .number("events_per_second", course.events() / course.seconds())
                .raw("quarters", "[" + quarters + "]")
                .number("cores_used", course.processorSeconds() / course.seconds())
                .number("processor_ns_per_event", course.processorSeconds() * 1e9 / course.events())
                .number("peak_memory_bytes", peakMemoryBytes());
    }

    private Report raw(String name, String value) {
        members.add('"' + name + "\":" + value);
        return this;
    }

    @Override
    public String toString() {
        return "{" + String.join(",", members) + "}";
    }

    /** Collectors and heap of this process. */
    public static String machine() {
        String collectors = ManagementFactory.getGarbageCollectorMXBeans().stream()
                .map(collector -> collector.getName())
                .collect(Collectors.joining(" and "));
        return collectors + ", heap up to " + (Runtime.getRuntime().maxMemory() >> 20) + " MiB";
    }

    private static long peakMemoryBytes() throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("VmHWM:")) {
                return Long.parseLong(line.replaceAll("[^0-9]", "")) << 10;
            }
        }
        throw new IOException("/proc/self/status has no VmHWM");
    }
}
