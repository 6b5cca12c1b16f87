package millstream.peers.nexmark;

import java.util.List;
import org.apache.flink.table.types.logical.BigIntType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.table.types.logical.TimestampType;
import org.apache.flink.table.types.logical.VarCharType;

/** The tables that queries ask: one of events, and the three that are seen in it. */
final class Schema {
    private static final LogicalType NUMBER = new BigIntType();
    private static final LogicalType TEXT = VarCharType.STRING_TYPE;
    private static final LogicalType TIME = new TimestampType(3);

    /** How persons, auctions and bids are written as text. */
    static final List<RowText> TEXTS = List.of(
            new RowText(RowType.of(NUMBER, TEXT, TEXT, TEXT, TEXT, TEXT, TIME, TEXT)),
            new RowText(RowType.of(NUMBER, TEXT, TEXT, NUMBER, NUMBER, TIME, TIME, NUMBER, NUMBER, TEXT)),
            new RowText(RowType.of(NUMBER, NUMBER, NUMBER, TEXT, TEXT, TIME, TEXT)));

    private Schema() {}

    static List<String> statements(long events, long rate, long groupSize) {
        String table = """
                CREATE TABLE event (
                    event_type INT NOT NULL,
                    person ROW<
                        id BIGINT, name VARCHAR, emailAddress VARCHAR, creditCard VARCHAR, city VARCHAR, state VARCHAR,
                        `dateTime` TIMESTAMP(3), extra VARCHAR>,
                    auction ROW<
                        id BIGINT, itemName VARCHAR, description VARCHAR, initialBid BIGINT, reserve BIGINT,
                        `dateTime` TIMESTAMP(3), expires TIMESTAMP(3), seller BIGINT, category BIGINT, extra VARCHAR>,
                    bid ROW<
                        auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, url VARCHAR,
                        `dateTime` TIMESTAMP(3), extra VARCHAR>,
                    `dateTime` TIMESTAMP(3),
                    WATERMARK FOR `dateTime` AS `dateTime` - INTERVAL '4' SECOND
                ) WITH (
                    'connector' = 'nexmark', 'events' = '%d', 'rate' = '%d', 'out-of-order-group' = '%d'
                )""";
        return List.of(
                String.format(table, events, rate, groupSize),
                """
                CREATE VIEW person AS
                SELECT person.id, person.name, person.emailAddress, person.creditCard, person.city, person.state,
                    `dateTime`, person.extra
                FROM event WHERE event_type = 0""",
                """
                CREATE VIEW auction AS
                SELECT auction.id, auction.itemName, auction.description, auction.initialBid, auction.reserve,
                    `dateTime`, auction.expires, auction.seller, auction.category, auction.extra
                FROM event WHERE event_type = 1""",
                """
                CREATE VIEW bid AS
                SELECT bid.auction, bid.bidder, bid.price, bid.channel, bid.url, `dateTime`, bid.extra
                FROM event WHERE event_type = 2""",
                """
                CREATE TABLE side_input (key BIGINT, `value` VARCHAR) WITH ('connector' = 'side-input')""");
    }
}
