//! The front doors of the hub on one port: XML-RPC, JSON-RPC, HTTP with JSON, gRPC, uploads, files, events and health.

mod crowd;
mod door;
mod events;
mod files;
mod front;
mod fuzz;
mod gathered;
mod grpc;
mod health;
mod in_process;
mod json;
mod listing;
mod login;
mod logs;
mod network;
mod patience;
mod provenance;
mod reply;
mod rpc;
mod serve;
mod socket;
mod strangers;
mod tls;
mod together;
mod uploads;

pub use front::Front;
#[doc(hidden)]
pub use fuzz::fuzz;
pub use in_process::InProcess;
pub use network::Network;
pub use patience::Patience;
pub use serve::{Listeners, Options, Site, listen, serve};
pub use tls::TlsFiles;
pub use toji_gssapi::Acceptor;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::routing::{any, get};
use toji_hub::Hub;

/// What the handlers of all paths share; every request clones it.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Inner>);

/// What there is of it once.
pub(crate) struct Inner {
    pub(crate) hub: Hub,
    pub(crate) files: files::Root,
    pub(crate) front: Front,
    /// Ends long-lived answers (event streams) when the server drains.
    pub(crate) draining: tokio_util::sync::CancellationToken,
    /// Requests that were answered, of this site and those before it.
    pub(crate) requests: Arc<AtomicU64>,
    /// Places for readers of events.
    pub(crate) watchers: Arc<tokio::sync::Semaphore>,
    /// The description of the calls, once somebody has asked for it.
    pub(crate) openapi: OnceLock<String>,
}

impl std::ops::Deref for Shared {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// The paths of the hub's port; `pages` are the web pages below `/koji`.
fn router(shared: Shared, pages: Router) -> Router {
    let grpc = grpc::router(&shared);
    Router::new()
        .route("/kojihub", any(rpc::handle))
        .route("/kojihub/", any(rpc::handle))
        .route("/kojihub/ssllogin", any(rpc::handle))
        .route("/kojifiles", get(files::handle))
        .route("/kojifiles/", get(files::handle))
        .route("/kojifiles/{*path}", get(files::handle))
        .route("/api/rpc", get(json::rpc::get).post(json::rpc::post))
        .route("/api/openapi.json", get(json::openapi::handle))
        .route("/api/v1/{method}", any(json::resource::handle))
        .route("/api/events", get(events::handle))
        .route("/api/tasks/{task}/logs", get(logs::together::handle))
        .route("/api/tasks/{task}/logs/{*name}", get(logs::handle))
        .route(
            "/api/uploads/{task}/{*path}",
            get(uploads::handle).put(uploads::handle).post(uploads::handle),
        )
        .route("/api/provenance/keys", get(provenance::keys))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .with_state(shared)
        .merge(pages)
        .merge(grpc)
}
