//! A public key with its subkeys, of which only those count that the key itself has bound.

use std::io::Read;

use pgp::composed::{Deserializable, SignedPublicKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{KeyFlags, Packet, PacketParser, Signature, SignatureType, SubpacketData};
use pgp::ser::Serialize;
use pgp::types::{KeyDetails, Tag, VerifyingKey};

use crate::{Error, Result};

/// Longest certificate, in bytes; armored ones may be half as long again.
pub const MAX_CERTIFICATE: usize = 256 << 10;
/// Longest signature, in bytes.
pub const MAX_SIGNATURE: usize = 64 << 10;
/// Most signatures on a key or a name that are tried; third parties may add any number.
const MOST_BINDINGS: usize = 64;
/// Most subkeys that are looked at.
const MOST_SUBKEYS: usize = 64;

/// A key of a certificate that may sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Fingerprint in lower case: 40 digits, or 64 for keys of version 6.
    pub fingerprint: String,
    /// Long id in lower case, 16 digits.
    pub key_id: String,
    /// The algorithm, as `RSA` or `EdDSALegacy`.
    pub algorithm: String,
    /// Whether it is the certificate's own key and no subkey.
    pub primary: bool,
    /// When it was made, seconds since 1970.
    pub created: u32,
    /// When it ends, seconds since 1970; nothing for never.
    pub expires: Option<u32>,
}

impl Part {
    fn of(key: &impl KeyDetails, primary: bool, life: Option<u32>) -> Part {
        let created = key.created_at().as_secs();
        Part {
            fingerprint: key.fingerprint().to_string(),
            key_id: key.legacy_key_id().to_string(),
            algorithm: format!("{:?}", key.algorithm()),
            primary,
            created,
            // 0 stands for no end.
            expires: life.filter(|life| *life > 0).map(|life| created.saturating_add(life)),
        }
    }

    fn valid_at(&self, time: u32) -> bool {
        self.created <= time && self.expires.is_none_or(|end| time < end)
    }
}

/// A public key as it is handed out: with names, subkeys and the signatures that bind them.
#[derive(Clone, Debug)]
pub struct Certificate {
    key: SignedPublicKey,
    parts: Vec<Part>,
}

impl Certificate {
    /// Reads one certificate, armored or binary.
    ///
    /// # Errors
    /// When there is none or more than one, when it is revoked as a whole, and when no key of it may sign.
    pub fn parse(data: &[u8]) -> Result<Certificate> {
        let wrong = |e: pgp::errors::Error| Error::Parse("not a public key", e.to_string());
        let armored = data.trim_ascii_start().starts_with(b"-----BEGIN");
        let most = if armored { MAX_CERTIFICATE / 2 * 3 } else { MAX_CERTIFICATE };
        if data.len() > most {
            return Err(Error::TooLarge("a public key", MAX_CERTIFICATE));
        }
        let mut found = if armored {
            SignedPublicKey::from_armor_many_buf(data).map_err(wrong)?.0
        } else {
            SignedPublicKey::from_bytes_many(data).map_err(wrong)?
        };
        let none = || Error::Parse("not a public key", "there is none".to_owned());
        let key = found.next().ok_or_else(none)?.map_err(wrong)?;
        if found.next().is_some() {
            let text = "there is more than one, or something behind it".to_owned();
            return Err(Error::Parse("not a public key", text));
        }
        let parts = parts(&key)?;
        Ok(Certificate { key, parts })
    }

    /// The certificate in its binary form.
    ///
    /// # Errors
    /// When it cannot be written, which does not happen with one that was read.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.key.to_bytes().map_err(|e| Error::Parse("the key cannot be written", e.to_string()))
    }

    /// The certificate in armor, for files.
    ///
    /// # Errors
    /// As [`Certificate::to_bytes`].
    pub fn to_armored(&self) -> Result<String> {
        let wrong =
            |e: pgp::errors::Error| Error::Parse("the key cannot be written", e.to_string());
        self.key.to_armored_string(pgp::composed::ArmorOptions::default()).map_err(wrong)
    }

    /// The fingerprint of the certificate's own key, in lower case.
    pub fn fingerprint(&self) -> String {
        self.key.primary_key.fingerprint().to_string()
    }

    /// The first name that the key has signed; empty for none.
    pub fn name(&self) -> String {
        let bound = |user: &&pgp::types::SignedUser| {
            user.signatures.iter().take(MOST_BINDINGS).any(|signature| {
                signature.verify_certification(&self.key.primary_key, Tag::UserId, &user.id).is_ok()
            })
        };
        let user = self.key.details.users.iter().take(MOST_SUBKEYS).find(bound);
        user.map(|user| String::from_utf8_lossy(user.id.id()).into_owned()).unwrap_or_default()
    }

    /// The keys that may sign, the certificate's own first.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Verifies a detached signature, one packet, of all that `data` gives; tells which key has made it.
    ///
    /// # Errors
    /// When it is of another key, weak, made when the key was not valid, or wrong.
    pub fn verify(&self, packet: &[u8], data: impl Read) -> Result<&Part> {
        let signature = signature(packet)?;
        if signature.typ() != Some(SignatureType::Binary) {
            return Err(Error::Kind);
        }
        match signature.hash_alg() {
            Some(
                HashAlgorithm::Sha224
                | HashAlgorithm::Sha256
                | HashAlgorithm::Sha384
                | HashAlgorithm::Sha512
                | HashAlgorithm::Sha3_256
                | HashAlgorithm::Sha3_512,
            ) => {}
            Some(other) => return Err(Error::Weak(format!("{other:?}"))),
            None => return Err(Error::Kind),
        }
        let part = self.named(&signature).ok_or(Error::OtherKey)?;
        let time = signature.created().ok_or(Error::Time)?.as_secs();
        if !part.valid_at(time) {
            return Err(Error::Time);
        }
        let key = &self.key;
        let subkey = key.public_subkeys.iter().map(|sub| &sub.key);
        let subkey = subkey.take(MOST_SUBKEYS).find(|sub| is(*sub, part));
        let done = match subkey {
            Some(subkey) if !part.primary => signature.verify(subkey, data),
            _ => signature.verify(&key.primary_key, data),
        };
        done.map(|()| part).map_err(|_| Error::Bad)
    }

    /// The key that a signature names: by fingerprint if it has one, else by its id.
    fn named(&self, signature: &Signature) -> Option<&Part> {
        let prints = signature.issuer_fingerprint();
        let prints: Vec<String> = prints.into_iter().map(ToString::to_string).collect();
        let ids: Vec<String> =
            signature.issuer_key_id().into_iter().map(ToString::to_string).collect();
        self.parts.iter().find(|part| match prints.as_slice() {
            [] => ids.contains(&part.key_id),
            prints => prints.contains(&part.fingerprint),
        })
    }
}

fn is(key: &impl KeyDetails, part: &Part) -> bool {
    key.fingerprint().to_string() == part.fingerprint
}

/// The one signature packet that fills `packet`.
pub(crate) fn signature(packet: &[u8]) -> Result<Signature> {
    if packet.len() > MAX_SIGNATURE {
        return Err(Error::TooLarge("a signature", MAX_SIGNATURE));
    }
    let wrong = |text: String| Error::Parse("not a signature", text);
    let mut packets = PacketParser::new(packet);
    let first = packets.next().ok_or_else(|| wrong("empty".to_owned()))?;
    if packets.next().is_some() {
        return Err(wrong("something is behind it".to_owned()));
    }
    match first.map_err(|e| wrong(e.to_string()))? {
        Packet::Signature(signature) => Ok(signature),
        other => {
            Err(wrong(format!("a packet of kind {:?}", pgp::packet::PacketTrait::tag(&other))))
        }
    }
}

/// The keys that may sign.
fn parts(key: &SignedPublicKey) -> Result<Vec<Part>> {
    let primary = &key.primary_key;
    let details = &key.details;
    let mut revoked = details.revocation_signatures.iter().take(MOST_BINDINGS);
    if revoked.any(|signature| signature.verify_key(primary).is_ok()) {
        return Err(Error::Revoked);
    }
    let direct = details.direct_signatures.iter().take(MOST_BINDINGS);
    let direct = direct.filter(|signature| signature.verify_key(primary).is_ok());
    let named = details.users.iter().take(MOST_SUBKEYS).flat_map(|user| {
        let own = own(&user.signatures, primary);
        own.filter(|s| s.verify_certification(primary, Tag::UserId, &user.id).is_ok())
    });
    let newest = direct.chain(named).filter(|s| s.typ() != Some(SignatureType::CertRevocation));
    let newest = newest.max_by_key(|signature| signature.created().map(|t| t.as_secs()));
    let mut parts = Vec::new();
    let Some(newest) = newest else { return Err(Error::NoSigningKey) };
    let life = newest.key_expiration_time().map(|life| life.as_secs());
    let whole = Part::of(primary, true, life);
    let end = whole.expires;
    if flags(newest).is_none_or(|flags| flags.sign()) && may_sign(primary) {
        parts.push(whole);
    }
    for subkey in key.public_subkeys.iter().take(MOST_SUBKEYS) {
        let bound = own(&subkey.signatures, primary)
            .filter(|s| s.verify_subkey_binding(primary, &subkey.key).is_ok());
        let (revoked, bound): (Vec<_>, Vec<_>) =
            bound.partition(|s| s.typ() == Some(SignatureType::SubkeyRevocation));
        let newest = bound.into_iter().max_by_key(|s| s.created().map(|t| t.as_secs()));
        let Some(newest) = newest.filter(|_| revoked.is_empty()) else { continue };
        let back = newest.embedded_signature();
        let back = back.is_some_and(|s| s.verify_primary_key_binding(&subkey.key, primary).is_ok());
        if !back || !flags(newest).is_some_and(|flags| flags.sign()) {
            continue;
        }
        let life = newest.key_expiration_time().map(|life| life.as_secs());
        let mut part = Part::of(&subkey.key, false, life);
        // A subkey does not outlive its key.
        part.expires = [part.expires, end].into_iter().flatten().min();
        parts.push(part);
    }
    if parts.is_empty() { Err(Error::NoSigningKey) } else { Ok(parts) }
}

/// Signatures that name this key as their maker; the others are third parties'.
fn own<'s>(
    signatures: &'s [Signature],
    key: &impl VerifyingKey,
) -> impl Iterator<Item = &'s Signature> {
    let (id, print) = (key.legacy_key_id(), key.fingerprint());
    let named = move |signature: &&Signature| {
        signature.issuer_fingerprint().into_iter().any(|p| *p == print)
            || signature.issuer_key_id().into_iter().any(|i| *i == id)
    };
    signatures.iter().filter(named).take(MOST_BINDINGS)
}

/// What a key may be used for, if its signature says so.
fn flags(signature: &Signature) -> Option<KeyFlags> {
    signature.config()?.hashed_subpackets().find_map(|subpacket| match &subpacket.data {
        SubpacketData::KeyFlags(flags) => Some(flags.clone()),
        _ => None,
    })
}

/// Whether a key of this algorithm signs at all.
fn may_sign(key: &impl KeyDetails) -> bool {
    key.algorithm().can_sign()
}
