//! Parsing with every count, offset and region checked before it is used.

use super::value::{RawType, read_int};
use super::{Entry, Header, INTRO, intro};
use crate::tag::{HEADERI18NTABLE, HEADERIMMUTABLE, HEADERSIGNATURES};
use crate::{Error, Limits, Result};

const MAGIC: [u8; 4] = [0x8e, 0xad, 0xe8, 0x01];
const INDEX: usize = 16;
/// Old packages close their signature region with this tag.
const HEADERIMAGE: u32 = 61;

/// Which of the two headers of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderKind {
    /// Digests and signatures, outside of any signed data.
    Signature,
    /// The package's own data.
    Main,
}

impl HeaderKind {
    fn name(self) -> &'static str {
        match self {
            Self::Signature => "signature header",
            Self::Main => "header",
        }
    }

    pub(super) fn region(self) -> u32 {
        match self {
            Self::Signature => HEADERSIGNATURES,
            Self::Main => HEADERIMMUTABLE,
        }
    }
}

/// The length of a whole header, from the 16 bytes it starts with.
pub(crate) fn header_len(start: &[u8], kind: HeaderKind, limits: &Limits) -> Result<usize> {
    if start.len() < INTRO {
        return Err(Error::Truncated(kind.name()));
    }
    if !start.starts_with(&MAGIC) {
        return Err(Error::HeaderMagic(kind.name()));
    }
    let (entries, data) = intro(start).ok_or(Error::Truncated(kind.name()))?;
    let (max_entries, max_data) = match kind {
        HeaderKind::Signature => (limits.signature_entries, limits.signature_data),
        HeaderKind::Main => (limits.header_entries, limits.header_data),
    };
    let check = |what, value: u32, max: u32| {
        if value == 0 || value > max {
            let value = value.into();
            return Err(Error::Limit { what, value });
        }
        Ok(())
    };
    check("number of header entries", entries, max_entries)?;
    check("size of header data", data, max_data)?;
    Ok(INTRO + entries as usize * INDEX + data as usize)
}

pub(super) fn parse(raw: Vec<u8>, kind: HeaderKind, limits: &Limits) -> Result<Header> {
    let len = header_len(&raw, kind, limits)?;
    if raw.len() != len {
        return Err(Error::Truncated(kind.name()));
    }
    let (count, _) = intro(&raw).ok_or(Error::Truncated(kind.name()))?;
    let store = INTRO + count as usize * INDEX;
    let (index, data) = raw[INTRO..].split_at(store - INTRO);
    let index: Vec<[u32; 4]> = index.chunks_exact(INDEX).map(words).collect();
    check_region(&index, data, kind)?;
    let entries = check_entries(&index, data, kind)?;
    Ok(Header { raw, entries, store })
}

/// Tag, type, offset and count of an index entry.
fn words(entry: &[u8]) -> [u32; 4] {
    let word = |i: usize| read_int(&entry[i * 4..i * 4 + 4]) as u32;
    [word(0), word(1), word(2), word(3)]
}

/// A main header with a region must be that region and nothing else: entries beside it would be
/// outside of what digests and signatures cover.
fn check_region(index: &[[u32; 4]], data: &[u8], kind: HeaderKind) -> Result<()> {
    let [tag, raw_type, offset, count] = index[0];
    if tag != kind.region() {
        // packages of RPM 3 have no region; a region that is not the first entry is an attack
        return if index.iter().any(|e| e[0] < HEADERI18NTABLE) {
            Err(Error::Region("not the first entry"))
        } else {
            Ok(())
        };
    }
    if raw_type != 7 || count != INDEX as u32 {
        return Err(Error::Region("type or count"));
    }
    let start = offset as usize;
    let trailer = data.get(start..start + INDEX).ok_or(Error::Region("trailer out of range"))?;
    let [trailer_tag, trailer_type, trailer_offset, trailer_count] = words(trailer);
    let known = trailer_tag == tag || (kind == HeaderKind::Signature && trailer_tag == HEADERIMAGE);
    if !known || trailer_type != 7 || trailer_count != INDEX as u32 {
        return Err(Error::Region("trailer"));
    }
    // the trailer's offset is negative: how far the region's index reaches back
    let reach = trailer_offset.wrapping_neg() as usize;
    let entries = reach / INDEX;
    if !reach.is_multiple_of(INDEX) || entries == 0 || entries > index.len() {
        return Err(Error::Region("number of entries"));
    }
    if kind == HeaderKind::Main && (entries != index.len() || start + INDEX != data.len()) {
        return Err(Error::Region("smaller than the header"));
    }
    Ok(())
}

fn check_entries(index: &[[u32; 4]], data: &[u8], kind: HeaderKind) -> Result<Vec<Entry>> {
    let mut entries = Vec::with_capacity(index.len());
    let mut spans = Vec::with_capacity(index.len());
    for (position, words) in index.iter().enumerate() {
        let entry = check_entry(*words, data)?;
        let region = entry.tag < HEADERI18NTABLE;
        if region && position > 0 {
            return Err(Error::Region("not the first entry"));
        }
        spans.push((entry.start, entry.end, entry.tag));
        entries.push(entry);
    }
    spans.sort_unstable();
    for pair in spans.windows(2) {
        if pair[0].1 > pair[1].0 {
            let tag = pair[1].2;
            return Err(Error::Entry { tag, problem: "overlaps another entry" });
        }
    }
    entries.sort_by_key(|e| e.tag);
    for pair in entries.windows(2) {
        if pair[0].tag == pair[1].tag && kind == HeaderKind::Main {
            let tag = pair[0].tag;
            return Err(Error::Entry { tag, problem: "present twice" });
        }
    }
    entries.dedup_by_key(|e| e.tag);
    Ok(entries)
}

fn check_entry([tag, number, offset, count]: [u32; 4], data: &[u8]) -> Result<Entry> {
    let bad = |problem| Error::Entry { tag, problem };
    let raw_type = RawType::from_number(number).ok_or_else(|| bad("unknown type"))?;
    let start = offset as usize;
    let width = raw_type.width();
    if count == 0 {
        return Err(bad("no values"));
    }
    if !start.is_multiple_of(width) {
        return Err(bad("misaligned"));
    }
    let rest = data.get(start..).ok_or_else(|| bad("offset out of range"))?;
    let len = match raw_type {
        RawType::Null => return Err(bad("null type")),
        RawType::Str if count != 1 => return Err(bad("more than one plain string")),
        RawType::Str | RawType::StrList | RawType::I18n => {
            strings_len(rest, count).ok_or_else(|| bad("string out of range"))?
        }
        _ => (count as usize)
            .checked_mul(width)
            .filter(|len| *len <= rest.len())
            .ok_or_else(|| bad("data out of range"))?,
    };
    Ok(Entry { tag, raw_type, count, start, end: start + len })
}

/// The bytes that `count` NUL-terminated strings take.
fn strings_len(data: &[u8], count: u32) -> Option<usize> {
    let mut len = 0;
    for _ in 0..count {
        len += memchr::memchr(0, &data[len..])? + 1;
    }
    Some(len)
}
