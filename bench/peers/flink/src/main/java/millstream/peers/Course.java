package millstream.peers;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;

/** How a bounded run goes: when its measured records began, and each quarter of them ended. */
public final class Course extends Thread {
    private static final int LOOK_EVERY_MS = 1;
    private static final int QUARTERS = 4;

    private final long warmUp;
    private final long records;
    private final long[] at = new long[QUARTERS + 1];
    private final long[] seen = new long[QUARTERS + 1];
    private final long[] processor = new long[QUARTERS + 1];
    private volatile boolean ended;
    private int marks;

    /** Begins to look: {@code warmUp} records are let pass, {@code records} are measured. */
    public static Course start(long warmUp, long records) {
        Course course = new Course(warmUp, records);
        course.setDaemon(true);
        course.start();
        return course;
    }

    private Course(long warmUp, long records) {
        this.warmUp = warmUp;
        this.records = records;
    }

    @Override
    public void run() {
        OperatingSystemMXBean system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        while (marks <= QUARTERS) {
            // Read before the tally, so that all records of a run that has ended are seen.
            boolean lastLook = ended;
            long total = Tally.total();
            if (total > 0 && total >= warmUp + records * marks / QUARTERS) {
                at[marks] = System.nanoTime();
                seen[marks] = total;
                processor[marks] = system.getProcessCpuTime();
                marks++;
            } else if (lastLook) {
                return;
            } else {
                try {
                    Thread.sleep(LOOK_EVERY_MS);
                } catch (InterruptedException error) {
                    return;
                }
            }
        }
    }

    /** To be called once all records have been worked on. */
    public Course end() throws InterruptedException {
        ended = true;
        join();
        if (marks <= QUARTERS) {
            throw new IllegalStateException("the run ended before all records were worked on");
        }
        return this;
    }

    public long events() {
        return seen[QUARTERS] - seen[0];
    }

    public double seconds() {
        return seconds(0, QUARTERS);
    }

    public double processorSeconds() {
        return (processor[QUARTERS] - processor[0]) / 1e9;
    }

    /** Records per second of each quarter. */
    public double[] quarters() {
        double[] rates = new double[QUARTERS];
        for (int quarter = 0; quarter < QUARTERS; quarter++) {
            rates[quarter] = (seen[quarter + 1] - seen[quarter]) / seconds(quarter, quarter + 1);
        }
        return rates;
    }

    private double seconds(int from, int to) {
        // Two marks of one look are of a run too short to have quarters.
        return Math.max(at[to] - at[from], 1) / 1e9;
    }
}
