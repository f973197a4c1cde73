//! gRPC: the calls, the builder's live connection, the watching of events, and what tools ask for.

mod attach;
mod calls;
mod gate;
mod multicall;
mod raw;
mod status;
mod unary;
mod watch;

use axum::Router;
use axum::routing::post;
use toji_proto::builder::builder_server::BuilderServer;
use toji_proto::events::events_server::EventsServer;
use toji_proto::hub;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use tonic_reflection::server::Builder as Reflection;

use crate::Shared;

/// What has a health of its own; the empty name is the server as a whole.
const SERVICES: [&str; 5] =
    ["", hub::HUB, hub::CALLS, "toji.builder.v1.Builder", "toji.events.v1.Events"];

/// The gRPC services as routes; unknown paths are left to the other routes.
pub(crate) fn router(shared: &Shared) -> Router {
    let builder = attach::Service::new(shared.clone());
    let builder = BuilderServer::new(builder).max_decoding_message_size(gate::MESSAGE);
    let events = EventsServer::new(watch::Service(shared.clone()));
    let service = calls::Service::new(shared.clone());
    let (declared, named) = (service.clone(), service);
    let mut router = Router::new()
        .route_service("/toji.builder.v1.Builder/{*method}", builder)
        .route_service("/toji.events.v1.Events/{*method}", events)
        .route("/toji.hub.v1.Hub/{method}", post(move |request| declared.hub(request)))
        .route("/toji.hub.v1.Calls/{method}", post(move |request| named.calls(request)))
        .route_service("/grpc.health.v1.Health/{*method}", health(shared));
    let reflection =
        || Reflection::configure().register_encoded_file_descriptor_set(hub::DESCRIPTORS);
    match (reflection().build_v1(), reflection().build_v1alpha()) {
        (Ok(current), Ok(older)) => {
            router = router
                .route_service("/grpc.reflection.v1.ServerReflection/{*method}", current)
                .route_service("/grpc.reflection.v1alpha.ServerReflection/{*method}", older);
        }
        (Err(error), _) | (_, Err(error)) => tracing::error!(%error, "no reflection of services"),
    }
    router
}

/// Reads a frame, for fuzzers.
pub(crate) fn fuzz(data: &[u8]) {
    unary::fuzz(data);
}

/// The time that a client gives a call, for fuzzers.
pub(crate) fn timeout(headers: &axum::http::HeaderMap) -> Option<std::time::Duration> {
    status::timeout(headers).ok().flatten()
}

/// The health of the services: they serve until the server drains.
fn health(shared: &Shared) -> HealthServer<HealthService> {
    let reporter = HealthReporter::new();
    let service = HealthService::from_health_reporter(reporter.clone());
    let draining = shared.draining.clone();
    tokio::spawn(async move {
        for name in SERVICES {
            reporter.set_service_status(name, ServingStatus::Serving).await;
        }
        draining.cancelled().await;
        for name in SERVICES {
            reporter.set_service_status(name, ServingStatus::NotServing).await;
        }
    });
    HealthServer::new(service)
}
