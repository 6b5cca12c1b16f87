use millstream::Record;

struct Address {
    street: String,
}

fn cross<T: Record>(_record: T) {}

fn main() {
    cross(Address { street: String::new() });
}
