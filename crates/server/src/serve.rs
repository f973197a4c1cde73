//! Accepting connections until told to stop.

use std::future::Future;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use toji_hub::Hub;
use tokio::net::TcpListener;
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

/// Serves the hub, with the web pages of `pages`, until `shutdown` completes; then it drains.
///
/// HTTP/1.1 and HTTP/2 (gRPC) share the port.
///
/// # Errors
/// When the file root cannot be opened.
pub async fn serve(
    hub: Hub,
    pages: Router,
    listener: TcpListener,
    options: Options,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let draining = tokio_util::sync::CancellationToken::new();
    let files = files::Root::open(&hub.config.topdir)?;
    let router = crate::router(Shared { hub, files, draining: draining.clone() }, pages);
    let graceful = GracefulShutdown::new();
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().keep_alive(true).header_read_timeout(std::time::Duration::from_secs(60));
    server.http1().timer(hyper_util::rt::TokioTimer::new());
    server.http2().timer(hyper_util::rt::TokioTimer::new()).max_concurrent_streams(1024);
    tokio::pin!(shutdown);
    loop {
        let (stream, peer) = tokio::select! {
            () = &mut shutdown => break,
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
        let service = service(router.clone(), peer);
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

/// The router as the service of one connection, which knows its peer.
fn service(
    router: Router,
    peer: SocketAddr,
) -> hyper_util::service::TowerToHyperService<
    impl tower::Service<
        axum::http::Request<hyper::body::Incoming>,
        Response = axum::response::Response,
        Error = std::convert::Infallible,
        Future = impl Send,
    > + Clone,
> {
    let service = router.map_request(move |request: axum::http::Request<_>| {
        let mut request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        request
    });
    hyper_util::service::TowerToHyperService::new(service)
}
