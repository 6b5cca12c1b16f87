package millstream.peers.nexmark;

import java.util.Set;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.sink.DynamicTableSink;
import org.apache.flink.table.connector.sink.SinkV2Provider;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.factories.DynamicTableSinkFactory;
import org.apache.flink.table.factories.FactoryUtil;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.types.RowKind;

/** Makes tables that take the rows of a query: counted, added up, or kept. */
public final class RowTables implements DynamicTableSinkFactory {
    /** What is done with rows. */
    public enum Mode {
        /** Counted, and nothing else: as Flink's own black hole. */
        COUNT,
        /** Every row's hash is added, or subtracted where the row is taken back: what remains is of the table at the end. */
        CHECK,
        /** The table at the end is kept as text. */
        KEEP
    }

    private static final ConfigOption<Mode> MODE =
            ConfigOptions.key("mode").enumType(Mode.class).defaultValue(Mode.COUNT);

    @Override
    public String factoryIdentifier() {
        return "rows";
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return Set.of();
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return Set.of(MODE);
    }

    @Override
    public DynamicTableSink createDynamicTableSink(Context context) {
        FactoryUtil.TableFactoryHelper helper = FactoryUtil.createTableFactoryHelper(this, context);
        helper.validate();
        RowType type = (RowType) context.getPhysicalRowDataType().getLogicalType();
        return new RowTable(type, helper.getOptions().get(MODE));
    }

    private record RowTable(RowType type, Mode mode) implements DynamicTableSink {
        @Override
        public ChangelogMode getChangelogMode(ChangelogMode requested) {
            if (mode != Mode.COUNT) {
                return requested;
            }
            // What a row was before is asked for by nobody, and so need not be made.
            ChangelogMode.Builder kinds = ChangelogMode.newBuilder();
            requested.getContainedKinds().stream()
                    .filter(kind -> kind != RowKind.UPDATE_BEFORE)
                    .forEach(kinds::addContainedKind);
            return kinds.build();
        }

        @Override
        public SinkRuntimeProvider getSinkRuntimeProvider(Context context) {
            return SinkV2Provider.of(new RowSink(new RowText(type), mode));
        }

        @Override
        public DynamicTableSink copy() {
            return this;
        }

        @Override
        public String asSummaryString() {
            return "rows";
        }
    }

    private record RowSink(RowText text, Mode mode) implements Sink<RowData> {
        @Override
        public SinkWriter<RowData> createWriter(WriterInitContext context) {
            RowText text = this.text;
            Mode mode = this.mode;
            return new SinkWriter<>() {
                private long count;
                private long sum;

                @Override
                public void write(RowData row, Context context) {
                    count++;
                    if (mode == Mode.COUNT) {
                        return;
                    }
                    RowKind kind = row.getRowKind();
                    int by = kind == RowKind.INSERT || kind == RowKind.UPDATE_AFTER ? 1 : -1;
                    if (mode == Mode.CHECK) {
                        sum += by * Rows.hash(text.of(row));
                    } else {
                        Rows.change(text.of(row), by);
                    }
                }

                @Override
                public void flush(boolean endOfInput) {}

                @Override
                public void close() {
                    Rows.add(count, sum);
                }
            };
        }
    }
}
