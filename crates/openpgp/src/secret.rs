//! A software key that signs.

use std::io::Read;

use pgp::composed::{Deserializable, DetachedSignature, SignedSecretKey, SubpacketConfig};
use pgp::packet::{Subpacket, SubpacketData};
use pgp::ser::Serialize;
use pgp::types::{KeyDetails, KeyVersion, Password, SigningKey, Timestamp};
use rand_core::{CryptoRng, RngCore};

use crate::{Certificate, Error, MAX_CERTIFICATE, Part, Result};

/// A secret key with its password; the first key of it that may sign does.
pub struct SecretKey {
    key: SignedSecretKey,
    password: Password,
    certificate: Certificate,
}

impl SecretKey {
    /// Reads a secret key, armored or binary, and tries the password.
    ///
    /// # Errors
    /// As [`Certificate::parse`]; and when the password is wrong or the secret part is not there.
    pub fn parse(data: &[u8], password: &str) -> Result<SecretKey> {
        let wrong = |e: pgp::errors::Error| Error::Parse("not a secret key", e.to_string());
        if data.len() > MAX_CERTIFICATE {
            return Err(Error::TooLarge("a secret key", MAX_CERTIFICATE));
        }
        let key = if data.trim_ascii_start().starts_with(b"-----BEGIN") {
            SignedSecretKey::from_armor_single_buf(data).map_err(wrong)?.0
        } else {
            SignedSecretKey::from_bytes(data).map_err(wrong)?
        };
        let public = key.to_public_key().to_bytes().map_err(wrong)?;
        let certificate = Certificate::parse(&public)?;
        let password = match password {
            "" => Password::empty(),
            text => Password::from(text),
        };
        let secret = SecretKey { key, password, certificate };
        // Whoever starts a signer shall hear of a wrong password now.
        secret.with(|key| {
            let digest = vec![0; key.hash_alg().digest_size().unwrap_or(32)];
            key.sign(&secret.password, key.hash_alg(), &digest).map(drop)
        })?;
        Ok(secret)
    }

    /// The public key.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The key that signs.
    ///
    /// # Errors
    /// When the certificate has none.
    pub fn part(&self) -> Result<&Part> {
        self.certificate.parts().first().ok_or(Error::NoSigningKey)
    }

    /// Signs `data`: a detached signature, one packet.
    ///
    /// `created` is the time of now in seconds since 1970.
    ///
    /// # Errors
    /// When the key is not valid at that time, or cannot sign.
    pub fn sign(
        &self,
        rng: impl CryptoRng + RngCore,
        created: u32,
        data: impl Read,
    ) -> Result<Vec<u8>> {
        let part = self.part()?;
        if part.created > created || part.expires.is_some_and(|end| end <= created) {
            return Err(Error::Time);
        }
        self.with(|key| {
            let time = SubpacketData::SignatureCreationTime(Timestamp::from_secs(created));
            let hashed = vec![
                Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint()))?,
                Subpacket::regular(time)?,
            ];
            let unhashed = match key.version() {
                KeyVersion::V6 => vec![],
                _ => vec![Subpacket::regular(SubpacketData::IssuerKeyId(key.legacy_key_id()))?],
            };
            let subpackets = SubpacketConfig::UserDefined { hashed, unhashed };
            let hash = key.hash_alg();
            let password = &self.password;
            let signed = DetachedSignature::sign_binary_data_with_subpackets(
                rng, &key, password, hash, data, subpackets,
            )?;
            signed.to_bytes()
        })
    }

    /// Does something with the key that signs.
    fn with<T>(
        &self,
        work: impl FnOnce(Box<&dyn SigningKey>) -> pgp::errors::Result<T>,
    ) -> Result<T> {
        let part = self.part()?;
        let subkeys = self.key.secret_subkeys.iter().map(|subkey| &subkey.key);
        let mut subkeys = subkeys.filter(|key| key.fingerprint().to_string() == part.fingerprint);
        let key: &dyn SigningKey = match subkeys.next() {
            Some(subkey) if !part.primary => subkey,
            _ => &self.key.primary_key,
        };
        work(Box::new(key)).map_err(|e| Error::Secret(e.to_string()))
    }
}
