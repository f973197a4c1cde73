//! Signature headers apart from their packages: cutting out, checking, putting into another copy.

use std::io::{Read, Write};

use crate::header::Raw;
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

/// What a signature header is filed under whose signature does not tell its key.
pub const UNKNOWN: &str = "unknown";

/// What a signature header is filed under if nobody chose a label: the key as Koji writes it, nothing for no
/// signature, [`UNKNOWN`] for one of a kind that does not tell its key.
pub fn label(header: &Header) -> String {
    sigkey(header).map_or_else(|_| UNKNOWN.to_owned(), Option::unwrap_or_default)
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

/// A signature header with a signature of the main header in the place of those that are there, as rpmsign of RPM 4
/// writes it; headers of RPM 6 packages, which have room for any number, get a further one. With its padding.
///
/// Fails for a packet that tells no key, and for one that is there already.
pub fn sign(header: &Header, packet: &[u8], limits: &Limits) -> Result<Vec<u8>> {
    let signature = Signature::parse(packet)?;
    signature.key_id()?;
    if crate::signers::of(header).iter().any(|signer| signer.packet == packet) {
        return Err(Error::Packet("there already"));
    }
    let six = is_six(header);
    let signed = |tag: u32| !six && crate::signers::Slot::ALL.iter().any(|slot| slot.tag() == tag);
    let mut entries: Vec<Raw> = header.raw().filter(|entry| !signed(entry.tag)).collect();
    let before = crate::header::size(&header.raw().collect::<Vec<_>>());
    if six {
        add_text(&mut entries, crate::openpgp::encode_base64(packet));
    } else {
        // 1 to 3 are the numbers of RSA.
        let rsa = (1..=3).contains(&signature.key_algorithm);
        let tag = if rsa { tag::RSAHEADER } else { tag::DSAHEADER };
        entries.push(Raw::bin(tag, packet.to_vec())?);
    }
    // What the header grows by is taken from the room that is reserved for it.
    entries.sort_by_key(|entry| entry.tag);
    let after = crate::header::size(&entries);
    let room = [signature::RESERVEDSPACE, signature::RESERVED];
    if let Some(entry) = entries.iter_mut().find(|entry| room.contains(&entry.tag)) {
        let wanted = (entry.data.len() + before).checked_sub(after).filter(|left| *left > 0);
        if let Some(left) = wanted {
            *entry = Raw::bin(entry.tag, vec![0; left])?;
        }
    }
    let mut bytes = crate::header::write(entries, HeaderKind::Signature)?;
    bytes.resize(bytes.len() + padding_len(bytes.len()), 0);
    parse_signature(&bytes, limits)?;
    Ok(bytes)
}

/// Whether signatures are in the list that RPM 6 has: the header states neither MD5 nor SHA-1.
fn is_six(header: &Header) -> bool {
    header.has(tag::OPENPGP) || !header.has(signature::MD5) && !header.has(tag::SHA1HEADER)
}

/// Adds a signature to the list that RPM 6 has.
fn add_text(entries: &mut Vec<Raw>, text: String) {
    let text = text.into_bytes().into_iter().chain([0]);
    match entries.iter_mut().find(|entry| entry.tag == tag::OPENPGP) {
        Some(list) => {
            list.count += 1;
            list.data.extend(text);
        }
        None => entries.push(Raw { tag: tag::OPENPGP, kind: 8, count: 1, data: text.collect() }),
    }
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
