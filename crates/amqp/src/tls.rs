//! TLS to a broker.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::{Broker, Error};

/// Makes a connection secure; the broker's certificate must be for `host`.
pub(crate) async fn connect(
    broker: &Broker<'_>,
    host: &str,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, Error> {
    let config = config(broker)?;
    let name = ServerName::try_from(host.to_owned());
    let name = name.map_err(|_| broker.unusable())?;
    Ok(TlsConnector::from(Arc::new(config)).connect(name, stream).await?)
}

fn config(broker: &Broker<'_>) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    match broker.authorities {
        Some(file) => {
            for certificate in certificates(file)? {
                roots.add(certificate).map_err(unusable(file))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Certificate(error.to_string()))?
        .with_root_certificates(roots);
    let Some(file) = broker.certificate else { return Ok(builder.with_no_client_auth()) };
    let key = PrivateKeyDer::from_pem_file(file).map_err(unusable(file))?;
    builder.with_client_auth_cert(certificates(file)?, key).map_err(unusable(file))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = CertificateDer::pem_file_iter(file).map_err(unusable(file))?;
    read.collect::<Result<_, _>>().map_err(unusable(file))
}

fn unusable<E: std::fmt::Display>(file: &Path) -> impl Fn(E) -> Error + '_ {
    move |error| Error::Certificate(format!("cannot use {}: {error}", file.display()))
}
