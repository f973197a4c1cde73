//! Checks of the digests a package carries for its header and its payload.

use std::io::{Read, Write};

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::tag::{self, signature};
use crate::{Error, Limits, Package, Result};

/// Checks SHA-1 and SHA-256 of the main header, where present; true if there was one to check.
pub fn check_header(package: &Package) -> Result<bool> {
    let header = package.header().as_bytes();
    let mut checked = false;
    if let Some(expected) = package.signature().str(tag::SHA1HEADER) {
        compare("header SHA1", expected, &hex::encode(Sha1::digest(header)))?;
        checked = true;
    }
    if let Some(expected) = package.signature().str(tag::SHA256HEADER) {
        compare("header SHA256", expected, &hex::encode(Sha256::digest(header)))?;
        checked = true;
    }
    Ok(checked)
}

/// Reads a whole package and checks every digest and size that it states.
pub fn verify(mut reader: impl Read, limits: &Limits) -> Result<Package> {
    let package = Package::read(&mut reader, limits)?;
    check_header(&package)?;
    let mut payload = PayloadCheck::new(&package);
    std::io::copy(&mut reader, &mut payload)?;
    payload.finish(&package)?;
    Ok(package)
}

/// Takes the payload of a package as a stream and checks it at the end.
pub struct PayloadCheck {
    md5: Md5,
    sha256: Sha256,
    size: u64,
}

impl PayloadCheck {
    /// Starts after the main header, which the MD5 covers too.
    pub fn new(package: &Package) -> Self {
        let mut md5 = Md5::new();
        md5.update(package.header().as_bytes());
        Self { md5, sha256: Sha256::new(), size: package.header().as_bytes().len() as u64 }
    }

    /// Compares with what the package states.
    pub fn finish(self, package: &Package) -> Result<()> {
        if let Some(size) = package.signed_size().filter(|size| *size != self.size) {
            return Err(Error::Digest {
                what: "size of header and payload",
                expected: size.to_string(),
                found: self.size.to_string(),
            });
        }
        if let Some(expected) = package.signature().bin(signature::MD5) {
            let expected = hex::encode(expected);
            compare("MD5", expected.as_bytes(), &hex::encode(self.md5.finalize()))?;
        }
        // 8 is the number of SHA-256; other algorithms have their own tags
        let header = package.header();
        let sha256 = header.int(tag::PAYLOADSHA256ALGO).is_none_or(|a| a == 8);
        if let Some(expected) = header.str(tag::PAYLOADSHA256).filter(|_| sha256) {
            compare("payload SHA256", expected, &hex::encode(self.sha256.finalize()))?;
        }
        Ok(())
    }
}

impl Write for PayloadCheck {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        self.md5.update(data);
        self.sha256.update(data);
        self.size += data.len() as u64;
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(crate) fn sha256_hex(data: &[u8]) -> String {
    hex::encode(Sha256::digest(data))
}

pub(crate) fn sha1_hex(data: &[u8]) -> String {
    hex::encode(Sha1::digest(data))
}

fn compare(what: &'static str, expected: &[u8], found: &str) -> Result<()> {
    if expected == found.as_bytes() {
        return Ok(());
    }
    Err(Error::Digest {
        what,
        expected: String::from_utf8_lossy(expected).into_owned(),
        found: found.to_owned(),
    })
}
