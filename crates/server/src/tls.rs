//! The listener with TLS: keys from files, and clients' certificates.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use toji_hub::Subject;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Where keys and certificates are, all as PEM text.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The server's certificate, followed by those between it and its authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authorities of clients' certificates; without them clients are not asked for one.
    pub client_ca: Option<PathBuf>,
    /// What these authorities have revoked.
    pub client_crl: Option<PathBuf>,
    /// Whether a client without a certificate is turned away.
    pub required: bool,
}

impl TlsFiles {
    /// Reads the files.
    ///
    /// # Errors
    /// When one cannot be read or does not fit the others.
    pub fn read(&self) -> anyhow::Result<Arc<ServerConfig>> {
        let chain: Vec<CertificateDer<'static>> = all(&self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .with_context(|| format!("failed to read the key {}", self.key.display()))?;
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("failed to choose versions of TLS")?;
        let builder = match self.verifier()? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .with_context(|| format!("failed to use the key {}", self.key.display()))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn verifier(&self) -> anyhow::Result<Option<Arc<dyn ClientCertVerifier>>> {
        let Some(authorities) = &self.client_ca else {
            if self.required || self.client_crl.is_some() {
                bail!("clients' certificates need TLSClientCA");
            }
            return Ok(None);
        };
        let mut roots = RootCertStore::empty();
        for certificate in all(authorities)? {
            let added = roots.add(certificate);
            added.with_context(|| format!("failed to use {}", authorities.display()))?;
        }
        let provider = Arc::new(ring::default_provider());
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        if let Some(file) = &self.client_crl {
            let lists: Vec<CertificateRevocationListDer<'static>> = all(file)?;
            // An outdated list proves nothing: who relies on one gets no logins rather than revoked ones.
            builder = builder.with_crls(lists).enforce_revocation_expiration();
            builder = builder.only_check_end_entity_revocation();
        }
        if !self.required {
            builder = builder.allow_unauthenticated();
        }
        let verifier = builder.build().context("failed to set up clients' certificates")?;
        Ok(Some(verifier))
    }
}

/// All items of a kind in a PEM file; at least one.
fn all<T: PemObject>(file: &Path) -> anyhow::Result<Vec<T>> {
    let failed = || format!("failed to read {}", file.display());
    let items: Vec<T> = T::pem_file_iter(file)
        .with_context(failed)?
        .collect::<Result<_, _>>()
        .with_context(failed)?;
    if items.is_empty() {
        bail!("{} has nothing of what is needed", file.display());
    }
    Ok(items)
}

/// The subject of a certificate that the handshake has verified.
pub(crate) fn subject(certificate: &CertificateDer<'_>) -> Option<Subject> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let mut parts = Vec::new();
    for part in parsed.subject().iter_attributes() {
        let name = short_name(&part.attr_type().to_id_string());
        // A part in a form of text that cannot be read must not vanish from the subject.
        parts.push((name, part.as_str().ok()?.to_owned()));
    }
    (!parts.is_empty()).then(|| Subject::new(parts))
}

/// The names that OpenSSL gives the parts of a subject; the numbers of others.
fn short_name(id: &str) -> String {
    let name = match id {
        "2.5.4.3" => "CN",
        "2.5.4.4" => "SN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.12" => "title",
        "2.5.4.42" => "GN",
        "2.5.4.43" => "initials",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "emailAddress",
        other => other,
    };
    name.to_owned()
}
