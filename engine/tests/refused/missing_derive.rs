use millstream_engine::Record;

struct Address {
    street: String,
}

#[derive(Record)]
struct Order {
    id: u64,
    address: Address,
}

fn cross<T: Record>(_record: T) {}

fn main() {
    cross(Address { street: String::new() });
}
