//! The live connection to the hub: tasks and their changes come by it without asking.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use toji_client::Client;
use toji_proto::builder::builder_client::BuilderClient;
use toji_proto::builder::{FromBuilder, Heartbeat, Hello, Status, from_builder, to_builder};
use toji_proto::tonic::{self, Streaming};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

use crate::channel::connect;
use crate::context::Shared;
use crate::resources::measure;

/// The first pause after a lost connection; it doubles up to [`LONGEST`].
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);
/// The longest pause towards a hub that never had one: it may be Koji's, or behind a front end that passes none on.
const NEVER_HAD: Duration = Duration::from_secs(120);
/// How long a side may be silent at most, in heartbeats.
const SILENCE: u32 = 3;

/// What the hub tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// The connection is up; what happened before must be asked for.
    Connected,
    /// A task, and its method where the hub tells it.
    Assigned(i64, String),
    /// The host's options were changed.
    Configured,
    Cancelled(i64),
    Woken(i64),
    Drain,
}

/// Keeps the connection up for as long as somebody listens.
pub(crate) async fn keep(
    shared: Arc<Shared>,
    hub: Client,
    status: watch::Receiver<Status>,
    signals: mpsc::Sender<Signal>,
) {
    let (mut pause, mut longest) = (SHORTEST, NEVER_HAD);
    while !signals.is_closed() && shared.config.stream {
        let ended = attach(&shared, &hub, status.clone(), &signals).await;
        shared.quiet.store(false, Ordering::Relaxed);
        if shared.live.swap(false, Ordering::Relaxed) {
            (pause, longest) = (SHORTEST, LONGEST);
        }
        tracing::debug!(reason = ended, "no live connection");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
    // Who asked for signals goes on listening: without a stream none come.
    signals.closed().await;
}

/// Serves one connection; returns why it ended.
async fn attach(
    shared: &Shared,
    hub: &Client,
    mut status: watch::Receiver<Status>,
    signals: &mpsc::Sender<Signal>,
) -> String {
    let (out, outgoing) = mpsc::channel(16);
    let mut incoming = match open(shared, hub, &mut status, &out, outgoing).await {
        Ok(incoming) => incoming,
        Err(reason) => return reason,
    };
    let mut period = Duration::from_secs(10);
    let mut heartbeat = tokio::time::interval(period);
    let mut number = 0;
    loop {
        let message = tokio::select! {
            message = tokio::time::timeout(period * SILENCE, incoming.message()) => message,
            _ = heartbeat.tick() => {
                number += 1;
                let resources = Some(measure(&shared.config.workdir));
                let heartbeat = Heartbeat { number, resources };
                send(&out, from_builder::Message::Heartbeat(heartbeat)).await;
                continue;
            }
            changed = status.changed() => {
                if changed.is_err() {
                    return "the builder stops".to_owned();
                }
                let current = status.borrow_and_update().clone();
                send(&out, from_builder::Message::Status(current)).await;
                continue;
            }
        };
        let message = match message {
            Err(_) => return "the hub is silent".to_owned(),
            Ok(Err(refused)) => return refused.to_string(),
            Ok(Ok(None)) => return "the hub hung up".to_owned(),
            Ok(Ok(Some(message))) => message.message,
        };
        let signal = match message {
            Some(to_builder::Message::Welcome(welcome)) => {
                let millis = u64::try_from(welcome.heartbeat_ms).unwrap_or(0).max(100);
                period = Duration::from_millis(millis);
                heartbeat = tokio::time::interval(period);
                shared.live.store(true, Ordering::Relaxed);
                shared.quiet.store(welcome.keeps_status, Ordering::Relaxed);
                tracing::info!(host = welcome.host_id, "live connection");
                Signal::Connected
            }
            Some(to_builder::Message::Assigned(task)) => {
                Signal::Assigned(task.task_id, task.method)
            }
            Some(to_builder::Message::Cancelled(task)) => Signal::Cancelled(task.task_id),
            Some(to_builder::Message::Woken(task)) => Signal::Woken(task.task_id),
            Some(to_builder::Message::Drain(_)) => Signal::Drain,
            Some(to_builder::Message::Configured(_)) => Signal::Configured,
            Some(to_builder::Message::Heartbeat(_)) | None => continue,
        };
        if signals.send(signal).await.is_err() {
            return "the builder stops".to_owned();
        }
    }
}

async fn open(
    shared: &Shared,
    hub: &Client,
    status: &mut watch::Receiver<Status>,
    out: &mpsc::Sender<FromBuilder>,
    outgoing: mpsc::Receiver<FromBuilder>,
) -> Result<Streaming<toji_proto::builder::ToBuilder>, String> {
    let channel = connect(&shared.config).await?;
    let session = hub.session().await.ok_or("not logged in")?;
    let mut current = status.borrow_and_update().clone();
    current.resources = Some(measure(&shared.config.workdir));
    let hello = Hello {
        session_id: session.id,
        session_key: session.key,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        methods: shared.plugins.methods().map(str::to_owned).collect(),
        task_ids: current.task_ids.clone(),
    };
    send(out, from_builder::Message::Hello(hello)).await;
    send(out, from_builder::Message::Status(current)).await;
    let request = tonic::Request::new(ReceiverStream::new(outgoing));
    let answer = BuilderClient::new(channel).attach(request).await.map_err(|e| e.to_string())?;
    Ok(answer.into_inner())
}

/// A failure shows up on the receiving side too.
async fn send(out: &mpsc::Sender<FromBuilder>, message: from_builder::Message) {
    let _ = out.send(FromBuilder { message: Some(message) }).await;
}
