use millstream_engine::Record;

#[derive(Record)]
#[repr(C)]
struct Order {
    id: u64,
    who: String,
}

fn main() {}
