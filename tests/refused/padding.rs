use millstream::Record;

#[derive(Record)]
#[repr(C)]
struct Tick {
    side: u8,
    price: i64,
}

fn main() {}
