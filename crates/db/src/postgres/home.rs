//! Connections that belong to one runtime, whoever asks for them.

use deadpool_postgres::{ConfigConnectImpl, Connect};
use futures::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Makes connections on the runtime where the database was opened: they serve everybody, also when those who asked
/// for one first are served by threads that give way to others.
pub(super) struct AtHome {
    home: Handle,
    by: ConfigConnectImpl<MakeRustlsConnect>,
}

impl AtHome {
    pub(super) fn new(tls: MakeRustlsConnect) -> AtHome {
        AtHome { home: Handle::current(), by: ConfigConnectImpl { tls } }
    }
}

impl Connect for AtHome {
    fn connect(&self, config: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), Error>> {
        let (config, by) = (config.clone(), ConfigConnectImpl { tls: self.by.tls.clone() });
        let work = self.home.spawn(async move { by.connect(&config).await });
        Box::pin(async move {
            match work.await {
                Ok(made) => made,
                // The runtime is ending; the pool knows how long to wait.
                Err(_) => std::future::pending().await,
            }
        })
    }
}
