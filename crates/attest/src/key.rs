//! Ed25519 keys: made, written and read as PEM, named by their digest.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// Bytes of randomness that a key is made of.
pub const SEED: usize = 32;

/// Stands before the seed in a `PRIVATE KEY` (RFC 8410, section 7).
const PRIVATE: [u8; 16] = [48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32];
/// Stands before the point in a `PUBLIC KEY` (RFC 8410, section 4).
const PUBLIC: [u8; 12] = [48, 42, 48, 5, 6, 3, 43, 101, 112, 3, 33, 0];

/// A key that signs.
pub struct SigningKey(Ed25519KeyPair);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.public().id())
    }
}

impl SigningKey {
    /// The `PRIVATE KEY` in PEM of a new key that is made of random bytes.
    pub fn make(seed: &[u8; SEED]) -> String {
        pem("PRIVATE KEY", &[&PRIVATE[..], seed].concat())
    }

    /// Reads a `PRIVATE KEY` in PEM, one of `openssl genpkey -algorithm ed25519` too.
    pub fn from_pem(text: &str) -> Result<Self> {
        const WHAT: &str = "an Ed25519 private key";
        let der = blocks(text, "PRIVATE KEY").next().ok_or(Error::Key(WHAT))??;
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map(Self).map_err(|_| Error::Key(WHAT))
    }

    /// The half that everybody may know.
    pub fn public(&self) -> PublicKey {
        let mut point = [0; 32];
        point.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(point)
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }
}

/// A key that checks signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Every `PUBLIC KEY` of a text; other kinds of blocks are passed over.
    pub fn all_from_pem(text: &str) -> Result<Vec<Self>> {
        const WHAT: &str = "an Ed25519 public key";
        let key = |der: Result<Vec<u8>>| -> Result<Self> {
            let der = der?;
            let point = der.strip_prefix(&PUBLIC[..]).and_then(|point| point.try_into().ok());
            point.map(Self).ok_or(Error::Key(WHAT))
        };
        let found: Vec<Self> = blocks(text, "PUBLIC KEY").map(key).collect::<Result<_>>()?;
        if found.is_empty() { Err(Error::Key(WHAT)) } else { Ok(found) }
    }

    /// The key in PEM.
    pub fn to_pem(self) -> String {
        pem("PUBLIC KEY", &self.der())
    }

    /// SHA-256 of the key's `SubjectPublicKeyInfo`, in hexadecimal.
    pub fn id(self) -> String {
        hex::encode(Sha256::digest(self.der()))
    }

    fn der(self) -> Vec<u8> {
        [&PUBLIC[..], &self.0].concat()
    }

    pub(crate) fn holds(self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    // both kinds of keys fit on a line of 64 characters or need a second one
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len())
        .step_by(64)
        .filter_map(|at| text.get(at..(at + 64).min(text.len())))
        .collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// The content of the blocks with this label.
fn blocks<'t>(text: &'t str, label: &str) -> impl Iterator<Item = Result<Vec<u8>>> + 't {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(begin.as_str())?;
        let (body, after) = after.split_once(end.as_str())?;
        rest = after;
        let body: String = body.split_whitespace().collect();
        Some(STANDARD.decode(body).map_err(|_| Error::Base64("key")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_as_the_standard_says() {
        // RFC 8032, section 7.1, test 2
        let seed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
        let seed: [u8; SEED] = hex::decode(seed).unwrap().try_into().unwrap();
        let key = SigningKey::from_pem(&SigningKey::make(&seed)).unwrap();
        let want = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                    085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
        assert_eq!(hex::encode(key.sign(&[0x72])), want);
        let public = PublicKey::all_from_pem(&key.public().to_pem()).unwrap();
        assert_eq!(public, [key.public()]);
        assert!(public[0].holds(&[0x72], &hex::decode(want).unwrap()));
        assert!(!public[0].holds(&[0x73], &hex::decode(want).unwrap()));
    }

    #[test]
    fn reads_what_openssl_makes() {
        // RFC 8410, section 10
        let private = "-----BEGIN PRIVATE KEY-----\n\
            MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
            -----END PRIVATE KEY-----\n";
        let public = "-----BEGIN PUBLIC KEY-----\n\
            MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
            -----END PUBLIC KEY-----\n";
        let key = SigningKey::from_pem(private).unwrap();
        assert_eq!(key.public().to_pem(), public);
        let two =
            format!("words\n{public}-----BEGIN OTHER-----\nAA==\n-----END OTHER-----\n{public}");
        assert_eq!(PublicKey::all_from_pem(&two).unwrap().len(), 2);
        for wrong in ["", private, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"] {
            assert!(PublicKey::all_from_pem(wrong).is_err(), "{wrong}");
        }
        assert!(SigningKey::from_pem(public).is_err());
    }
}
