package millstream.peers.nexmark;

import java.io.Serializable;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.RowType;

/** Rows as text: fields with commas between them, times in milliseconds since 1970. */
final class RowText implements Serializable {
    private final RowData.FieldGetter[] fields;

    RowText(RowType type) {
        fields = new RowData.FieldGetter[type.getFieldCount()];
        for (int at = 0; at < fields.length; at++) {
            LogicalType field = type.getTypeAt(at);
            fields[at] = RowData.createFieldGetter(field, at);
        }
    }

    String of(RowData row) {
        StringBuilder text = new StringBuilder();
        for (int at = 0; at < fields.length; at++) {
            Object field = fields[at].getFieldOrNull(row);
            text.append(at > 0 ? "," : "");
            text.append(field instanceof TimestampData time ? Long.toString(time.getMillisecond()) : String.valueOf(field));
        }
        return text.toString();
    }
}
