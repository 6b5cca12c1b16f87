//! Records in an encoding of the program's own.
#![allow(unsafe_code)] // sees archived bytes as a view

use std::marker::PhantomData;

use xxhash_rust::xxh3::xxh3_64;

use super::{Layout, Record, RecordBuf, RecordError};
use crate::checkpoint::codec::Writer;
use crate::schema::{Member, Misfit, Shape, Type, Types, Value};

/// The version comes first.
const VERSION_BYTES: usize = 4;

/// An encoding of the program's own, for a type that is not made of records or has to be read by somebody else, too (Flink's
/// `TypeSerializer`, with the version in the place of its snapshot,
/// <https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/fault-tolerance/serialization/custom_serialization/>).
///
/// What an earlier version has written is read by this one, from savepoints as well as from checkpoints.
///
/// ```
/// use millstream_engine::record::{Codec, Coded, Record, RecordBuf};
///
/// struct Celsius(f64);
///
/// impl Codec for Celsius {
///     const NAME: &'static str = "Celsius";
///     const VERSION: u32 = 2; // version 1 wrote Fahrenheit
///
///     fn encode(&self, out: &mut Vec<u8>) {
///         out.extend_from_slice(&self.0.to_le_bytes());
///     }
///
///     fn decode(version: u32, bytes: &[u8]) -> Result<Self, String> {
///         let number = f64::from_le_bytes(bytes.try_into().map_err(|_| "not a number".to_owned())?);
///         Ok(Celsius(if version == 1 { (number - 32.0) / 1.8 } else { number }))
///     }
/// }
///
/// let mut bytes = RecordBuf::new();
/// Coded(Celsius(20.0)).encode(&mut bytes);
/// let view = Coded::<Celsius>::view(&bytes)?;
/// assert_eq!(view.decode()?.0, 20.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Codec: Sized + 'static {
    /// What the type is called in checkpoints and savepoints. It stays when the type is renamed.
    const NAME: &'static str;

    /// The version of what [`Codec::encode`] writes.
    const VERSION: u32;

    /// Appends the encoding.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads what [`Codec::encode`] of this or an earlier version wrote.
    ///
    /// # Errors
    /// The bytes are none of these.
    fn decode(version: u32, bytes: &[u8]) -> Result<Self, String>;
}

/// A record in the encoding of its type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coded<T>(pub T);

/// What is seen of a [`Coded`]: its bytes.
#[repr(transparent)]
pub struct CodedView<T>(PhantomData<T>, [u8]);

impl<T: Codec> CodedView<T> {
    fn new(bytes: &[u8]) -> &Self {
        // SAFETY: a transparent wrapper of bytes.
        unsafe { &*(std::ptr::from_ref(bytes) as *const Self) }
    }

    /// The version that has written it, and what it has written.
    fn parts(&self) -> Option<(u32, &[u8])> {
        let (version, bytes) = self.1.split_first_chunk::<VERSION_BYTES>()?;
        Some((u32::from_le_bytes(*version), bytes))
    }

    /// The value.
    ///
    /// # Errors
    /// As [`Codec::decode`].
    pub fn decode(&self) -> Result<T, String> {
        let (version, bytes) = self.parts().ok_or_else(|| "the version is missing".to_owned())?;
        T::decode(version, bytes)
    }
}

// SAFETY: bytes of any length and alignment, which hold no pointer and are all initialised.
unsafe impl<T: Codec> Record for Coded<T> {
    type View = CodedView<T>;
    const SIZE: Option<usize> = None;
    const PLAIN: bool = false;

    fn encode(&self, out: &mut RecordBuf) {
        let mut bytes = Vec::new();
        self.0.encode(&mut bytes);
        out.extend_from_slice(&T::VERSION.to_le_bytes());
        out.extend_from_slice(&bytes);
    }

    #[inline]
    unsafe fn view_unchecked(bytes: &[u8]) -> &CodedView<T> {
        CodedView::new(bytes)
    }

    fn view(bytes: &[u8]) -> Result<&CodedView<T>, RecordError> {
        let view = CodedView::<T>::new(bytes);
        match view.decode() {
            Ok(_) => Ok(view),
            Err(reason) => Err(RecordError { expected: Self::layout().text, reason }),
        }
    }

    /// # Panics
    /// Where [`Codec::decode`] refuses what an earlier version has written: that fails the job, by the operator's name.
    fn owned(view: &CodedView<T>) -> Self {
        match view.decode() {
            Ok(value) => Coded(value),
            Err(reason) => panic!("a `{}` cannot be decoded: {reason}", T::NAME),
        }
    }

    fn layout() -> Layout {
        let text = format!("Coded<{}>", T::NAME);
        let fingerprint = xxh3_64(text.as_bytes());
        Layout { text, fingerprint }
    }

    fn record_type(types: &mut Types) -> Type {
        types.named::<Self>(T::NAME, |_| {
            Shape::Struct(vec![
                Member::new("version", Type::Int { bits: 32, signed: false }),
                Member::new("bytes", Type::list(Type::Int { bits: 8, signed: false })),
            ])
        })
    }

    fn save_record(view: &CodedView<T>, out: &mut Writer) {
        let (version, bytes) = view.parts().unwrap_or_default();
        out.put_u32(version).put_bytes(bytes);
    }

    fn load_record(value: Value) -> Result<Self, Misfit> {
        let version =
            value.get("version").and_then(Value::as_u64).and_then(|version| u32::try_from(version).ok());
        let bytes = value.get("bytes").and_then(Value::items);
        let byte = |byte: &Value| byte.as_u64().and_then(|byte| u8::try_from(byte).ok());
        let bytes = bytes.and_then(|bytes| bytes.iter().map(byte).collect::<Option<Vec<u8>>>());
        let (Some(version), Some(bytes)) = (version, bytes) else {
            return Err(Misfit::found(&value, format_args!("a {}", Self::layout().text)));
        };
        T::decode(version, &bytes).map(Coded).map_err(Misfit::new)
    }
}
