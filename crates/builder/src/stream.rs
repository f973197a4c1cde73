//! The live connection to the hub: tasks and their changes come by it without asking.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use toji_client::Client;
use toji_proto::builder::builder_client::BuilderClient;
use toji_proto::builder::{FromBuilder, Heartbeat, Hello, Status, from_builder, to_builder};
use toji_proto::tonic::transport::Channel;
use toji_proto::tonic::{self, Streaming};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
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
/// How long the hub may take to answer a greeting.
const GREETING: Duration = Duration::from_secs(30);

/// How a connection ended, or an attempt.
enum Ended {
    /// The hub was there.
    Reached(String),
    /// Nobody answered.
    Cut(String),
}

/// When the hub was last there, and how long after that others have this builder's tasks.
///
/// A hub that is down gives nothing away: as long as its machine refuses connections, time does not count.
struct Absence {
    heard: Instant,
    limit: Option<Duration>,
}

impl Absence {
    fn new(now: Instant) -> Self {
        Absence { heard: now, limit: None }
    }

    /// Whether what runs here is surely done by others by now.
    fn is_over(&mut self, ended: &Ended, now: Instant) -> bool {
        match ended {
            Ended::Reached(_) => {
                self.heard = now;
                false
            }
            Ended::Cut(_) => self.limit.is_some_and(|limit| now - self.heard >= limit),
        }
    }
}

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
    let mut absence = Absence::new(Instant::now());
    while !signals.is_closed() && shared.config.stream {
        let ended = attach(&shared, &hub, status.clone(), &signals, &mut absence).await;
        shared.quiet.store(false, Ordering::Relaxed);
        if shared.live.swap(false, Ordering::Relaxed) {
            (pause, longest) = (SHORTEST, LONGEST);
        }
        if absence.is_over(&ended, Instant::now()) {
            let tasks = status.borrow().task_ids.len();
            tracing::warn!(
                tasks,
                "the hub is out of reach: others have this builder's tasks by now"
            );
            shared.abandon();
        }
        let (Ended::Reached(reason) | Ended::Cut(reason)) = ended;
        tracing::debug!(reason, "no live connection");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
    // Who asked for signals goes on listening: without a stream none come.
    signals.closed().await;
}

/// Serves one connection; returns how it ended.
async fn attach(
    shared: &Shared,
    hub: &Client,
    mut status: watch::Receiver<Status>,
    signals: &mpsc::Sender<Signal>,
    absence: &mut Absence,
) -> Ended {
    let channel = match connect(&shared.config).await {
        Ok(channel) => channel,
        Err(failed) if failed.cut => return Ended::Cut(failed.reason),
        Err(failed) => return Ended::Reached(failed.reason),
    };
    let (out, outgoing) = mpsc::channel(16);
    let greeting = open(shared, hub, channel, &mut status, &out, outgoing);
    let mut incoming = match tokio::time::timeout(GREETING, greeting).await {
        Ok(Ok(incoming)) => incoming,
        Ok(Err(reason)) => return Ended::Reached(reason),
        Err(_) => return Ended::Reached("the hub does not answer".to_owned()),
    };
    let mut period = Duration::from_secs(10);
    let mut heartbeat = tokio::time::interval(period);
    let mut number = 0;
    absence.heard = Instant::now();
    loop {
        let message = tokio::select! {
            message = incoming.message() => message,
            // Whether it is gone or cut off is seen when a new connection is tried.
            () = tokio::time::sleep_until(absence.heard + period * SILENCE) => {
                return Ended::Cut("the hub is silent".to_owned());
            }
            _ = heartbeat.tick() => {
                number += 1;
                let resources = Some(measure(&shared.config.workdir));
                let heartbeat = Heartbeat { number, resources };
                send(&out, from_builder::Message::Heartbeat(heartbeat)).await;
                continue;
            }
            changed = status.changed() => {
                if changed.is_err() {
                    return Ended::Reached("the builder stops".to_owned());
                }
                let current = status.borrow_and_update().clone();
                send(&out, from_builder::Message::Status(current)).await;
                continue;
            }
        };
        let message = match message {
            Err(refused) => return Ended::Reached(refused.to_string()),
            Ok(None) => return Ended::Reached("the hub hung up".to_owned()),
            Ok(Some(message)) => message.message,
        };
        absence.heard = Instant::now();
        let signal = match message {
            Some(to_builder::Message::Welcome(welcome)) => {
                let millis = u64::try_from(welcome.heartbeat_ms).unwrap_or(0).max(100);
                period = Duration::from_millis(millis);
                heartbeat = tokio::time::interval(period);
                let limit = u64::try_from(welcome.abandon_ms).unwrap_or(0);
                absence.limit = (limit > 0).then(|| Duration::from_millis(limit));
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
            return Ended::Reached("the builder stops".to_owned());
        }
    }
}

async fn open(
    shared: &Shared,
    hub: &Client,
    channel: Channel,
    status: &mut watch::Receiver<Status>,
    out: &mpsc::Sender<FromBuilder>,
    outgoing: mpsc::Receiver<FromBuilder>,
) -> Result<Streaming<toji_proto::builder::ToBuilder>, String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_builder_aborts_its_tasks_when_it_is_cut_off_for_too_long() {
        let start = Instant::now();
        let mut absence = Absence { heard: start, limit: Some(MINUTE) };
        let cut = Ended::Cut(String::new());
        assert!(!absence.is_over(&cut, start + MINUTE / 2));
        assert!(absence.is_over(&cut, start + MINUTE));
    }

    #[test]
    fn a_hub_that_is_down_does_not_abort_the_tasks_of_its_builders() {
        let start = Instant::now();
        let mut absence = Absence { heard: start, limit: Some(MINUTE) };
        let (cut, reached) = (Ended::Cut(String::new()), Ended::Reached(String::new()));
        assert!(!absence.is_over(&reached, start + 100 * MINUTE));
        assert!(!absence.is_over(&cut, start + 100 * MINUTE + MINUTE / 2));
        assert!(absence.is_over(&cut, start + 101 * MINUTE));
        let mut unknown = Absence::new(start);
        assert!(!unknown.is_over(&cut, start + 100 * MINUTE), "an older hub does not say how long");
    }
}
