//! An element of a list that has a timestamp and a number by which it can be taken out.
#![allow(unsafe_code)] // sees archived bytes as a view

use std::marker::PhantomData;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::checkpoint::codec::Writer;
use crate::element::Timestamp;
use crate::record::{Layout, RECORD_ALIGN, Record, RecordBuf, RecordError, View};
use crate::schema::{Member, Misfit, Shape, Type, Types, Value};

use super::table::Table;

/// What stands before the value: its timestamp, and its number.
const HEAD_BYTES: usize = 16;
/// Set in the number of an element that was taken out.
const GONE: u64 = 1 << 63;

/// A `T` with timestamp and number.
pub(crate) struct Numbered<T> {
    at: Timestamp,
    number: u64,
    value: T,
}

/// What is seen of a [`Numbered`].
#[repr(transparent)]
pub(crate) struct NumberedView<T>(PhantomData<T>, [u8]);

impl<T: Record> Numbered<T> {
    /// How many bytes one takes whose value takes so many.
    pub(crate) fn bytes(value: usize) -> usize {
        HEAD_BYTES + value
    }

    /// Archives one, given its archived value.
    #[inline]
    pub(crate) fn write(out: &mut [u8], at: Timestamp, number: u64, value: &[u8]) {
        out[..8].copy_from_slice(&at.0.to_le_bytes());
        out[8..HEAD_BYTES].copy_from_slice(&number.to_le_bytes());
        out[HEAD_BYTES..].copy_from_slice(value);
    }

    /// Marks an archived one as taken out if `choose` says so of its number. Says whether it is still there.
    pub(crate) fn take_out(archived: &mut [u8], choose: impl FnOnce(u64) -> bool) -> bool {
        let number = word(archived, 8);
        if number & GONE == 0 && choose(number) {
            archived[8..HEAD_BYTES].copy_from_slice(&(number | GONE).to_le_bytes());
            return false;
        }
        number & GONE == 0
    }
}

#[inline(always)]
fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

impl<T: Record> NumberedView<T> {
    #[inline]
    fn new(bytes: &[u8]) -> &Self {
        // SAFETY: a transparent wrapper of bytes.
        unsafe { &*(std::ptr::from_ref(bytes) as *const Self) }
    }

    #[inline]
    pub(crate) fn at(&self) -> Timestamp {
        Timestamp(word(&self.1, 0) as i64)
    }

    /// Its number, unless it was taken out.
    #[inline]
    pub(crate) fn number(&self) -> Option<u64> {
        let number = word(&self.1, 8);
        (number & GONE == 0).then_some(number)
    }

    #[inline]
    pub(crate) fn value(&self) -> &View<T> {
        // SAFETY: an archived `T`, at a multiple of `RECORD_ALIGN` since the whole is at one.
        unsafe { Table::<(), T>::view_of(self.value_bytes()) }
    }

    #[inline]
    pub(crate) fn value_bytes(&self) -> &[u8] {
        &self.1[HEAD_BYTES..]
    }
}

// SAFETY: two words and the value's archived form behind them, which is aligned since the words take `RECORD_ALIGN` bytes.
unsafe impl<T: Record> Record for Numbered<T> {
    type View = NumberedView<T>;
    const SIZE: Option<usize> = match T::SIZE {
        Some(size) => Some(HEAD_BYTES + size),
        None => None,
    };
    const PLAIN: bool = false;

    fn encode(&self, out: &mut RecordBuf) {
        const { assert!(HEAD_BYTES.is_multiple_of(RECORD_ALIGN)) };
        out.extend_from_slice(&self.at.0.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        self.value.encode(out);
    }

    #[inline]
    unsafe fn view_unchecked(bytes: &[u8]) -> &Self::View {
        NumberedView::new(bytes)
    }

    fn view(bytes: &[u8]) -> Result<&Self::View, RecordError> {
        let Some(value) = bytes.get(HEAD_BYTES..) else {
            let reason = "timestamp and number are cut off".to_owned();
            return Err(RecordError { expected: Self::layout().text, reason });
        };
        T::view(value)?;
        Ok(NumberedView::new(bytes))
    }

    fn owned(view: &Self::View) -> Self {
        Numbered { at: view.at(), number: word(&view.1, 8), value: T::owned(view.value()) }
    }

    fn layout() -> Layout {
        let value = T::layout();
        let text = format!("numbered {}", value.text);
        let fingerprint = xxh3_64_with_seed(text.as_bytes(), value.fingerprint);
        Layout { text, fingerprint }
    }

    fn record_type(types: &mut Types) -> Type {
        let value = T::record_type(types);
        types.named::<Self>("Numbered", |_| {
            Shape::Struct(vec![
                Member::new("at", Type::Int { bits: 64, signed: true }),
                Member::new("number", Type::Int { bits: 64, signed: false }),
                Member::new("value", value),
            ])
        })
    }

    fn save_record(view: &Self::View, out: &mut Writer) {
        out.put_i64(view.at().0).put_u64(word(&view.1, 8));
        T::save_record(view.value(), out);
    }

    fn load_record(mut value: Value) -> Result<Self, Misfit> {
        let misfit = |value: &Value| Misfit::found(value, "a numbered element");
        let at = value.get("at").and_then(Value::as_i64).ok_or_else(|| misfit(&value))?;
        let number = value.get("number").and_then(Value::as_u64).ok_or_else(|| misfit(&value))?;
        let inner = value.take("value").ok_or_else(|| Misfit::new("it is missing").within("value"))?;
        Ok(Numbered { at: Timestamp(at), number, value: T::load_record(inner)? })
    }
}
