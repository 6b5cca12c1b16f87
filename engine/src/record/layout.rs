//! Layouts in words, and their fingerprints.

use std::any::TypeId;
use std::fmt::Write;

use rkyv::string::ArchivedString;
use rkyv::vec::ArchivedVec;
use xxhash_rust::xxh3::xxh3_64;

use super::plain::ARCHIVED_1234;
use super::{Field, Layout};

/// Collects the words for a type and for every named type inside it. A type that is met again, or that contains itself, is
/// only named the second time.
#[derive(Debug, Default)]
pub struct Description {
    line: String,
    types: Vec<Described>,
}

#[derive(Debug)]
struct Described {
    id: TypeId,
    name: &'static str,
    text: String,
    facts: String,
}

impl Description {
    /// Appends words to the description of the type at hand.
    pub fn push(&mut self, words: &str) -> &mut Self {
        self.line.push_str(words);
        self
    }

    /// Names the type `T`, which `body` describes: `Order { id: u64, who: String }`. What `body` appends follows the name, so it
    /// begins with the space or the brace. `facts` are for the fingerprint alone.
    pub fn named<T: 'static>(
        &mut self,
        name: &'static str,
        facts: &str,
        body: impl FnOnce(&mut Self),
    ) -> &mut Self {
        self.line.push_str(name);
        let id = TypeId::of::<T>();
        if self.types.iter().all(|known| known.id != id) {
            let index = self.types.len();
            self.types.push(Described { id, name, text: String::new(), facts: facts.to_owned() });
            let outer = std::mem::replace(&mut self.line, name.to_owned());
            body(self);
            self.types[index].text = std::mem::replace(&mut self.line, outer);
        }
        self
    }

    /// [`Description::named`] for a record: its size, alignment and the offsets of its fields are facts.
    pub fn archived<T: Field>(
        &mut self,
        name: &'static str,
        plain: bool,
        offsets: &[usize],
        body: impl FnOnce(&mut Self),
    ) -> &mut Self {
        let (size, align) = (size_of::<T::Native>(), align_of::<T::Native>());
        let facts = format!("plain {plain} size {size} align {align} offsets {offsets:?}");
        self.named::<T>(name, &facts, body)
    }

    /// The layout of what was described, in an encoding of which `encoding` tells all that the words do not.
    fn finish(self, encoding: &str) -> Layout {
        let mut text = self.line;
        let mut types = self.types.iter();
        if self.types.first().is_some_and(|first| first.name == text) {
            text.clone_from(&self.types[0].text);
            types.next();
        }
        for (nth, inner) in types.enumerate() {
            text.push_str(if nth == 0 { " with " } else { ", " });
            text.push_str(&inner.text);
        }
        let mut canonical = format!("{encoding}\n{text}\n");
        for described in &self.types {
            writeln!(canonical, "{} {}", described.name, described.facts).expect("a string takes any text");
        }
        Layout { text, fingerprint: xxh3_64(canonical.as_bytes()) }
    }
}

/// The layout of an archived record.
pub(super) fn record_layout(describe: impl FnOnce(&mut Description)) -> Layout {
    let mut description = Description::default();
    describe(&mut description);
    description.finish(&archive_format())
}

/// The layout of a key: its canonical encoding is this crate's own, and knows no rkyv.
pub(crate) fn key_layout(describe: impl FnOnce(&mut Description)) -> Layout {
    let mut description = Description::default();
    describe(&mut description);
    description.finish("millstream key 1")
}

/// What rkyv's version and its crate-wide layout features (which a host program can switch on) amount to, as observed.
fn archive_format() -> String {
    type Usize = rkyv::Archived<usize>;
    type U64 = rkyv::Archived<u64>;
    format!(
        "millstream record 1, rkyv 0.8, u32 {ARCHIVED_1234:?}, usize {}/{}, u64 {}/{}, String {}/{}, Vec {}/{}",
        size_of::<Usize>(),
        align_of::<Usize>(),
        size_of::<U64>(),
        align_of::<U64>(),
        size_of::<ArchivedString>(),
        align_of::<ArchivedString>(),
        size_of::<ArchivedVec<u8>>(),
        align_of::<ArchivedVec<u8>>(),
    )
}
