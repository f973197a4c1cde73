//! Signature headers apart from their packages: cutting out, checking, putting into another copy.

use std::io::{Read, Write};

use crate::package::{LEAD, padding_len};
use crate::{Error, Header, HeaderKind, Limits, Package, Result};

/// Parses a signature header as it is cached: from its magic to the end of its padding.
pub fn parse_signature(data: &[u8], limits: &Limits) -> Result<Header> {
    let len = crate::header::header_len(data, HeaderKind::Signature, limits)?;
    if data.len() != len && data.len() != len + padding_len(len) {
        return Err(Error::Truncated("signature header"));
    }
    Header::parse(data[..len].to_vec(), HeaderKind::Signature, limits)
}

/// Copies a package from `source` to `target` with another signature header; returns its new size.
pub fn replace_signature(
    signature: &[u8],
    mut source: impl Read,
    mut target: impl Write,
    limits: &Limits,
) -> Result<u64> {
    let new = parse_signature(signature, limits)?;
    let mut lead = [0; LEAD];
    source.read_exact(&mut lead).map_err(|_| Error::NotRpm)?;
    let package = Package::read(&mut lead.chain(&mut source), limits)?;
    let padding = padding_len(new.as_bytes().len());
    target.write_all(&lead)?;
    target.write_all(new.as_bytes())?;
    target.write_all(&[0; 8][..padding])?;
    target.write_all(package.header().as_bytes())?;
    let payload = std::io::copy(&mut source, &mut target)?;
    let before = LEAD + new.as_bytes().len() + padding;
    Ok((before + package.header().as_bytes().len()) as u64 + payload)
}
