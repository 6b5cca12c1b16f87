package millstream.peers.nexmark;

import org.apache.flink.table.data.ArrayData;
import org.apache.flink.table.data.DecimalData;
import org.apache.flink.table.data.MapData;
import org.apache.flink.table.data.RawValueData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.types.RowKind;
import org.apache.flink.types.variant.Variant;

/** A row whose fields are drawn when they are asked for, and that is filled anew for the next event. */
abstract class MadeRow implements RowData {
    private static UnsupportedOperationException absent(int field) {
        return new UnsupportedOperationException("field " + field + " has another type");
    }

    @Override
    public RowKind getRowKind() {
        return RowKind.INSERT;
    }

    @Override
    public void setRowKind(RowKind kind) {
        if (kind != RowKind.INSERT) {
            throw new UnsupportedOperationException("events are never taken back");
        }
    }

    @Override
    public boolean isNullAt(int field) {
        return false;
    }

    @Override
    public int getInt(int field) {
        throw absent(field);
    }

    @Override
    public long getLong(int field) {
        throw absent(field);
    }

    @Override
    public StringData getString(int field) {
        throw absent(field);
    }

    @Override
    public TimestampData getTimestamp(int field, int precision) {
        throw absent(field);
    }

    @Override
    public RowData getRow(int field, int fields) {
        throw absent(field);
    }

    @Override
    public boolean getBoolean(int field) {
        throw absent(field);
    }

    @Override
    public byte getByte(int field) {
        throw absent(field);
    }

    @Override
    public short getShort(int field) {
        throw absent(field);
    }

    @Override
    public float getFloat(int field) {
        throw absent(field);
    }

    @Override
    public double getDouble(int field) {
        throw absent(field);
    }

    @Override
    public DecimalData getDecimal(int field, int precision, int scale) {
        throw absent(field);
    }

    @Override
    public <T> RawValueData<T> getRawValue(int field) {
        throw absent(field);
    }

    @Override
    public byte[] getBinary(int field) {
        throw absent(field);
    }

    @Override
    public ArrayData getArray(int field) {
        throw absent(field);
    }

    @Override
    public MapData getMap(int field) {
        throw absent(field);
    }

    @Override
    public Variant getVariant(int field) {
        throw absent(field);
    }
}
