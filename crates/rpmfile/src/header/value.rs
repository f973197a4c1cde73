//! The stored types and the iterators over their values.

/// The type numbers of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RawType {
    Null,
    Char,
    Int8,
    Int16,
    Int32,
    Int64,
    Str,
    Bin,
    StrList,
    I18n,
}

impl RawType {
    pub(super) fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Null,
            1 => Self::Char,
            2 => Self::Int8,
            3 => Self::Int16,
            4 => Self::Int32,
            5 => Self::Int64,
            6 => Self::Str,
            7 => Self::Bin,
            8 => Self::StrList,
            9 => Self::I18n,
            _ => return None,
        })
    }

    pub(super) fn number(self) -> u32 {
        self as u32
    }

    /// Bytes of one value; 1 for types of variable length.
    pub(super) fn width(self) -> usize {
        match self {
            Self::Int16 => 2,
            Self::Int32 => 4,
            Self::Int64 => 8,
            _ => 1,
        }
    }

    pub(super) fn is_int(self) -> bool {
        matches!(self, Self::Char | Self::Int8 | Self::Int16 | Self::Int32 | Self::Int64)
    }

    pub(super) fn is_str(self) -> bool {
        matches!(self, Self::Str | Self::StrList | Self::I18n)
    }
}

/// A big-endian number of up to eight bytes.
pub(super) fn read_int(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum, b| (sum << 8) | u64::from(*b))
}

/// The values of a number tag.
#[derive(Debug, Clone)]
pub struct Ints<'a> {
    chunks: std::slice::ChunksExact<'a, u8>,
}

impl<'a> Ints<'a> {
    pub(super) fn new(data: &'a [u8], width: usize) -> Self {
        Self { chunks: data.chunks_exact(width) }
    }
}

impl Iterator for Ints<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.chunks.next().map(read_int)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.chunks.size_hint()
    }
}

impl ExactSizeIterator for Ints<'_> {}

/// The values of a string tag, without their final NUL.
#[derive(Debug, Clone)]
pub struct Strs<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Strs<'a> {
    pub(super) fn new(data: &'a [u8], count: usize) -> Self {
        Self { rest: data, left: count }
    }
}

impl<'a> Iterator for Strs<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let end = memchr::memchr(0, self.rest).unwrap_or(self.rest.len());
        let (value, rest) = self.rest.split_at(end);
        self.rest = rest.get(1..).unwrap_or_default();
        Some(value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Strs<'_> {}
