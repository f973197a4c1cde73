//! Writing a header, as rpm lays it out.

use super::parse::HeaderKind;
use crate::{Error, Result};

const MAGIC: [u8; 8] = [0x8e, 0xad, 0xe8, 0x01, 0, 0, 0, 0];

/// An entry with its data as they are stored.
#[derive(Debug, Clone)]
pub(crate) struct Raw {
    pub(crate) tag: u32,
    pub(crate) kind: u32,
    pub(crate) count: u32,
    pub(crate) data: Vec<u8>,
}

impl Raw {
    /// An entry of bytes.
    pub(crate) fn bin(tag: u32, data: Vec<u8>) -> Result<Raw> {
        let size = data.len() as u64;
        let count = u32::try_from(size);
        let count = count.map_err(|_| Error::Limit { what: "size of header data", value: size })?;
        Ok(Raw { tag, kind: 7, count, data })
    }

    /// Where its data must begin: at a multiple of this.
    fn alignment(&self) -> usize {
        match self.kind {
            3 => 2,
            4 => 4,
            5 => 8,
            _ => 1,
        }
    }
}

/// What entries that are sorted take of a header, with the gaps between their data.
pub(crate) fn size(entries: &[Raw]) -> usize {
    let data = entries
        .iter()
        .fold(0_usize, |at, entry| at.next_multiple_of(entry.alignment()) + entry.data.len());
    entries.len() * 16 + data
}

/// A header of these entries in the order of their tags, wrapped in the region of its kind.
pub(crate) fn write(mut entries: Vec<Raw>, kind: HeaderKind) -> Result<Vec<u8>> {
    entries.sort_by_key(|entry| entry.tag);
    let number = |n: usize| {
        u32::try_from(n).map_err(|_| Error::Limit { what: "size of header data", value: n as u64 })
    };
    let (mut index, mut data) = (Vec::new(), Vec::new());
    for entry in &entries {
        data.resize(data.len().next_multiple_of(entry.alignment()), 0);
        index.extend(words([entry.tag, entry.kind, number(data.len())?, entry.count]));
        data.extend_from_slice(&entry.data);
    }
    let count = number(entries.len() + 1)?;
    let start = number(data.len())?;
    // The region's end tells how far back its index reaches.
    data.extend(words([kind.region(), 7, (count * 16).wrapping_neg(), 16]));
    let mut out = MAGIC.to_vec();
    out.extend(count.to_be_bytes());
    out.extend(number(data.len())?.to_be_bytes());
    out.extend(words([kind.region(), 7, start, 16]));
    out.extend(index);
    out.extend(data);
    Ok(out)
}

fn words(words: [u32; 4]) -> impl Iterator<Item = u8> {
    words.into_iter().flat_map(u32::to_be_bytes)
}
