//! The connection under live streams.

use std::time::Duration;

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::config::Config;
use crate::failure::chain;

/// How long a connection attempt may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no connection.
#[derive(Debug)]
pub(crate) struct Failed {
    /// In words.
    pub(crate) reason: String,
    /// Whether nobody answered at all: a hub that is only down has its connections refused by its machine.
    pub(crate) cut: bool,
}

impl From<tonic::transport::Error> for Failed {
    fn from(error: tonic::transport::Error) -> Self {
        Failed { reason: chain(&error), cut: is_cut(&error) }
    }
}

fn is_cut(error: &(dyn std::error::Error + 'static)) -> bool {
    use std::io::ErrorKind::{HostUnreachable, NetworkDown, NetworkUnreachable, TimedOut};
    let silent = [HostUnreachable, NetworkDown, NetworkUnreachable, TimedOut];
    std::iter::successors(Some(error), |e| e.source())
        .filter_map(|e| e.downcast_ref::<std::io::Error>())
        .any(|e| silent.contains(&e.kind()))
}

/// Connects to the hub; with the certificate authorities of the configuration for `https`.
///
/// # Errors
/// When there is no way to the hub, or it is not there.
pub(crate) async fn connect(config: &Config) -> Result<Channel, Failed> {
    let address = config.grpc();
    let secure = address.starts_with("https://");
    let endpoint = Endpoint::from_shared(address)?;
    let mut endpoint = endpoint.connect_timeout(PATIENCE).tcp_nodelay(true);
    if secure {
        let tls = ClientTlsConfig::new();
        let tls = match &config.serverca {
            Some(pem) => tls.ca_certificate(Certificate::from_pem(pem)),
            None => tls.with_native_roots(),
        };
        let tls = match &config.cert {
            Some(pem) => tls.identity(Identity::from_pem(pem, pem)),
            None => tls,
        };
        endpoint = endpoint.tls_config(tls)?;
    }
    Ok(endpoint.connect().await?)
}
