package millstream.peers.works;

import millstream.peers.made.Sequence;
import millstream.peers.made.Sequences;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.connector.source.ReaderOutput;

/** Bids with auctions below {@code keys}, a thousand for each millisecond of event time. */
record Bids(long keys) implements Sequences<Bid> {
    private static final long BIDS_PER_MS = 1000;

    @Override
    public Sequence<Bid> open(int partition, int partitions) {
        return new OfPartition(keys, partition, partitions);
    }

    @Override
    public TypeInformation<Bid> type() {
        return new BidSerializer.Information();
    }

    private static final class OfPartition implements Sequence<Bid> {
        private final long keys;
        private final int partition;
        private final int partitions;
        private final Xorshift random;
        private final Bid bid = new Bid();
        private long made;

        OfPartition(long keys, int partition, int partitions) {
            this.keys = keys;
            this.partition = partition;
            this.partitions = partitions;
            this.random = new Xorshift(partition);
        }

        @Override
        public void emit(ReaderOutput<Bid> out) {
            long next = random.next();
            bid.auction = Xorshift.below(keys, next);
            bid.bidder = next & 0xFFFF;
            bid.price = (next >>> 20) & 0xFFFFF;
            bid.channel = (int) (next >>> 60);
            bid.dateTime = (made * partitions + partition) / BIDS_PER_MS;
            made++;
            out.collect(bid, bid.dateTime);
        }

        @Override
        public long state() {
            return random.state();
        }

        @Override
        public void goTo(long made, long state) {
            this.made = made;
            random.goTo(state);
        }
    }
}
