//! The connection under live streams.

use std::time::Duration;

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::config::Config;
use crate::failure::chain;

/// How long a connection attempt may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects to the hub; with the certificate authorities of the configuration for `https`.
///
/// # Errors
/// The reason, for a log line.
pub(crate) async fn connect(config: &Config) -> Result<Channel, String> {
    let address = config.grpc();
    let secure = address.starts_with("https://");
    let endpoint = Endpoint::from_shared(address).map_err(|e| chain(&e))?;
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
        endpoint = endpoint.tls_config(tls).map_err(|e| chain(&e))?;
    }
    endpoint.connect().await.map_err(|e| chain(&e))
}
