//! zchunk files: metadata in chunks that clients fetch one by one, if they do not have them from the last state.
//!
//! The format is that of libzck 1.x: a lead (magic, checksum type, size and SHA-256 of the header), the header (SHA-256
//! of the data, flags, compression, index, signatures), then a dictionary and the chunks, a zstd frame each. Numbers
//! are of seven bits a byte, the lowest first; the last byte has its high bit set.

use std::io::{self, BufRead};

use sha2::{Digest, Sha256, Sha512};

/// As `zck` has it.
const LEVEL: i32 = 9;
/// What begins a chunk: a package is never in two of them.
const SPLIT: &[u8] = b"<package ";
/// Chunks have at least this many bytes of text, about as many as zck's own rule gives.
const LEAST: usize = 16 << 10;
/// SHA-256 of everything; the first half of SHA-512 for chunks; zstd.
const SHA256: u64 = 1;
const HALF_SHA512: u64 = 3;
const ZSTD: u64 = 2;

/// A zchunk file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zchunk {
    /// Everything.
    pub data: Vec<u8>,
    /// The length of lead and header, in bytes.
    pub header_size: u64,
    /// The SHA-256 of lead and header, in hexadecimal.
    pub header_checksum: String,
}

/// Makes a zchunk file of a metadata document. A dictionary should be the same from state to state, or no chunk is.
///
/// # Errors
/// When the document cannot be read.
pub fn zchunk(mut document: impl BufRead, dictionary: Option<&[u8]>) -> io::Result<Zchunk> {
    let mut packer = match dictionary {
        Some(dictionary) => zstd::bulk::Compressor::with_dictionary(LEVEL, dictionary)?,
        None => zstd::bulk::Compressor::new(LEVEL)?,
    };
    let (mut index, mut data, mut count) = (Vec::new(), Vec::new(), 1);
    match dictionary {
        Some(dictionary) => {
            let packed = zstd::bulk::compress(dictionary, LEVEL)?;
            entry(&mut index, &packed, dictionary.len());
            data.extend(packed);
        }
        None => index.extend([0; 16].iter().chain(&[0x80, 0x80])),
    }
    let mut chunk = Vec::new();
    loop {
        let line_at = chunk.len();
        let ended = document.read_until(b'\n', &mut chunk)? == 0;
        let next = chunk[line_at..].starts_with(SPLIT) && line_at >= LEAST;
        if (ended || next) && line_at > 0 {
            let rest = chunk.split_off(line_at);
            let packed = packer.compress(&chunk)?;
            entry(&mut index, &packed, chunk.len());
            data.extend(packed);
            count += 1;
            chunk = rest;
        }
        if ended {
            break;
        }
    }
    let mut header = Sha256::digest(&data).to_vec();
    let mut all = Vec::new();
    number(&mut all, HALF_SHA512);
    number(&mut all, count);
    all.extend(index);
    for value in [0, ZSTD, all.len() as u64] {
        number(&mut header, value);
    }
    header.extend(all);
    // No signatures.
    number(&mut header, 0);
    let mut file = b"\0ZCK1".to_vec();
    number(&mut file, SHA256);
    number(&mut file, header.len() as u64);
    let checksum = Sha256::new().chain_update(&file).chain_update(&header).finalize();
    file.extend_from_slice(&checksum);
    file.extend(header);
    let header_size = file.len() as u64;
    file.extend(data);
    Ok(Zchunk { data: file, header_size, header_checksum: hex::encode(checksum) })
}

fn entry(index: &mut Vec<u8>, packed: &[u8], open: usize) {
    index.extend_from_slice(&Sha512::digest(packed)[..16]);
    number(index, packed.len() as u64);
    number(index, open as u64);
}

fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8);
        value >>= 7;
    }
    out.push(value as u8 | 0x80);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let of = |value| {
            let mut out = Vec::new();
            number(&mut out, value);
            out
        };
        assert_eq!(of(0), [0x80]);
        assert_eq!(of(2057), [0x09, 0x90]);
        assert_eq!(of(127), [0xff]);
        assert_eq!(of(128), [0x00, 0x81]);
    }

    #[test]
    fn a_new_package_changes_its_own_chunk() {
        let document = |packages: &[u32]| -> Zchunk {
            let text: String = packages
                .iter()
                .map(|n| {
                    format!("<package n=\"{n}\">\n{}\n</package>\n", n.to_string().repeat(9000))
                })
                .collect();
            zchunk(format!("<?xml?>\n<metadata>\n{text}</metadata>\n").as_bytes(), None).unwrap()
        };
        let (before, after) =
            (document(&[100, 200, 300, 400]), document(&[100, 200, 250, 300, 400]));
        let frame = |n: u32| {
            let text = format!("<package n=\"{n}\">\n{}\n</package>\n", n.to_string().repeat(9000));
            zstd::bulk::Compressor::new(LEVEL).unwrap().compress(text.as_bytes()).unwrap()
        };
        for (file, has) in [(&before, false), (&after, true)] {
            for (n, there) in [(200, true), (250, has), (300, true)] {
                let frame = frame(n);
                assert_eq!(file.data.windows(frame.len()).any(|w| w == frame), there, "{n}");
            }
        }
    }
}
