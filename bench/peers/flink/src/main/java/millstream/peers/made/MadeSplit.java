package millstream.peers.made;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.apache.flink.api.connector.source.SourceSplit;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/** A partition, and how far it was read. */
public record MadeSplit(int partition, long made, long state) implements SourceSplit {
    @Override
    public String splitId() {
        return Integer.toString(partition);
    }

    /** Twenty bytes. */
    public static final class Serializer implements SimpleVersionedSerializer<MadeSplit> {
        @Override
        public int getVersion() {
            return 1;
        }

        @Override
        public byte[] serialize(MadeSplit split) {
            return ByteBuffer.allocate(20).putInt(split.partition).putLong(split.made).putLong(split.state).array();
        }

        @Override
        public MadeSplit deserialize(int version, byte[] bytes) throws IOException {
            ByteBuffer from = ByteBuffer.wrap(bytes);
            return new MadeSplit(from.getInt(), from.getLong(), from.getLong());
        }
    }
}
