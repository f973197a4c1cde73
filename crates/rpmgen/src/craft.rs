//! Package files put together byte by byte, for what rpmbuild does not make.

use flate2::Compression;
use flate2::write::GzEncoder;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::io::Write;

const MAGIC: [u8; 8] = [0x8e, 0xad, 0xe8, 0x01, 0, 0, 0, 0];

/// A value as headers store it.
#[derive(Debug, Clone)]
pub enum Value {
    /// 16-bit numbers.
    Int16(Vec<u16>),
    /// 32-bit numbers.
    Int32(Vec<u32>),
    /// 64-bit numbers.
    Int64(Vec<u64>),
    /// One string.
    Str(Vec<u8>),
    /// A list of strings.
    Strs(Vec<Vec<u8>>),
    /// A string with translations.
    I18n(Vec<Vec<u8>>),
    /// Bytes.
    Bin(Vec<u8>),
}

impl Value {
    /// One string.
    pub fn str(text: impl Into<Vec<u8>>) -> Self {
        Self::Str(text.into())
    }

    /// A list of strings.
    pub fn strs<T: Into<Vec<u8>>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::Strs(texts.into_iter().map(Into::into).collect())
    }

    /// Type number, count, bytes.
    fn encode(&self) -> (u32, usize, Vec<u8>) {
        let joined = |texts: &[Vec<u8>]| {
            texts.iter().flat_map(|text| text.iter().copied().chain([0])).collect::<Vec<u8>>()
        };
        match self {
            Self::Int16(n) => (3, n.len(), n.iter().flat_map(|n| n.to_be_bytes()).collect()),
            Self::Int32(n) => (4, n.len(), n.iter().flat_map(|n| n.to_be_bytes()).collect()),
            Self::Int64(n) => (5, n.len(), n.iter().flat_map(|n| n.to_be_bytes()).collect()),
            Self::Str(text) => (6, 1, joined(std::slice::from_ref(text))),
            Self::Bin(bytes) => (7, bytes.len(), bytes.clone()),
            Self::Strs(texts) => (8, texts.len(), joined(texts)),
            Self::I18n(texts) => (9, texts.len(), joined(texts)),
        }
    }
}

/// A header from its tags; `region` (62 or 63) wraps them as RPM 4 does, `None` is RPM 3's way.
pub fn header(tags: &[(u32, Value)], region: Option<u32>) -> Vec<u8> {
    let mut tags = tags.to_vec();
    tags.sort_by_key(|(tag, _)| *tag);
    let (mut index, mut data) = (Vec::new(), Vec::new());
    for (tag, value) in &tags {
        let (kind, count, bytes) = value.encode();
        let align = [1, 1, 1, 2, 4, 8].get(kind as usize).copied().unwrap_or(1);
        data.resize(data.len().next_multiple_of(align), 0);
        index.extend(entry([*tag, kind, data.len() as u32, count as u32]));
        data.extend(bytes);
    }
    let mut entries = tags.len() as u32;
    if let Some(region) = region {
        entries += 1;
        let start = data.len() as u32;
        data.extend(entry([region, 7, (entries * 16).wrapping_neg(), 16]));
        index.splice(0..0, entry([region, 7, start, 16]));
    }
    let mut out = MAGIC.to_vec();
    out.extend(entries.to_be_bytes());
    out.extend((data.len() as u32).to_be_bytes());
    out.extend(index);
    out.extend(data);
    out
}

fn entry(words: [u32; 4]) -> impl Iterator<Item = u8> {
    words.into_iter().flat_map(u32::to_be_bytes)
}

/// The tags of a header, for another one that is made of them.
///
/// # Errors
/// For types that [`Value`] does not have, and offsets that lead out of the header.
pub fn entries(header: &[u8]) -> std::io::Result<Vec<(u32, Value)>> {
    let wrong = || std::io::Error::other("not a header that can be taken apart");
    let word = |at: usize| {
        let bytes = header.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map(|bytes| u32::from_be_bytes(bytes) as usize).ok_or_else(wrong)
    };
    let count = word(8)?;
    let data = header.get(16 + count * 16..).ok_or_else(wrong)?;
    let mut tags = Vec::new();
    for at in (0..count).map(|i| 16 + i * 16) {
        let (tag, kind, start, many) = (word(at)?, word(at + 4)?, word(at + 8)?, word(at + 12)?);
        let rest = data.get(start..).ok_or_else(wrong)?;
        let numbers = |width: usize| {
            let bytes = rest.get(..many * width).ok_or_else(wrong)?;
            let number = |n: &[u8]| n.iter().fold(0_u64, |sum, b| (sum << 8) | u64::from(*b));
            Ok::<_, std::io::Error>(bytes.chunks_exact(width).map(number).collect::<Vec<_>>())
        };
        let texts = || rest.split(|b| *b == 0).take(many).map(<[u8]>::to_vec).collect::<Vec<_>>();
        let value = match kind {
            3 => Value::Int16(numbers(2)?.into_iter().map(|n| n as u16).collect()),
            4 => Value::Int32(numbers(4)?.into_iter().map(|n| n as u32).collect()),
            5 => Value::Int64(numbers(8)?),
            6 => Value::Str(texts().swap_remove(0)),
            7 => Value::Bin(rest.get(..many).ok_or_else(wrong)?.to_vec()),
            8 => Value::Strs(texts()),
            9 => Value::I18n(texts()),
            _ => return Err(wrong()),
        };
        tags.push((u32::try_from(tag).map_err(|_| wrong())?, value));
    }
    Ok(tags)
}

/// A whole package file.
pub fn package(name: &str, source: bool, signature: &[u8], main: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0xed, 0xab, 0xee, 0xdb, 3, 0, 0, u8::from(source), 0, 1];
    let mut lead_name = name.as_bytes().to_vec();
    lead_name.resize(66, 0);
    lead_name[65] = 0;
    out.extend(lead_name);
    out.extend([0, 1, 0, 5]);
    out.resize(96, 0);
    out.extend(signature);
    out.resize(out.len().next_multiple_of(8), 0);
    out.extend(main);
    out.extend(payload);
    out
}

/// A package in the format of RPM 6: 64-bit sizes, no MD5 and SHA-1, digests of the payload in the header.
pub fn rpm6(name: &str, tags: &[(u32, Value)], payload: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(payload)?;
    let compressed = gzip.finish()?;
    let mut tags = tags.to_vec();
    // 5114 is the version of the format, 5112 the size of the payload, 5113 that before compression
    tags.push((5092, Value::strs([hex::encode(Sha256::digest(&compressed))])));
    tags.push((5093, Value::Int32(vec![8])));
    tags.push((5097, Value::strs([hex::encode(Sha256::digest(payload))])));
    tags.push((5112, Value::Int64(vec![compressed.len() as u64])));
    tags.push((5113, Value::Int64(vec![payload.len() as u64])));
    tags.push((5114, Value::Int32(vec![6])));
    let source = tags.iter().any(|(tag, _)| *tag == 1106);
    let main = header(&tags, Some(63));
    let signature = [(273, Value::str(hex::encode(Sha256::digest(&main))))];
    let mut bytes = package(name, source, &header(&signature, Some(62)), &main, &compressed);
    bytes[4] = 4;
    Ok(bytes)
}

/// A package with correct digests and a small gzip payload of `payload` bytes' content.
pub fn rpm4(name: &str, tags: &[(u32, Value)], payload: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(payload)?;
    let compressed = gzip.finish()?;
    let mut tags = tags.to_vec();
    tags.push((5092, Value::strs([hex::encode(Sha256::digest(&compressed))])));
    tags.push((5093, Value::Int32(vec![8])));
    let source = tags.iter().any(|(tag, _)| *tag == 1106);
    let main = header(&tags, Some(63));
    let md5 = Md5::new().chain_update(&main).chain_update(&compressed).finalize();
    let signature = [
        (269, Value::str(hex::encode(Sha1::digest(&main)))),
        (273, Value::str(hex::encode(Sha256::digest(&main)))),
        (1000, Value::Int32(vec![(main.len() + compressed.len()) as u32])),
        (1004, Value::Bin(md5.to_vec())),
        (1007, Value::Int32(vec![payload.len() as u32])),
    ];
    Ok(package(name, source, &header(&signature, Some(62)), &main, &compressed))
}
