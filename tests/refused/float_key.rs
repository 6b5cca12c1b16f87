use millstream::Key;

fn key_by<K: Key>(_key: K) {}

fn main() {
    key_by(1.5f64);
}
