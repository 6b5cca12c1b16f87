//! Records: one representation everywhere. A record that leaves its chain is archived once with rkyv; the same bytes lie
//! on the ring, in the state page and in the checkpoint file.

/// A growable, 16-byte-aligned byte buffer that records are archived into.
pub type RecordBuf = rkyv::util::AlignedVec<RECORD_ALIGN>;

/// Every archived record starts at a multiple of this.
pub const RECORD_ALIGN: usize = 16;

/// What operators see of a `T` after an exchange.
pub type View<T> = <T as Record>::View;

/// A type that can cross an exchange, lie in state and be saved in a checkpoint.
///
/// Derive it with `#[derive(Record)]`.
///
/// # Safety
/// - `encode` appends bytes that `view_unchecked` and `view` accept, whatever their address, as long as it is a multiple of [`RECORD_ALIGN`],
///   and that hold no uninitialised byte and no pointer.
/// - Where `SIZE` is `Some(n)`, `encode` appends exactly `n` bytes.
/// - Where `PLAIN` is true, `SIZE` is `Some(size_of::<Self>())`, `Self` has no padding, its alignment is at most [`RECORD_ALIGN`], `View` is
///   `Self`, and the encoding is the value's own bytes.
#[allow(unsafe_code)]
pub unsafe trait Record: Sized + 'static {
    /// The archived form, as operators see it after an exchange.
    type View: ?Sized + 'static;

    /// How many bytes the archived form has, where that is the same for all values.
    const SIZE: Option<usize>;

    /// Whether a value's own bytes are its archived form, so that it can be copied and changed in place.
    const PLAIN: bool;

    /// Archives the value at the end of `out`, whose length is a multiple of [`RECORD_ALIGN`] (the caller pads).
    fn encode(&self, out: &mut RecordBuf);

    /// The view of archived bytes.
    ///
    /// # Safety
    /// `bytes` is the whole of what [`Record::encode`] of this very type and layout appended, at an address that is a multiple of
    /// [`RECORD_ALIGN`]: bytes that this process wrote, or that passed a checksum and a layout comparison.
    unsafe fn view_unchecked(bytes: &[u8]) -> &Self::View;

    /// The view of bytes from anywhere, after checking them.
    fn view(bytes: &[u8]) -> Result<&Self::View, RecordError>;

    /// The value a view stands for.
    fn owned(view: &Self::View) -> Self;

    /// What the archived form looks like, for comparison with what a checkpoint was written with.
    fn layout() -> Layout;
}

/// The layout of a record, key or state value: its description, and a fingerprint that covers it and the archive format's own
/// settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// In words: `Order { id: u64, who: String, price: i64 }`.
    pub text: String,
    /// A stable hash of the text and of rkyv's version and layout features.
    pub fingerprint: u64,
}

/// Bytes that are not a record of the expected type.
#[derive(Debug, Clone, thiserror::Error)]
#[error("not an archived {expected}: {reason}")]
pub struct RecordError {
    /// The expected layout in words.
    pub expected: String,
    /// What is wrong with the bytes.
    pub reason: String,
}
