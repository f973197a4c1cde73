//! OpenPGP keys and what they have signed: certificates with limits and rules, verification, signing with a software key.

mod certificate;
mod secret;

pub use certificate::{Certificate, MAX_CERTIFICATE, MAX_SIGNATURE, Part};
pub use secret::SecretKey;

/// Why a key or a signature is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is larger than is read.
    #[error("{0} of more than {1} bytes")]
    TooLarge(&'static str, usize),
    /// It cannot be read.
    #[error("{0}: {1}")]
    Parse(&'static str, String),
    /// The certificate has no key that may sign now or at any time.
    #[error("no key that may sign")]
    NoSigningKey,
    /// The whole certificate was revoked.
    #[error("the key is revoked")]
    Revoked,
    /// The signature is of another key.
    #[error("signed by another key")]
    OtherKey,
    /// It was made before the key was, or after its end.
    #[error("signed at a time when the key was not valid")]
    Time,
    /// By a digest that can be forged.
    #[error("signed with a weak digest, {0}")]
    Weak(String),
    /// It is no signature of a document.
    #[error("not a signature of a document")]
    Kind,
    /// It does not fit the data and the key.
    #[error("the signature is wrong")]
    Bad,
    /// A secret key cannot be used: its password is wrong, or its kind is not known.
    #[error("the secret key cannot be used: {0}")]
    Secret(String),
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Reads `data` in every way this crate offers, for a fuzzer: it must not panic.
pub fn exercise(data: &[u8]) {
    if let Ok(certificate) = Certificate::parse(data) {
        let _ = certificate.verify(data, data);
        let again = certificate.to_bytes().and_then(|bytes| Certificate::parse(&bytes));
        assert_eq!(again.map(|again| again.fingerprint()), Ok(certificate.fingerprint()));
    }
    let _ = certificate::signature(data);
}
