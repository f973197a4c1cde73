//! Accepting connections until told to stop.

use std::future::Future;
use std::net::SocketAddr;

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use toji_hub::Hub;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::{Shared, files};

/// How the server behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long running requests may go on after the shutdown began.
    pub drain: std::time::Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options { drain: std::time::Duration::from_secs(10) }
    }
}

/// What is served: the hub with its options, and the web pages below `/koji`.
#[derive(Clone)]
pub struct Site {
    /// The hub.
    pub hub: Hub,
    /// The pages.
    pub pages: Router,
}

impl Site {
    /// A site that stays as it is.
    pub fn fixed(self) -> watch::Receiver<Site> {
        watch::channel(self).1
    }

    fn router(&self, draining: &CancellationToken) -> anyhow::Result<Router> {
        let topdir = &self.hub.config.topdir;
        let files = files::Root::open(topdir)
            .with_context(|| format!("failed to open the file root {}", topdir.display()))?;
        let shared = Shared { hub: self.hub.clone(), files, draining: draining.clone() };
        Ok(crate::router(shared, self.pages.clone()))
    }
}

/// Serves the site until `shutdown` completes; then it drains.
///
/// A request is answered by the site that is current when it comes; running ones are not disturbed by a
/// change. HTTP/1.1 and HTTP/2 (gRPC) share the port.
///
/// # Errors
/// When the file root cannot be opened.
pub async fn serve(
    mut site: watch::Receiver<Site>,
    listener: TcpListener,
    options: Options,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let draining = CancellationToken::new();
    let first = site.borrow_and_update().router(&draining)?;
    let routers = watch::Sender::new(first);
    let graceful = GracefulShutdown::new();
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().keep_alive(true).header_read_timeout(std::time::Duration::from_secs(60));
    server.http1().timer(hyper_util::rt::TokioTimer::new());
    server.http2().timer(hyper_util::rt::TokioTimer::new()).max_concurrent_streams(1024);
    tokio::pin!(shutdown);
    loop {
        let (stream, peer) = tokio::select! {
            () = &mut shutdown => break,
            Ok(()) = site.changed() => {
                match site.borrow_and_update().router(&draining) {
                    Ok(router) => drop(routers.send_replace(router)),
                    Err(error) => tracing::error!("the site stays as it was: {error:#}"),
                }
                continue;
            }
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: others must end before this can go on.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        stream.set_nodelay(true).ok();
        let service = service(routers.subscribe(), peer);
        let connection = server.serve_connection_with_upgrades(TokioIo::new(stream), service);
        let watched = graceful.watch(connection.into_owned());
        tokio::spawn(async move {
            if let Err(error) = watched.await {
                tracing::debug!(%error, %peer, "connection ended");
            }
        });
    }
    draining.cancel();
    drop(listener);
    if tokio::time::timeout(options.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still running when the drain time was over");
    }
    Ok(())
}

/// The current router as the service of one connection, which knows its peer.
fn service(
    routers: watch::Receiver<Router>,
    peer: SocketAddr,
) -> hyper_util::service::TowerToHyperService<
    impl tower::Service<
        axum::http::Request<hyper::body::Incoming>,
        Response = axum::response::Response,
        Error = std::convert::Infallible,
        Future = impl Send,
    > + Clone,
> {
    let service = tower::service_fn(move |request: axum::http::Request<_>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let router = routers.borrow().clone();
        router.oneshot(request)
    });
    hyper_util::service::TowerToHyperService::new(service)
}
