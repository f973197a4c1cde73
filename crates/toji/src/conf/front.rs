//! Addresses, keys and front ends, and what the server makes of them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use toji_server::{Acceptor, Network, TlsFiles};

/// Options of `[toji]`, and those of Kerberos that Koji's hub once had.
#[derive(Debug, Default)]
pub(crate) struct Front {
    /// `Listen`
    pub(crate) listen: Option<SocketAddr>,
    /// `ListenTLS`
    pub(crate) listen_tls: Option<SocketAddr>,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) client_ca: Option<PathBuf>,
    pub(super) client_crl: Option<PathBuf>,
    pub(super) require_certificate: bool,
    pub(super) proxies: Vec<Network>,
    pub(super) trust_kerberos: bool,
    pub(super) trust_certificate: bool,
    pub(super) keytab: Option<PathBuf>,
    pub(super) principal: Option<String>,
}

impl Front {
    /// Reads keys and certificates; `encrypted` if there will be a listener with TLS.
    pub(crate) fn open(&self, encrypted: bool) -> anyhow::Result<toji_server::Front> {
        if (self.trust_kerberos || self.trust_certificate) && self.proxies.is_empty() {
            bail!("TrustedIdentity needs TrustedProxies");
        }
        let tls = self.tls(encrypted)?.map(|files| files.read()).transpose()?;
        Ok(toji_server::Front {
            proxies: self.proxies.clone(),
            trust_kerberos: self.trust_kerberos,
            trust_certificate: self.trust_certificate,
            kerberos: self.kerberos()?.map(Arc::new),
            tls,
        })
    }

    fn tls(&self, encrypted: bool) -> anyhow::Result<Option<TlsFiles>> {
        match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Ok(Some(TlsFiles {
                certificate: certificate.clone(),
                key: key.clone(),
                client_ca: self.client_ca.clone(),
                client_crl: self.client_crl.clone(),
                required: self.require_certificate,
            })),
            (None, None) if !encrypted => Ok(None),
            _ => bail!("TLS needs both TLSCertificate and TLSKey"),
        }
    }

    fn kerberos(&self) -> anyhow::Result<Option<Acceptor>> {
        let Some(keytab) = &self.keytab else {
            if self.principal.is_some() {
                bail!("AuthPrincipal needs AuthKeytab");
            }
            return Ok(None);
        };
        let opened = Acceptor::open(keytab, self.principal.as_deref());
        opened.map(Some).context("failed to set up Kerberos logins")
    }
}
