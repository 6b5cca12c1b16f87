package millstream.peers.made;

import java.io.Serializable;
import org.apache.flink.api.common.typeinfo.TypeInformation;

/** Makes the sequences of all partitions. */
public interface Sequences<T> extends Serializable {
    Sequence<T> open(int partition, int partitions);

    TypeInformation<T> type();
}
