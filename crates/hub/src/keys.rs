//! Public keys, and whether signatures of RPMs are theirs.

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use toji_db::key as db;
use toji_db::rpm::signer::Key;
use toji_openpgp::{Certificate, Error};
use toji_rpmfile::{Header, Limits, Package, signers};
use toji_store::Store;
use toji_value::{Fault, Map, Value, map};

use crate::{Call, files};

/// What came out of the verification of a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// The signature.
    pub(crate) signer: signers::Signer,
    /// `good`, `bad`, `refused` (of a known key, but weak, or made when the key was not valid), `nokey`, or `unknown` for
    /// kinds that cannot be verified.
    pub(crate) state: &'static str,
    /// Why it is not good.
    pub(crate) reason: Option<String>,
    /// The certificate: fingerprint and name.
    pub(crate) key: Option<(String, String)>,
    /// The fingerprint of the key that has made it, if it is good.
    pub(crate) fingerprint: Option<String>,
}

impl Verdict {
    /// For the answer of a call.
    pub(crate) fn shown(&self) -> Map {
        let (key, name) = self.key.clone().unzip();
        map! {
            "slot" => self.signer.slot.name(), "key_id" => self.signer.key_id(),
            "fingerprint" => self.fingerprint.clone().or_else(|| self.signer.fingerprint()),
            "state" => self.state, "reason" => self.reason.clone(), "key" => key, "name" => name,
        }
    }

    /// For people.
    fn words(&self) -> String {
        let key = self.signer.fingerprint().or_else(|| self.signer.key_id());
        let key = key.unwrap_or_else(|| "an unknown kind".to_owned());
        let reason = self.reason.as_deref().unwrap_or(self.state);
        format!("{} of {key}: {reason}", self.signer.slot.name())
    }
}

/// Reads a certificate that a caller sends: text in armor, base64 or bytes.
///
/// # Errors
/// When it is none, or no key of it may sign.
pub(crate) fn certificate(data: &Value) -> Result<Certificate, Fault> {
    let bytes = match data {
        Value::Bytes(bytes) => bytes.clone(),
        Value::Str(text) if text.trim_start().starts_with("-----BEGIN") => {
            text.clone().into_bytes()
        }
        other => crate::rpm::signature::decode(other, "a public key")?,
    };
    Certificate::parse(&bytes).map_err(|e| Fault::generic(format!("Invalid public key: {e}")))
}

/// The one certificate that a caller's words mean.
///
/// # Errors
/// When there is none or more than one.
pub(crate) async fn one(call: &mut Call, key: &str) -> Result<Certificate, Fault> {
    let rows = db::find(&mut call.tx, Some(&Key::parse(key))).await?;
    match rows.as_slice() {
        [] => Err(Fault::generic(format!("No such key: {key}"))),
        [row] => stored(&row.get::<Vec<u8>>("data")?),
        several => {
            let prints = several.iter().map(|row| row.get::<String>("fingerprint"));
            let prints = prints.collect::<Result<Vec<_>, _>>()?.join(", ");
            Err(Fault::generic(format!("Several keys are named so: {prints}")))
        }
    }
}

fn stored(data: &[u8]) -> Result<Certificate, Fault> {
    let broken = |e: Error| Fault::unexpected(format!("a stored key cannot be read: {e}"));
    Certificate::parse(data).map_err(broken)
}

/// Verifies the signatures of a header with the keys that are known; `package` is the file that it belongs to.
///
/// # Errors
/// When the file cannot be read.
pub(crate) async fn verify(
    call: &mut Call,
    header: &Header,
    package: PathBuf,
) -> Result<Vec<Verdict>, Fault> {
    let found = signers::of(header);
    let ids: Vec<String> = found.iter().filter_map(signers::Signer::key_id).collect();
    let prints: Vec<String> = found.iter().filter_map(signers::Signer::fingerprint).collect();
    let mut keys = Vec::new();
    for row in db::named(&mut call.tx, &ids, &prints).await? {
        // A key may have been put in when its rules were others.
        if let Ok(certificate) = stored(&row.get::<Vec<u8>>("data")?) {
            keys.push((certificate, row.get::<String>("name")?));
        }
    }
    verify_with(call.hub.store.clone(), found, keys, package).await
}

/// Verifies signatures with these certificates and their names.
///
/// # Errors
/// When the file cannot be read.
pub(crate) async fn verify_with(
    store: Store,
    found: Vec<signers::Signer>,
    keys: Vec<(Certificate, String)>,
    package: PathBuf,
) -> Result<Vec<Verdict>, Fault> {
    let work = move || found.into_iter().map(|one| judge(&store, one, &keys, &package)).collect();
    files::blocking(work).await
}

fn judge(
    store: &Store,
    signer: signers::Signer,
    keys: &[(Certificate, String)],
    path: &Path,
) -> Result<Verdict, toji_store::Error> {
    let mut verdict =
        Verdict { signer, state: "nokey", reason: None, key: None, fingerprint: None };
    if verdict.signer.signature.is_none() {
        verdict.state = "unknown";
        verdict.reason = Some("a kind that cannot be verified".to_owned());
        return Ok(verdict);
    }
    for (certificate, name) in keys {
        let broken = |e: toji_rpmfile::Error| toji_store::Error::io(path)(std::io::Error::other(e));
        let mut file = BufReader::with_capacity(1 << 18, store.open(path)?);
        let package = Package::read(&mut file, &Limits::default()).map_err(broken)?;
        let header = package.header().as_bytes();
        let packet = verdict.signer.packet.as_slice();
        let done = match verdict.signer.slot.covers_payload() {
            true => certificate.verify(packet, header.chain(file)),
            false => certificate.verify(packet, header),
        };
        let (state, error) = match done {
            Ok(part) => {
                verdict.fingerprint = Some(part.fingerprint.clone());
                ("good", None)
            }
            // Another certificate may have a key of the same id.
            Err(Error::OtherKey) => continue,
            Err(error @ Error::Bad) => ("bad", Some(error)),
            Err(error) => ("refused", Some(error)),
        };
        verdict.state = state;
        verdict.reason = error.map(|error| error.to_string());
        verdict.key = Some((certificate.fingerprint(), name.clone()));
        if state == "good" {
            break;
        }
    }
    Ok(verdict)
}

/// Refuses a header with signatures of which one is not good.
///
/// # Errors
/// With the signatures that are not.
pub(crate) async fn demand(
    call: &mut Call,
    header: &Header,
    package: PathBuf,
    nvra: &str,
) -> Result<(), Fault> {
    let verdicts = verify(call, header, package).await?;
    let wrong = verdicts.iter().filter(|one| one.state != "good").map(Verdict::words);
    let wrong: Vec<String> = wrong.collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Fault::generic(format!("Signature of {nvra} does not verify: {}", wrong.join("; "))))
}
