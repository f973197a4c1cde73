//! Accepting connections until told to stop.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::Version;
use axum::response::Response;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustix::net::sockopt::set_tcp_user_timeout;
use toji_hub::Hub;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::front::{Front, Peer};
use crate::gathered::Gathered;
use crate::patience::{Patience, Patient, Stage};
use crate::socket::{Parts, Socket};
use crate::strangers::{self, Moving, Whereabouts};
use crate::together::{self, Together};
use crate::{Inner, Shared, events, files, rpc, tls};

/// A client that has not finished the handshake of TLS by then is dropped.
const HANDSHAKE: Duration = Duration::from_secs(15);

/// A client that takes nothing of what was sent to it for so long is dropped, in milliseconds: its
/// answer holds a connection, and files that are open.
const UNREAD: u32 = 60_000;

/// How the server behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long running requests may go on after the shutdown began.
    pub drain: Duration,
    /// How long clients are waited for.
    pub patience: Patience,
}

impl Default for Options {
    fn default() -> Self {
        Options { drain: Duration::from_secs(10), patience: Patience::default() }
    }
}

/// What is served: the hub with its options, the web pages below `/koji`, and how logins come in.
#[derive(Clone)]
pub struct Site {
    /// The hub.
    pub hub: Hub,
    /// The pages.
    pub pages: Router,
    /// Logins and front ends.
    pub front: Front,
}

impl Site {
    /// A site that stays as it is.
    pub fn fixed(self) -> watch::Receiver<Site> {
        watch::channel(self).1
    }

    fn open(
        &self,
        draining: &CancellationToken,
        requests: &Arc<AtomicU64>,
    ) -> anyhow::Result<Arc<Current>> {
        let topdir = &self.hub.config.topdir;
        let files = files::Root::open(topdir)
            .with_context(|| format!("failed to open the file root {}", topdir.display()))?;
        let (hub, front) = (self.hub.clone(), self.front.clone());
        let openapi = OnceLock::new();
        let watchers = Arc::new(tokio::sync::Semaphore::new(events::WATCHERS));
        let (draining, requests) = (draining.clone(), requests.clone());
        let inner = Inner { hub, files, front, draining, requests, watchers, openapi };
        let shared = Shared(Arc::new(inner));
        let router = crate::router(shared.clone(), self.pages.clone());
        Ok(Arc::new(Current { router, shared }))
    }
}

/// Where to listen; at least one should be there.
#[derive(Default)]
pub struct Listeners {
    /// For HTTP in the clear.
    pub plain: Option<TcpListener>,
    /// For HTTP in TLS, with the keys of [`Front::tls`].
    pub tls: Option<TcpListener>,
}

impl From<TcpListener> for Listeners {
    fn from(plain: TcpListener) -> Listeners {
        Listeners { plain: Some(plain), tls: None }
    }
}

/// How many connections may wait to be accepted; the kernel takes `net.core.somaxconn` if that is less.
const WAITING: u32 = 4096;

/// Listens at an address, for many who come at once: all builders do when a hub is back. Who finds no room tries again
/// only after a second.
///
/// # Errors
/// When the address is another one's, or not of this machine.
pub fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A hub that starts anew finds its address used by connections that have just ended.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING)
}

/// A site that is ready to answer.
struct Current {
    router: Router,
    shared: Shared,
}

type Sites = watch::Receiver<Arc<Current>>;

/// Serves the site until `shutdown` completes; then it drains.
///
/// A request is answered by the site that is current when it comes; running ones are not disturbed by a
/// change. HTTP/1.1 and HTTP/2 (gRPC) share a port.
///
/// # Errors
/// When the file root cannot be opened.
pub async fn serve(
    mut site: watch::Receiver<Site>,
    listeners: impl Into<Listeners>,
    options: Options,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let listeners = listeners.into();
    let draining = CancellationToken::new();
    let requests = Arc::default();
    let first = site.borrow_and_update().open(&draining, &requests)?;
    let current = watch::Sender::new(first);
    let graceful = GracefulShutdown::new();
    tokio::pin!(shutdown);
    loop {
        let (accepted, encrypted) = tokio::select! {
            () = &mut shutdown => break,
            Ok(()) = site.changed() => {
                match site.borrow_and_update().open(&draining, &requests) {
                    Ok(opened) => drop(current.send_replace(opened)),
                    Err(error) => tracing::error!("the site stays as it was: {error:#}"),
                }
                continue;
            }
            accepted = accept(listeners.plain.as_ref()) => (accepted, false),
            accepted = accept(listeners.tls.as_ref()) => (accepted, true),
        };
        let Some((stream, address)) = accepted else { continue };
        let connection = Connection {
            watcher: graceful.watcher(),
            current: current.subscribe(),
            patience: options.patience,
        };
        // No runtime watches the socket until somebody serves it.
        match stream.into_std() {
            Ok(stream) => {
                let here = Whereabouts::default();
                strangers::serve(here.clone(), connection.run(stream, address, encrypted, here));
            }
            Err(error) => tracing::warn!(%error, "a connection is lost"),
        }
    }
    draining.cancel();
    drop(listeners);
    if tokio::time::timeout(options.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still running when the drain time was over");
    }
    Ok(())
}

fn server(together: Together, patience: &Patience) -> auto::Builder<Together> {
    let mut server = auto::Builder::new(together);
    // `Patient` watches heads and idle connections, for which hyper has a single time.
    server.http1().keep_alive(true).header_read_timeout(None);
    server.http1().timer(hyper_util::rt::TokioTimer::new());
    server.http2().timer(hyper_util::rt::TokioTimer::new()).max_concurrent_streams(1024);
    // Half of it is what h2 lets clients waste with small frames that are not read yet: streams of calls have many.
    server.http2().initial_connection_window_size(8 << 20);
    server.http2().keep_alive_interval(patience.ping).keep_alive_timeout(patience.pong);
    server
}

/// The next connection; never one of a listener that is not there, and none after a failure.
async fn accept(listener: Option<&TcpListener>) -> Option<(TcpStream, SocketAddr)> {
    let Some(listener) = listener else { return std::future::pending().await };
    match listener.accept().await {
        Ok(accepted) => Some(accepted),
        Err(error) => {
            // Out of file descriptors, most likely: others must end before this can go on.
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

/// A connection that was accepted.
struct Connection {
    watcher: Watcher,
    current: Sites,
    patience: Patience,
}

impl Connection {
    async fn run(
        self,
        stream: std::net::TcpStream,
        address: SocketAddr,
        encrypted: bool,
        here: Whereabouts,
    ) {
        stream.set_nodelay(true).ok();
        if let Err(error) = set_tcp_user_timeout(&stream, UNREAD) {
            tracing::debug!(%error, "a client that stops reading will hold its connection");
        }
        let stream = match Moving::new(stream, here) {
            Ok(stream) => stream,
            Err(error) => return tracing::warn!(%error, "cannot serve a connection"),
        };
        let peer = Peer { address, tls: encrypted, subject: None };
        if !encrypted {
            let parts = Parts::default();
            return self.answer(Socket::new(stream, parts.clone()), peer, Some(parts)).await;
        }
        let Some(config) = self.current.borrow().shared.front.tls.clone() else { return };
        let handshake = TlsAcceptor::from(config).accept(stream);
        match tokio::time::timeout(HANDSHAKE, handshake).await {
            Ok(Ok(stream)) => {
                let certificates = stream.get_ref().1.peer_certificates();
                let subject = certificates.and_then(|chain| tls::subject(chain.first()?));
                self.answer(stream, Peer { subject, ..peer }, None).await;
            }
            Ok(Err(error)) => tracing::info!(%error, client = %address, "the TLS handshake failed"),
            Err(_) => tracing::debug!(client = %address, "the TLS handshake took too long"),
        }
    }

    async fn answer(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: Peer,
        parts: Option<Parts>,
    ) {
        let address = peer.address;
        let current = self.current;
        let stage = Stage::default();
        let stream = Patient::new(stream, stage.clone(), self.patience);
        let stream = Gathered::new(stream, stage.clone());
        let out = stream.clone();
        let service = tower::service_fn(move |request: axum::http::Request<_>| {
            let mut request = request.map(Body::new);
            // HTTP/2 has many requests at a time, and copies what it sends into frames of its own.
            let single = request.version() <= Version::HTTP_11;
            if let Some(parts) = parts.as_ref().filter(|_| single) {
                request.extensions_mut().insert(parts.clone());
            }
            let stage = single.then(|| stage.clone());
            stage.iter().for_each(Stage::begin);
            let answer = answer(current.borrow().clone(), peer.clone(), request);
            async move {
                let response = answer.await?;
                Ok::<_, std::convert::Infallible>(match stage {
                    Some(stage) => response.map(|body| stage.until_sent(body)),
                    None => response,
                })
            }
        });
        let service = hyper_util::service::TowerToHyperService::new(service);
        let (together, works) = together::pair();
        let server = server(together, &self.patience);
        let connection = server.serve_connection_with_upgrades(TokioIo::new(stream), service);
        if let Err(error) = works.until(self.watcher.watch(connection.into_owned()), out).await {
            tracing::debug!(%error, %address, "connection ended");
        }
    }
}

/// Answers a request, unless it claims an identity that nobody has verified.
async fn answer(
    current: Arc<Current>,
    peer: Peer,
    mut request: Request,
) -> Result<Response, std::convert::Infallible> {
    current.shared.requests.fetch_add(1, Ordering::Relaxed);
    match current.shared.front.client(&peer, request.headers()) {
        // What is asked for most, and costs least, takes no part in looking for who answers.
        Ok(_) if files::asked_for(&request) => {
            Ok(files::handle(State(current.shared.clone()), request).await)
        }
        Ok(client) => {
            request.extensions_mut().insert(ConnectInfo(client.address));
            request.extensions_mut().insert(client);
            current.router.clone().oneshot(request).await
        }
        Err(text) => {
            tracing::warn!(client = %peer.address, "refused a request: {text}");
            Ok(rpc::refusal(request.uri().path(), &text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn many_may_come_before_one_is_accepted() {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
        let many = most.trim().parse::<usize>().unwrap().min(500);
        let come = |_| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(900));
        let connections: Result<Vec<_>, _> = (0..many).map(come).collect();
        assert_eq!(connections.unwrap().len(), many);
        assert!(listen(address).is_err());
    }
}
