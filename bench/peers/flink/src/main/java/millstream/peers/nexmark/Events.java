package millstream.peers.nexmark;

import millstream.peers.made.Sequence;
import millstream.peers.made.Sequences;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.table.data.RowData;

/** The events of an auction house. Partition p of n has the events p, p + n, p + 2n and so on, on one line of time. */
record Events(Clock clock, TypeInformation<RowData> type) implements Sequences<RowData> {
    @Override
    public Sequence<RowData> open(int partition, int partitions) {
        EventRow row = new EventRow();
        return new Sequence<>() {
            private long next = partition;

            @Override
            public void emit(ReaderOutput<RowData> out) {
                row.fill(clock, next);
                next += partitions;
                out.collect(row);
            }

            @Override
            public long state() {
                return next;
            }

            @Override
            public void goTo(long made, long state) {
                next = state;
            }
        };
    }
}
