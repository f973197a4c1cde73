//! TLS to a PostgreSQL server, with libpq's degrees of trust.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{Error, Result};

/// Which server is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// No encryption.
    Off,
    /// Encryption if the server has it, with anybody.
    IfOffered,
    /// Encryption, with anybody.
    Anybody,
    /// A certificate of the authorities in this file.
    Authority(String),
    /// That, and the certificate has the server's name.
    Name(String),
    /// A certificate of the system's authorities, with the server's name.
    System,
}

/// What makes encrypted connections; `sslcert` and `sslkey` are the own certificate.
pub(super) fn connector(
    trust: &Trust,
    own: &BTreeMap<String, String>,
) -> Result<MakeRustlsConnect> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone());
    let builder = match own.get("ssl_min_protocol_version").map(String::as_str) {
        None | Some("" | "TLSv1" | "TLSv1.1" | "TLSv1.2") => {
            builder.with_safe_default_protocol_versions()
        }
        Some("TLSv1.3") => builder.with_protocol_versions(&[&rustls::version::TLS13]),
        Some(other) => {
            return Err(Error::Url(format!("ssl_min_protocol_version={other} is unknown")));
        }
    };
    let builder = builder.map_err(|error| Error::Url(error.to_string()))?;
    let verifier = Verifier::new(trust, provider)?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    let config = match (own.get("sslcert"), own.get("sslkey")) {
        (None, None) => builder.with_no_client_auth(),
        (Some(certificate), key) => {
            let chain = certificates(certificate)?;
            // One file may hold both.
            let file = key.unwrap_or(certificate);
            let key = PrivateKeyDer::from_pem_file(file).map_err(|error| failed(file, error))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| failed(file, error))?
        }
        (None, Some(_)) => return Err(Error::Url("sslkey needs sslcert".into())),
    };
    Ok(MakeRustlsConnect::new(config))
}

fn failed(file: &str, error: impl std::fmt::Display) -> Error {
    Error::Url(format!("failed to use {file}: {error}"))
}

/// All certificates of a PEM file; at least one.
fn certificates(file: &str) -> Result<Vec<CertificateDer<'static>>> {
    let all =
        CertificateDer::pem_file_iter(Path::new(file)).map_err(|error| failed(file, error))?;
    let all: Vec<_> = all.collect::<Result<_, _>>().map_err(|error| failed(file, error))?;
    if all.is_empty() { Err(failed(file, "it has no certificate")) } else { Ok(all) }
}

/// Looks at a server's certificate as far as is asked for.
#[derive(Debug)]
struct Verifier {
    /// Nothing is asked for without it.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    /// Certificates that are believed as they are: a server may have the only one there is.
    pinned: Vec<CertificateDer<'static>>,
    names: bool,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(trust: &Trust, provider: Arc<CryptoProvider>) -> Result<Verifier> {
        let pinned = match trust {
            Trust::Off | Trust::IfOffered | Trust::Anybody => {
                return Ok(Verifier {
                    authorities: None,
                    pinned: Vec::new(),
                    names: false,
                    provider,
                });
            }
            Trust::Authority(file) | Trust::Name(file) => certificates(file)?,
            Trust::System => rustls_native_certs::load_native_certs().certs,
        };
        let mut roots = RootCertStore::empty();
        let (_, ignored) = roots.add_parsable_certificates(pinned.iter().cloned());
        tracing::debug!(roots = roots.len(), ignored, "authorities of the database's server");
        let authorities =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(|error| Error::Url(format!("unusable authorities: {error}")))?;
        let names = !matches!(trust, Trust::Authority(_));
        Ok(Verifier { authorities: Some(authorities), pinned, names, provider })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(authorities) = &self.authorities else {
            return Ok(ServerCertVerified::assertion());
        };
        if self.pinned.contains(end_entity) {
            if self.names {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        let found = authorities.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match found {
            // The name is looked at last.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.names => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
