//! Who signed an RPM: the keys that its signature headers name, and what the headers are filed under.

use std::path::PathBuf;

use md5::{Digest as _, Md5};
use toji_db::rpm::signer::{self as db, Key, Signer};
use toji_rpmfile::{Header, Limits, signers, splice};
use toji_types::path::{BuildRef, RpmRef};
use toji_value::{Fault, Value, list, map};

use super::signature::Place;
use crate::{Call, files};

/// The signatures of a header, as the database keeps them.
pub(crate) fn of_header(header: &Header) -> Vec<Signer> {
    let one = |found: &signers::Signer| {
        let told = found.signature.as_ref();
        Signer {
            slot: found.slot.name().to_owned(),
            version: told.map(|s| s.version.into()),
            algorithm: told.map(|s| s.key_algorithm.into()),
            hash: told.map(|s| s.hash_algorithm.into()),
            created: told.and_then(|s| s.created).map(i64::from),
            key_id: found.key_id(),
            fingerprint: found.fingerprint(),
        }
    };
    signers::of(header).iter().map(one).collect()
}

/// What a signature header is filed under for which nobody chose a label: the last eight digits of its key's id, as with
/// Koji. Where these are another key's already it is the whole id, and where that is too, the fingerprint.
///
/// # Errors
/// When the database fails.
pub(super) async fn label(
    call: &mut Call,
    place: &Place,
    header: &Header,
    found: &[Signer],
) -> Result<String, Fault> {
    let short = splice::label(header);
    let named = found.iter().find(|one| one.key_id.as_ref().is_some_and(|id| id.ends_with(&short)));
    let Some(own) = named.filter(|_| !short.is_empty()) else { return Ok(short) };
    let names = [Some(short.clone()), own.key_id.clone(), own.fingerprint.clone()];
    for name in names.into_iter().flatten() {
        let others = of_label(call, place, &name).await?;
        let same = |other: &Signer| {
            other.key_id == own.key_id
                && (other.fingerprint.is_none()
                    || own.fingerprint.is_none()
                    || other.fingerprint == own.fingerprint)
        };
        if others.is_empty() || others.iter().any(same) {
            return Ok(name);
        }
    }
    Ok(short)
}

/// The signatures of the header that an RPM has under a label; read from the header if an older hub has imported it.
async fn of_label(call: &mut Call, place: &Place, label: &str) -> Result<Vec<Signer>, Fault> {
    if let Some(known) = db::of_label(&mut call.tx, place.id, label).await? {
        return Ok(known);
    }
    let path = place.header_path(call, label)?;
    Ok(read(call, path).await?.unwrap_or_default())
}

/// The signatures of a stored signature header; nothing if it is not there or no signature header.
pub(super) async fn read(call: &Call, path: PathBuf) -> Result<Option<Vec<Signer>>, Fault> {
    let store = call.hub.store.clone();
    let read = move || Ok(store.read(&path).ok());
    let Some(bytes) = files::blocking(read).await? else { return Ok(None) };
    let header = splice::parse_signature(&bytes, &Limits::default());
    Ok(header.ok().map(|header| of_header(&header)))
}

/// Enters the signatures of headers that another hub has imported; the answer of `signatures.index`.
///
/// # Errors
/// When the database fails.
pub(crate) async fn index(
    call: &mut Call,
    after: (i64, String),
    limit: i64,
) -> Result<Value, Fault> {
    let rows = db::without(&mut call.tx, (after.0, &after.1), limit).await?;
    let mut wanted = Vec::with_capacity(rows.len());
    for row in &rows {
        let part = |name| row.get::<String>(name);
        let (volume, sigkey) = (part("volume")?, part("sigkey")?);
        let build = (part("build_name")?, part("build_version")?, part("build_release")?);
        let rpm = (part("name")?, part("version")?, part("release")?, part("arch")?);
        let paths = &call.hub.paths;
        let at = BuildRef {
            volume: Some(&volume),
            name: &build.0,
            version: &build.1,
            release: &build.2,
        };
        let rpm = RpmRef { name: &rpm.0, version: &rpm.1, release: &rpm.2, arch: &rpm.3 };
        let header = format!("{}/{}", paths.build(at), paths.sighdr(rpm, &sigkey));
        // A label is free text, and may not lead elsewhere.
        let path = toji_store::join(&[&sigkey]).is_ok().then(|| PathBuf::from(header));
        wanted.push((row.get::<i64>("rpm_id")?, sigkey, part("sighash")?, path));
    }
    let last = wanted.last().map(|(id, label, ..)| list![*id, label.as_str()]);
    let full = i64::try_from(wanted.len()).is_ok_and(|count| count == limit);
    let store = call.hub.store.clone();
    let read = move || {
        let (mut headers, mut missing) = (Vec::new(), Vec::new());
        for (rpm, sigkey, sighash, path) in wanted {
            let bytes = path.and_then(|path| store.read(&path).ok());
            let bytes = bytes.filter(|bytes| hex::encode(Md5::digest(bytes)) == sighash);
            let header =
                bytes.and_then(|bytes| splice::parse_signature(&bytes, &Limits::default()).ok());
            match header.map(|header| of_header(&header)).filter(|found| !found.is_empty()) {
                Some(signers) => headers.push(db::Signed { rpm, sigkey, sighash, signers }),
                None => missing.push(list![rpm, sigkey]),
            }
        }
        Ok((headers, missing))
    };
    let (headers, missing) = files::blocking(read).await?;
    db::insert(&mut call.tx, &headers).await?;
    let count = i64::try_from(headers.len()).unwrap_or(i64::MAX);
    let after = last.filter(|_| full).unwrap_or_default();
    Ok(map! { "read" => count, "missing" => missing, "after" => after }.into())
}

/// The label of the one signature that a caller's label, long id or fingerprint means; the text in lower case where there
/// is none.
///
/// # Errors
/// When the key has several signatures on the package, none of them filed under that text.
pub(super) async fn one(call: &mut Call, place: &Place, key: &str) -> Result<String, Fault> {
    let key = Key::parse(key);
    let labels = db::labels(&mut call.tx, place.id, &key).await?;
    match labels.as_slice() {
        [label] => Ok(label.clone()),
        [label, ..] if label == key.text() => Ok(label.clone()),
        [] => Ok(key.text().to_owned()),
        several => Err(Fault::generic(format!(
            "{} has several signatures of key {}: {}",
            place.nvra(),
            key.text(),
            several.join(", ")
        ))),
    }
}
