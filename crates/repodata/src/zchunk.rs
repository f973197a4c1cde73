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
/// Bytes of text that a chunk has at least, and with which it ends at the next package. Of small packages chunks have some
/// twenty kilobytes then, about as many as zck's own rule gives.
const LEAST: usize = 4 << 10;
const MOST: usize = 128 << 10;
/// A package of so many bytes ends its chunk, and of smaller ones one of so many: the fewer chunks begin by their length
/// alone, the sooner cuts after a change are those from before it.
const LARGE: usize = 16 << 10;
const ONE_OF: u8 = 16;
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
pub fn zchunk(document: impl BufRead, dictionary: Option<&[u8]>) -> io::Result<Zchunk> {
    // An empty one is what files without have.
    let dictionary = dictionary.filter(|dictionary| !dictionary.is_empty());
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
    let mut chunks = Chunks { document, next: Vec::new() };
    while let Some(chunk) = chunks.next()? {
        let packed = packer.compress(&chunk)?;
        entry(&mut index, &packed, chunk.len());
        data.extend(packed);
        count += 1;
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

/// Cuts a document where its own content says so, so that a package more changes the chunks around it and no others.
struct Chunks<R> {
    document: R,
    /// The line that begins the next one.
    next: Vec<u8>,
}

impl<R: BufRead> Chunks<R> {
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut chunk = std::mem::take(&mut self.next);
        let mut package = 0;
        loop {
            let line = chunk.len();
            if self.document.read_until(b'\n', &mut chunk)? == 0 {
                return Ok(Some(chunk).filter(|chunk| !chunk.is_empty()));
            }
            if !chunk[line..].starts_with(SPLIT) {
                continue;
            }
            if ends_chunk(&chunk[package..line], line) {
                self.next = chunk.split_off(line);
                return Ok(Some(chunk));
            }
            package = line;
        }
    }
}

/// Whether a package is the last one of a chunk, of which there are so many bytes then.
fn ends_chunk(package: &[u8], length: usize) -> bool {
    let chosen = || package.len() >= LARGE || Sha256::digest(package)[0] % ONE_OF == 0;
    length >= MOST || length >= LEAST && chosen()
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
    fn packages_of_one_size_keep_their_chunks_when_one_is_added() {
        let chunks = |packages: &[u32]| {
            let package = |n| format!("<package n=\"{n:04}\">\n{}\n</package>\n", "x".repeat(1000));
            let text: String = packages.iter().map(package).collect();
            let mut chunks = Chunks { document: text.as_bytes(), next: Vec::new() };
            std::iter::from_fn(|| chunks.next().unwrap()).collect::<std::collections::BTreeSet<_>>()
        };
        let mut packages: Vec<u32> = (0..3000).collect();
        let before = chunks(&packages);
        packages.insert(1000, 9999);
        let after = chunks(&packages);
        assert!(before.len() > 60, "{} chunks", before.len());
        assert!(after.difference(&before).count() <= 3, "{}", after.difference(&before).count());
        assert!(before.iter().all(|chunk| chunk.len() <= MOST + 2000));
    }

    #[test]
    fn an_empty_dictionary_is_none() {
        let text = b"<package a>\n</package>\n";
        assert_eq!(zchunk(&text[..], Some(&[])).unwrap(), zchunk(&text[..], None).unwrap());
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
