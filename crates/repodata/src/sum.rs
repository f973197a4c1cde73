//! The checksums that metadata may use: SHA-256, and others for old or strict readers.

use std::fmt;
use std::str::FromStr;

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use crate::Error;

/// A kind of checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Sum {
    /// Broken; only for very old readers.
    Md5,
    /// Broken; under the name that yum used first.
    Sha,
    /// Broken; only for old readers.
    Sha1,
    /// SHA-224.
    Sha224,
    /// What everything reads.
    #[default]
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Sum {
    /// Every kind.
    pub const ALL: [Self; 7] =
        [Self::Md5, Self::Sha, Self::Sha1, Self::Sha224, Self::Sha256, Self::Sha384, Self::Sha512];

    /// The name in metadata.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha => "sha",
            Self::Sha1 => "sha1",
            Self::Sha224 => "sha224",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// Starts to compute.
    pub fn hasher(self) -> Hasher {
        Hasher(match self {
            Self::Md5 => Inner::Md5(Md5::new()),
            Self::Sha | Self::Sha1 => Inner::Sha1(Sha1::new()),
            Self::Sha224 => Inner::Sha224(Sha224::new()),
            Self::Sha256 => Inner::Sha256(Sha256::new()),
            Self::Sha384 => Inner::Sha384(Sha384::new()),
            Self::Sha512 => Inner::Sha512(Sha512::new()),
        })
    }

    /// The checksum of `data` in hexadecimal.
    pub fn of(self, data: &[u8]) -> String {
        let mut hasher = self.hasher();
        hasher.update(data);
        hasher.finish()
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Sum {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let name = text.to_ascii_lowercase();
        let found = Self::ALL.into_iter().find(|sum| sum.name() == name);
        found.ok_or_else(|| Error::Sum(text.to_owned()))
    }
}

/// A checksum in the making.
#[derive(Clone)]
pub struct Hasher(Inner);

#[derive(Clone)]
enum Inner {
    Md5(Md5),
    Sha1(Sha1),
    Sha224(Sha224),
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl Hasher {
    /// Takes more data.
    pub fn update(&mut self, data: &[u8]) {
        match &mut self.0 {
            Inner::Md5(hash) => hash.update(data),
            Inner::Sha1(hash) => hash.update(data),
            Inner::Sha224(hash) => hash.update(data),
            Inner::Sha256(hash) => hash.update(data),
            Inner::Sha384(hash) => hash.update(data),
            Inner::Sha512(hash) => hash.update(data),
        }
    }

    /// The checksum in hexadecimal.
    pub fn finish(self) -> String {
        match self.0 {
            Inner::Md5(hash) => hex::encode(hash.finalize()),
            Inner::Sha1(hash) => hex::encode(hash.finalize()),
            Inner::Sha224(hash) => hex::encode(hash.finalize()),
            Inner::Sha256(hash) => hex::encode(hash.finalize()),
            Inner::Sha384(hash) => hex::encode(hash.finalize()),
            Inner::Sha512(hash) => hex::encode(hash.finalize()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values() {
        for sum in Sum::ALL {
            assert_eq!(sum.name().parse::<Sum>().unwrap(), sum);
        }
        assert!("crc".parse::<Sum>().is_err());
        assert_eq!(Sum::Md5.of(b""), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(Sum::Sha.of(b"a"), Sum::Sha1.of(b"a"));
        assert_eq!(Sum::Sha512.of(b"").len(), 128);
    }
}
