//! A software key that signs.

use std::io::Read;

use pgp::composed::{Deserializable, DetachedSignature, SignedSecretKey, SubpacketConfig};
use pgp::packet::{SecretSubkey, Subpacket, SubpacketData};
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
        match secret.subkey()? {
            Some(key) => secret.try_out(key)?,
            None => secret.try_out(&secret.key.primary_key)?,
        }
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
        match self.subkey()? {
            Some(key) => self.sign_by(key, rng, created, data),
            None => self.sign_by(&self.key.primary_key, rng, created, data),
        }
    }

    /// The subkey that signs; nothing if the key itself does.
    fn subkey(&self) -> Result<Option<&SecretSubkey>> {
        let part = self.part()?;
        let mut subkeys = self.key.secret_subkeys.iter().map(|subkey| &subkey.key);
        let named = |key: &&SecretSubkey| key.fingerprint().to_string() == part.fingerprint;
        if part.primary {
            return Ok(None);
        }
        // The key itself must not sign for a subkey whose secret part is elsewhere.
        subkeys.find(named).map(Some).ok_or(Error::NoSigningKey)
    }

    fn try_out(&self, key: &impl SigningKey) -> Result<()> {
        let digest = vec![0; key.hash_alg().digest_size().unwrap_or(32)];
        let tried = key.sign(&self.password, key.hash_alg(), &digest);
        tried.map(drop).map_err(|e| Error::Secret(e.to_string()))
    }

    fn sign_by(
        &self,
        key: &impl SigningKey,
        rng: impl CryptoRng + RngCore,
        created: u32,
        data: impl Read,
    ) -> Result<Vec<u8>> {
        let sign = || {
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
            let (hash, password) = (key.hash_alg(), &self.password);
            let signed = DetachedSignature::sign_binary_data_with_subpackets(
                rng, key, password, hash, data, subpackets,
            )?;
            signed.to_bytes()
        };
        sign().map_err(|e: pgp::errors::Error| Error::Secret(e.to_string()))
    }
}
