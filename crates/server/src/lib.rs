//! The front doors of the hub on one port: XML-RPC, uploads, files, events, gRPC and health.

mod events;
mod files;
mod front;
mod grpc;
mod health;
mod in_process;
mod listing;
mod login;
mod logs;
mod network;
mod provenance;
mod rpc;
mod serve;
mod socket;
mod tls;
mod uploads;

pub use front::Front;
pub use in_process::InProcess;
pub use network::Network;
pub use serve::{Listeners, Options, Site, serve};
pub use tls::TlsFiles;
pub use toji_gssapi::Acceptor;

use axum::Router;
use axum::routing::{any, get};
use toji_hub::Hub;

/// What the handlers of all paths share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) hub: Hub,
    pub(crate) files: files::Root,
    pub(crate) front: Front,
    /// Ends long-lived answers (event streams) when the server drains.
    pub(crate) draining: tokio_util::sync::CancellationToken,
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
        .route("/api/events", get(events::handle))
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
