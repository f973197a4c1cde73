//! Signatures put into packages where the programs at hand cannot: by keys that rpm does not know, of files, in RPM 6's list.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use toji_rpmfile::{Limits, Package, splice};

use crate::craft::{self, Value};

/// A package of RPM 6's format with this name, version 1.0, release 1, for every arch.
pub fn rpm6(name: &str) -> Result<Vec<u8>> {
    let provides = [name];
    let tags = vec![
        (100, Value::strs(["C"])),
        (1000, Value::str(name)),
        (1001, Value::str("1.0")),
        (1002, Value::str("1")),
        (1004, Value::I18n(vec![b"A package of the format of RPM 6".to_vec()])),
        (1005, Value::I18n(vec![b"It has no files.".to_vec()])),
        (1006, Value::Int32(vec![1_750_000_000])),
        (1007, Value::str("localhost")),
        (1014, Value::str("MIT")),
        (1016, Value::I18n(vec![b"Unspecified".to_vec()])),
        (1021, Value::str("linux")),
        (1022, Value::str("noarch")),
        (1044, Value::str(format!("{name}-1.0-1.src.rpm"))),
        (1047, Value::strs(provides)),
        (1112, Value::Int32(vec![8])),
        (1113, Value::strs(["1.0-1"])),
        (1124, Value::str("cpio")),
        (1125, Value::str("gzip")),
        (1126, Value::str("9")),
    ];
    // the end of an empty archive
    let mut payload = b"07070100000000000000000000000000000000000000010000000000000000000000000000000000000000000000000000000b00000000TRAILER!!!".to_vec();
    payload.resize(payload.len().next_multiple_of(4), 0);
    Ok(craft::rpm6(&format!("{name}-1.0-1"), &tags, &payload)?)
}

/// What a signature of a package is made of: its main header.
pub fn header(package: &Path) -> Result<Vec<u8>> {
    Ok(read(package)?.1.header().as_bytes().to_vec())
}

/// Writes a package with a signature of its main header, one OpenPGP packet, in place of those that it has (RPM 6: beside
/// them).
pub fn sign(package: &Path, signature: &Path, out: &Path) -> Result<()> {
    let packet = fs::read(signature).with_context(|| signature.display().to_string())?;
    let (bytes, parsed) = read(package)?;
    let header = splice::sign(parsed.signature(), &packet, &Limits::default())?;
    join(&bytes, &header, out)
}

/// Writes a package with IMA signatures of its files, in the files' order.
pub fn ima(package: &Path, signatures: &[Vec<u8>], out: &Path) -> Result<()> {
    let (bytes, parsed) = read(package)?;
    let longest = signatures.iter().map(Vec::len).max().unwrap_or(0);
    ensure!(longest > 0, "no signatures");
    let mut tags = craft::entries(parsed.signature().as_bytes())?;
    // the room that is reserved shrinks, as with rpmsign
    tags.retain(|(tag, _)| !matches!(tag, 62 | 274 | 275 | 1008));
    tags.push((274, Value::strs(signatures.iter().map(hex::encode))));
    tags.push((275, Value::Int32(vec![u32::try_from(longest)?])));
    tags.push((1008, Value::Bin(vec![0; 64])));
    let mut header = craft::header(&tags, Some(62));
    header.resize(header.len().next_multiple_of(8), 0);
    join(&bytes, &header, out)
}

fn read(path: &Path) -> Result<(Vec<u8>, Package)> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    let package = Package::parse(&bytes, &Limits::default())?;
    Ok((bytes, package))
}

fn join(package: &[u8], header: &[u8], out: &Path) -> Result<()> {
    let mut joined = Vec::new();
    splice::replace_signature(header, package, &mut joined, &Limits::default())?;
    fs::write(out, joined).with_context(|| out.display().to_string())
}
