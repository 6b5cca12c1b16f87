package millstream.peers.nexmark;

import java.util.Collection;
import java.util.List;
import java.util.Set;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.connector.source.LookupTableSource;
import org.apache.flink.table.connector.source.lookup.LookupFunctionProvider;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.factories.DynamicTableSourceFactory;
import org.apache.flink.table.functions.FunctionContext;
import org.apache.flink.table.functions.LookupFunction;

/** A table of ten thousand numbers and their texts, held in memory, that others are joined to by the number. */
public final class SideInput implements DynamicTableSourceFactory {
    private static final int ROWS = 10_000;

    @Override
    public String factoryIdentifier() {
        return "side-input";
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return Set.of();
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return Set.of();
    }

    @Override
    public DynamicTableSource createDynamicTableSource(Context context) {
        return new SideTable();
    }

    private record SideTable() implements LookupTableSource {
        @Override
        public LookupRuntimeProvider getLookupRuntimeProvider(LookupContext context) {
            return LookupFunctionProvider.of(new Lookup());
        }

        @Override
        public DynamicTableSource copy() {
            return this;
        }

        @Override
        public String asSummaryString() {
            return "side-input";
        }
    }

    /** Looks up by the one key that there is. */
    public static final class Lookup extends LookupFunction {
        private transient List<RowData>[] rows;

        @Override
        @SuppressWarnings("unchecked")
        public void open(FunctionContext context) {
            rows = new List[ROWS];
            for (int key = 0; key < ROWS; key++) {
                rows[key] = List.of(GenericRowData.of((long) key, StringData.fromString(Integer.toString(key))));
            }
        }

        @Override
        public Collection<RowData> lookup(RowData keys) {
            long key = keys.getLong(0);
            return key >= 0 && key < ROWS ? rows[(int) key] : List.of();
        }
    }
}
