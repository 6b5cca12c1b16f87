package millstream.peers.works;

import java.io.IOException;
import org.apache.flink.api.common.serialization.SerializerConfig;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.base.TypeSerializerSingleton;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** By hand: 36 bytes a bid, without marks for what is absent, without reflection. */
public final class BidSerializer extends TypeSerializerSingleton<Bid> {
    private static final int BYTES = 36;

    @Override
    public boolean isImmutableType() {
        return false;
    }

    @Override
    public Bid createInstance() {
        return new Bid();
    }

    @Override
    public Bid copy(Bid from) {
        return copy(from, new Bid());
    }

    @Override
    public Bid copy(Bid from, Bid to) {
        to.auction = from.auction;
        to.bidder = from.bidder;
        to.price = from.price;
        to.channel = from.channel;
        to.dateTime = from.dateTime;
        return to;
    }

    @Override
    public int getLength() {
        return BYTES;
    }

    @Override
    public void serialize(Bid bid, DataOutputView out) throws IOException {
        out.writeLong(bid.auction);
        out.writeLong(bid.bidder);
        out.writeLong(bid.price);
        out.writeInt(bid.channel);
        out.writeLong(bid.dateTime);
    }

    @Override
    public Bid deserialize(DataInputView in) throws IOException {
        return deserialize(new Bid(), in);
    }

    @Override
    public Bid deserialize(Bid bid, DataInputView in) throws IOException {
        bid.auction = in.readLong();
        bid.bidder = in.readLong();
        bid.price = in.readLong();
        bid.channel = in.readInt();
        bid.dateTime = in.readLong();
        return bid;
    }

    @Override
    public void copy(DataInputView in, DataOutputView out) throws IOException {
        out.write(in, BYTES);
    }

    @Override
    public TypeSerializerSnapshot<Bid> snapshotConfiguration() {
        return new Snapshot();
    }

    /** Nothing can change. */
    public static final class Snapshot extends SimpleTypeSerializerSnapshot<Bid> {
        public Snapshot() {
            super(BidSerializer::new);
        }
    }

    /** Says that bids are written by hand. */
    public static final class Information extends TypeInformation<Bid> {
        @Override
        public boolean isBasicType() {
            return false;
        }

        @Override
        public boolean isTupleType() {
            return false;
        }

        @Override
        public int getArity() {
            return 1;
        }

        @Override
        public int getTotalFields() {
            return 1;
        }

        @Override
        public Class<Bid> getTypeClass() {
            return Bid.class;
        }

        @Override
        public boolean isKeyType() {
            return false;
        }

        @Override
        public TypeSerializer<Bid> createSerializer(SerializerConfig config) {
            return new BidSerializer();
        }

        @Override
        public String toString() {
            return "Bid";
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof Information;
        }

        @Override
        public int hashCode() {
            return 1;
        }

        @Override
        public boolean canEqual(Object other) {
            return other instanceof Information;
        }
    }
}
