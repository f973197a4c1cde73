//! The header structure: an index of typed entries over one block of data.

mod parse;
mod value;
mod write;

use std::borrow::Cow;

pub use parse::HeaderKind;
pub(crate) use parse::header_len;
pub use value::{Ints, Strs};
pub(crate) use write::{Raw, size, write};

use value::{RawType, read_int};

use crate::{Limits, Result};

/// Length of the fixed part before the index: magic, reserved bytes, two counts.
pub(crate) const INTRO: usize = 16;

/// One parsed header, checked in full, with its bytes.
#[derive(Debug, Clone)]
pub struct Header {
    raw: Vec<u8>,
    entries: Vec<Entry>,
    store: usize,
}

/// One entry of the index.
#[derive(Debug, Clone, Copy)]
struct Entry {
    tag: u32,
    raw_type: RawType,
    count: u32,
    start: usize,
    end: usize,
}

impl Header {
    /// Parses and checks a header that fills `raw`, from its magic to the end of its data.
    pub fn parse(raw: Vec<u8>, kind: HeaderKind, limits: &Limits) -> Result<Self> {
        parse::parse(raw, kind, limits)
    }

    /// The bytes from the magic to the end of the data.
    pub fn as_bytes(&self) -> &[u8] {
        &self.raw
    }

    /// Every tag number present, ascending.
    pub fn tags(&self) -> impl Iterator<Item = u32> + '_ {
        self.entries.iter().map(|e| e.tag)
    }

    /// True if the tag is present.
    pub fn has(&self, tag: u32) -> bool {
        self.entry(tag).is_some()
    }

    /// How many values the tag has; 0 if absent, and the length of binary data.
    pub fn count(&self, tag: u32) -> usize {
        self.entry(tag).map_or(0, |e| e.count as usize)
    }

    /// The values of a tag of a number type; empty if it is absent or of another type.
    pub fn ints(&self, tag: u32) -> Ints<'_> {
        match self.entry(tag) {
            Some(e) if e.raw_type.is_int() => Ints::new(self.data(e), e.raw_type.width()),
            _ => Ints::new(&[], 1),
        }
    }

    /// The first value of a tag of a number type.
    pub fn int(&self, tag: u32) -> Option<u64> {
        self.ints(tag).next()
    }

    /// The values of a tag of a string type; empty if it is absent or of another type.
    pub fn strs(&self, tag: u32) -> Strs<'_> {
        match self.entry(tag) {
            Some(e) if e.raw_type.is_str() => Strs::new(self.data(e), e.count as usize),
            _ => Strs::new(&[], 0),
        }
    }

    /// The first value of a tag of a string type (for translated ones: the untranslated).
    pub fn str(&self, tag: u32) -> Option<&[u8]> {
        self.strs(tag).next()
    }

    /// As [`Header::str`], with bytes that are not UTF-8 replaced.
    pub fn text(&self, tag: u32) -> Option<Cow<'_, str>> {
        self.str(tag).map(String::from_utf8_lossy)
    }

    /// As [`Header::strs`], with bytes that are not UTF-8 replaced.
    pub fn texts(&self, tag: u32) -> impl Iterator<Item = Cow<'_, str>> {
        self.strs(tag).map(String::from_utf8_lossy)
    }

    /// The value of a tag of binary type.
    pub fn bin(&self, tag: u32) -> Option<&[u8]> {
        self.entry(tag).filter(|e| e.raw_type == RawType::Bin).map(|e| self.data(e))
    }

    /// The entries as they are stored, without the region.
    pub(crate) fn raw(&self) -> impl Iterator<Item = Raw> + '_ {
        let plain = self.entries.iter().filter(|e| e.tag >= crate::tag::HEADERI18NTABLE);
        plain.map(|e| Raw {
            tag: e.tag,
            kind: e.raw_type.number(),
            count: e.count,
            data: self.data(e).to_vec(),
        })
    }

    fn entry(&self, tag: u32) -> Option<&Entry> {
        let index = self.entries.binary_search_by_key(&tag, |e| e.tag).ok()?;
        self.entries.get(index)
    }

    fn data(&self, entry: &Entry) -> &[u8] {
        self.raw.get(self.store + entry.start..self.store + entry.end).unwrap_or_default()
    }
}

/// The lengths that the fixed part of a header states: entries and bytes of data.
pub(crate) fn intro(bytes: &[u8]) -> Option<(u32, u32)> {
    let entries = read_int(bytes.get(8..12)?);
    let data = read_int(bytes.get(12..16)?);
    Some((entries as u32, data as u32))
}
