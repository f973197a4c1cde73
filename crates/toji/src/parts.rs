//! The parts of a process that work for a hub, for `toji up` and `toji hub` alike.

use std::sync::Arc;

use toji_hub::Hub;
use toji_server::{Front, InProcess, Site};
use tokio_util::sync::CancellationToken;

use crate::carrier::{Amqp, Brokers};
use crate::fetch::Web;

/// Tells what was committed, until `stop`.
pub(crate) async fn relay(hub: Hub, stop: CancellationToken) {
    tokio::select! {
        () = toji_hub::relay::run(hub) => {}
        () = stop.cancelled() => {}
    }
}

/// Writes what connected builders say, until `stop`.
pub(crate) async fn live(hub: Hub, stop: CancellationToken) {
    toji_hub::live::serve(hub, stop.cancelled_owned()).await;
}

/// The hub with its web pages, and how logins come in.
pub(crate) fn site(hub: &Hub, front: Front, stop: &CancellationToken) -> Site {
    Web::serve(hub);
    let backend = InProcess { hub: hub.clone(), stop: stop.clone() };
    Site { hub: hub.clone(), pages: toji_web::router(Arc::new(backend)), front }
}

/// Sends messages to the brokers that protonmsg.conf names, until `stop`; does nothing without one.
pub(crate) async fn send_messages(hub: Hub, stop: CancellationToken) {
    if let Some(options) = hub.config.messages.clone() {
        let carrier = Amqp(options.clone());
        toji_hub::courier::serve(hub, options, carrier, stop.cancelled_owned()).await;
    }
}

/// Sends events to the brokers that `Relays` names, until `stop`; does nothing without one.
pub(crate) async fn relay_out(hub: Hub, stop: CancellationToken) {
    let mut relays = tokio::task::JoinSet::new();
    for relay in hub.config.relays.clone() {
        let stop = stop.clone().cancelled_owned();
        relays.spawn(toji_hub::forward::serve(hub.clone(), relay, Brokers, stop));
    }
    while relays.join_next().await.is_some() {}
}

/// Writes the statements about builds, until `stop`; without a key they wait.
pub(crate) async fn write_statements(hub: Hub, stop: CancellationToken) {
    let Some(path) = hub.config.provenance_key.clone() else { return };
    let random = hub.random.clone();
    let opened =
        tokio::task::spawn_blocking(move || toji_hub::statement::open_key(&path, &*random));
    match opened.await {
        Ok(Ok(key)) => toji_hub::statement::serve(hub, key, stop.cancelled_owned()).await,
        Ok(Err(error)) => {
            let error = anyhow::Error::from(error);
            tracing::error!("provenance is not written for now: ProvenanceKey: {error:#}");
        }
        Err(error) => tracing::error!(%error, "provenance is not written for now"),
    }
}

/// Cancels `stop` at SIGTERM and Ctrl-C, so that the process ends in order.
pub(crate) async fn wait_for_signal(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    tracing::info!("ending: running requests are finished first");
    stop.cancel();
}

/// The work of the garbage collector, until `stop`; it has a thread of its own.
pub(crate) fn collect(
    hub: Hub,
    (options, mut post): (toji_hub::gc::Options, crate::gc::Post),
    stop: &CancellationToken,
) -> impl FnOnce() + Send + 'static {
    post.logs = true;
    post.end_with(stop.clone());
    let stopped = stop.clone().cancelled_owned();
    let runtime = tokio::runtime::Handle::current();
    move || runtime.block_on(toji_hub::gc::serve(hub, options, post, stopped))
}
