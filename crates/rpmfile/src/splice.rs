//! Signature headers apart from their packages: cutting out, checking, putting into another copy.

use std::io::{Read, Write};

use crate::openpgp::Signature;
use crate::package::{LEAD, padding_len};
use crate::tag::{self, signature};
use crate::{Error, Header, HeaderKind, Limits, Package, Result};

/// Parses a signature header as it is cached: from its magic to the end of its padding.
pub fn parse_signature(data: &[u8], limits: &Limits) -> Result<Header> {
    let len = crate::header::header_len(data, HeaderKind::Signature, limits)?;
    if data.len() != len && data.len() != len + padding_len(len) {
        return Err(Error::Truncated("signature header"));
    }
    Header::parse(data[..len].to_vec(), HeaderKind::Signature, limits)
}

/// The OpenPGP packet that Koji takes for the signature in a signature header.
pub fn signature_packet(header: &Header) -> Result<Option<Vec<u8>>> {
    let tags = [signature::GPG, signature::PGP, tag::DSAHEADER, tag::RSAHEADER];
    if let Some(packet) = tags.iter().find_map(|tag| header.bin(*tag)) {
        return Ok(Some(packet.to_vec()));
    }
    match header.str(tag::OPENPGP) {
        Some(text) => crate::openpgp::decode_base64(text).map(Some),
        None => Ok(None),
    }
}

/// The signing key that a signature header names, as Koji writes it; nothing for no signature.
pub fn sigkey(header: &Header) -> Result<Option<String>> {
    match signature_packet(header)? {
        Some(packet) => Signature::parse(&packet)?.koji_key_id().map(Some),
        None => Ok(None),
    }
}

/// Whether a signature header belongs to a package: by the digests of the main header that it
/// states. Fails for a header that states none.
pub fn belongs(signature: &Header, package: &Package) -> Result<bool> {
    let main = package.header().as_bytes();
    let mut known = false;
    for (tag, found) in [
        (tag::SHA256HEADER, crate::digest::sha256_hex(main)),
        (tag::SHA1HEADER, crate::digest::sha1_hex(main)),
    ] {
        if let Some(stated) = signature.str(tag) {
            known = true;
            if stated != found.as_bytes() {
                return Ok(false);
            }
        }
    }
    if known { Ok(true) } else { Err(Error::Missing("SHA256HEADER")) }
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
