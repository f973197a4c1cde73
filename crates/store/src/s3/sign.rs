//! Links that let others read or write one object without knowing a secret.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderName, HeaderValue, Method};
use object_store::signer::{SignedUrlOptions, Signer as _};

use super::{S3, wait};
use crate::{Error, Result};

/// The header of [`super::write::MARK`].
const MARK_HEADER: &str = "x-amz-meta-toji-write";

/// Leave to write one object once: the request must be a PUT to this URL with these headers.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Where to send it.
    pub url: String,
    /// What to send with it, exactly.
    pub headers: Vec<(String, String)>,
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL is the leave itself.
        f.write_str("Ticket")
    }
}

impl S3 {
    /// A URL that gives the object to whoever has it, for as long as the options say.
    ///
    /// # Errors
    /// For a path that is none.
    pub fn link_to(&self, path: &str) -> Result<String> {
        self.sign(path, Method::GET, SignedUrlOptions::default())
    }

    /// Leave to write an object with this SHA-256 (in hexadecimal digits) and this mark, where none is yet.
    ///
    /// A server that does as S3 says refuses any other content, and a second writing; the digest binds the length too. Not all do:
    /// what has come is to be looked at before it counts.
    ///
    /// # Errors
    /// For a path or a digest that is none.
    pub fn ticket(&self, path: &str, sha256: &str, mark: &str) -> Result<Ticket> {
        let digest = hex::decode(sha256).ok().filter(|digest| digest.len() == 32);
        let digest = digest.ok_or_else(|| Error::Algorithm(format!("sha256 {sha256}")))?;
        let headers = [
            ("if-none-match", "*".to_owned()),
            ("x-amz-checksum-sha256", BASE64_STANDARD.encode(digest)),
            (MARK_HEADER, mark.to_owned()),
        ];
        let mut options = SignedUrlOptions::default();
        for (name, value) in &headers {
            let value = HeaderValue::from_str(value).map_err(|_| Error::Path(path.to_owned()))?;
            options = options.with_signed_header(HeaderName::from_static(name), value);
        }
        let url = self.sign(path, Method::PUT, options)?;
        Ok(Ticket { url, headers: headers.map(|(name, value)| (name.to_owned(), value)).into() })
    }

    fn sign(&self, path: &str, method: Method, options: SignedUrlOptions) -> Result<String> {
        let (signer, key, lifetime) =
            (self.signer.clone(), self.key(path)?, self.options.link_lifetime);
        let signed =
            wait(async move { signer.signed_url_opts(method, &key, lifetime, &options).await });
        let signed = signed.map_err(Error::io(self.shown(path)))?;
        signed.map(String::from).map_err(|e| self.error(path, e))
    }
}
