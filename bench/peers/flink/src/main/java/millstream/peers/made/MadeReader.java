package millstream.peers.made;

import java.util.List;
import java.util.concurrent.CompletableFuture;
import millstream.peers.Tally;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.core.io.InputStatus;

/** Reads one partition of {@link MadeSource}. */
final class MadeReader<T> implements SourceReader<T, MadeSplit> {
    /** How many records are given between two looks at whatever else there is to do. */
    private static final int TURN = 64;

    private final Sequence<T> sequence;
    private final long records;
    private final CompletableFuture<Void> available = new CompletableFuture<>();
    private MadeSplit split;
    private long made;

    MadeReader(Sequence<T> sequence, long records) {
        this.sequence = sequence;
        this.records = records;
    }

    @Override
    public void start() {}

    @Override
    public void addSplits(List<MadeSplit> splits) {
        // After a restart the enumerator assigns anew what was restored already.
        if (split == null) {
            split = splits.get(0);
            made = split.made();
            if (made > 0) {
                sequence.goTo(made, split.state());
            }
            available.complete(null);
        }
    }

    @Override
    public void notifyNoMoreSplits() {}

    @Override
    public InputStatus pollNext(ReaderOutput<T> out) {
        if (split == null) {
            return InputStatus.NOTHING_AVAILABLE;
        }
        long turn = Math.min(TURN, records - made);
        for (long at = 0; at < turn; at++) {
            sequence.emit(out);
        }
        made += turn;
        Tally.set(split.partition(), made);
        return made == records ? InputStatus.END_OF_INPUT : InputStatus.MORE_AVAILABLE;
    }

    @Override
    public List<MadeSplit> snapshotState(long checkpoint) {
        return split == null ? List.of() : List.of(new MadeSplit(split.partition(), made, sequence.state()));
    }

    @Override
    public CompletableFuture<Void> isAvailable() {
        return available;
    }

    @Override
    public void close() {}
}
