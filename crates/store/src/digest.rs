//! Checksums of files and streams.

use std::io::Read;
use std::path::Path;

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use crate::{Error, Result};

/// A checksum algorithm of uploads and RPMs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Adler-32.
    Adler32,
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// The algorithm of a name in a configuration: `md5`, `sha1`, `sha256` and `sha512`.
    pub fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "md5" => Algorithm::Md5,
            "sha1" => Algorithm::Sha1,
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            _ => return None,
        })
    }

    /// The name that [`Algorithm::by_name`] knows.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Adler32 => "adler32",
            Algorithm::Md5 => "md5",
            Algorithm::Sha1 => "sha1",
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
        }
    }

    /// The algorithm of this name, for uploads: `adler32`, `md5` and `sha256`.
    ///
    /// # Errors
    /// [`Error::Algorithm`] for another name.
    pub fn for_upload(name: &str) -> Result<Self> {
        match name {
            "adler32" => Ok(Algorithm::Adler32),
            "md5" => Ok(Algorithm::Md5),
            "sha256" => Ok(Algorithm::Sha256),
            other => Err(Error::Algorithm(other.to_owned())),
        }
    }
}

/// A checksum being computed.
pub enum Hasher {
    /// Adler-32: both halves.
    Adler32(u32, u32),
    /// MD5.
    Md5(Md5),
    /// SHA-1.
    Sha1(Sha1),
    /// SHA-256.
    Sha256(Sha256),
    /// SHA-512.
    Sha512(Sha512),
}

impl Hasher {
    /// A checksum of nothing yet.
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Adler32 => Hasher::Adler32(1, 0),
            Algorithm::Md5 => Hasher::Md5(Md5::new()),
            Algorithm::Sha1 => Hasher::Sha1(Sha1::new()),
            Algorithm::Sha256 => Hasher::Sha256(Sha256::new()),
            Algorithm::Sha512 => Hasher::Sha512(Sha512::new()),
        }
    }

    /// Adds data.
    pub fn update(&mut self, data: &[u8]) {
        match self {
            Hasher::Adler32(a, b) => {
                // The sums of 5,552 bytes still fit into 32 bits.
                for chunk in data.chunks(5552) {
                    for byte in chunk {
                        *a += u32::from(*byte);
                        *b += *a;
                    }
                    *a %= 65521;
                    *b %= 65521;
                }
            }
            Hasher::Md5(h) => h.update(data),
            Hasher::Sha1(h) => h.update(data),
            Hasher::Sha256(h) => h.update(data),
            Hasher::Sha512(h) => h.update(data),
        }
    }

    /// The hexadecimal digits of the checksum.
    pub fn finish(self) -> String {
        match self {
            Hasher::Adler32(a, b) => format!("{:08x}", b << 16 | a),
            Hasher::Md5(h) => hex::encode(h.finalize()),
            Hasher::Sha1(h) => hex::encode(h.finalize()),
            Hasher::Sha256(h) => hex::encode(h.finalize()),
            Hasher::Sha512(h) => hex::encode(h.finalize()),
        }
    }
}

impl std::io::Write for Hasher {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        self.update(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The checksums of a file, in the order of the algorithms, and its size.
///
/// # Errors
/// When the file cannot be read.
pub fn hash(path: &Path, algorithms: &[Algorithm]) -> Result<(Vec<String>, u64)> {
    hash_of(std::fs::File::open(path).map_err(Error::io(path))?, path, algorithms)
}

/// The same of what is read from somewhere; the path is for errors.
///
/// # Errors
/// When it cannot be read.
pub fn hash_of(
    mut file: impl Read,
    path: &Path,
    algorithms: &[Algorithm],
) -> Result<(Vec<String>, u64)> {
    let mut hashers: Vec<Hasher> = algorithms.iter().map(|a| Hasher::new(*a)).collect();
    let mut buffer = vec![0; 1 << 18];
    let mut size = 0;
    loop {
        let n = file.read(&mut buffer).map_err(Error::io(path))?;
        if n == 0 {
            break;
        }
        size += n as u64;
        hashers.iter_mut().for_each(|h| h.update(&buffer[..n]));
    }
    Ok((hashers.into_iter().map(Hasher::finish).collect(), size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adler32_is_zlibs() {
        let mut hasher = Hasher::new(Algorithm::Adler32);
        hasher.update(b"Wikipedia");
        assert_eq!(hasher.finish(), "11e60398");
        let mut long = Hasher::new(Algorithm::Adler32);
        long.update(&[255; 20_000]);
        let mut pieces = Hasher::new(Algorithm::Adler32);
        [255; 20_000].chunks(7).for_each(|c| pieces.update(c));
        assert_eq!(long.finish(), pieces.finish());
    }
}
