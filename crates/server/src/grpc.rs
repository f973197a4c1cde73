//! gRPC: the builder's live connection, and the watching of events.

mod attach;
mod gate;
mod watch;

use axum::Router;
use toji_proto::builder::builder_server::BuilderServer;
use toji_proto::events::events_server::EventsServer;

use crate::Shared;

/// The gRPC services as routes; unknown paths are left to the other routes.
pub(crate) fn router(shared: &Shared) -> Router {
    let builder = attach::Service::new(shared.clone());
    let builder = BuilderServer::new(builder).max_decoding_message_size(gate::MESSAGE);
    let events = EventsServer::new(watch::Service(shared.clone()));
    Router::new()
        .route_service("/toji.builder.v1.Builder/{*method}", builder)
        .route_service("/toji.events.v1.Events/{*method}", events)
}
