package millstream.peers.made;

import java.util.List;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.api.java.typeutils.ResultTypeQueryable;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/** So many made-up records, as fast as they are asked for: partition p of n is read by subtask p of n. */
public final class MadeSource<T> implements Source<T, MadeSplit, Integer>, ResultTypeQueryable<T> {
    private final Sequences<T> sequences;
    private final long records;

    public MadeSource(Sequences<T> sequences, long records) {
        this.sequences = sequences;
        this.records = records;
    }

    /** Deals records out to partitions by turns. */
    static long part(long records, int partition, int partitions) {
        return records / partitions + (partition < records % partitions ? 1 : 0);
    }

    @Override
    public Boundedness getBoundedness() {
        return Boundedness.BOUNDED;
    }

    @Override
    public TypeInformation<T> getProducedType() {
        return sequences.type();
    }

    @Override
    public SourceReader<T, MadeSplit> createReader(SourceReaderContext context) {
        int partition = context.getIndexOfSubtask();
        int partitions = context.currentParallelism();
        return new MadeReader<>(sequences.open(partition, partitions), part(records, partition, partitions));
    }

    @Override
    public SplitEnumerator<MadeSplit, Integer> createEnumerator(SplitEnumeratorContext<MadeSplit> context) {
        return new SplitEnumerator<>() {
            @Override
            public void start() {}

            @Override
            public void handleSplitRequest(int subtask, String host) {}

            @Override
            public void addSplitsBack(List<MadeSplit> splits, int subtask) {}

            @Override
            public void addReader(int subtask) {
                context.assignSplit(new MadeSplit(subtask, 0, 0), subtask);
                context.signalNoMoreSplits(subtask);
            }

            @Override
            public Integer snapshotState(long checkpoint) {
                return 0;
            }

            @Override
            public void close() {}
        };
    }

    @Override
    public SplitEnumerator<MadeSplit, Integer> restoreEnumerator(
            SplitEnumeratorContext<MadeSplit> context, Integer nothing) {
        return createEnumerator(context);
    }

    @Override
    public SimpleVersionedSerializer<MadeSplit> getSplitSerializer() {
        return new MadeSplit.Serializer();
    }

    @Override
    public SimpleVersionedSerializer<Integer> getEnumeratorCheckpointSerializer() {
        return new SimpleVersionedSerializer<>() {
            @Override
            public int getVersion() {
                return 1;
            }

            @Override
            public byte[] serialize(Integer nothing) {
                return new byte[1];
            }

            @Override
            public Integer deserialize(int version, byte[] bytes) {
                return 0;
            }
        };
    }
}
