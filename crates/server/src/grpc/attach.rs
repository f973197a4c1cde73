//! `toji.builder.v1.Builder/Attach`: tells a builder at once what concerns it.
//!
//! To the builder the stream only carries signals. When the host's topic is signalled, the hub looks at the
//! tasks of the host and sends what changed since the last look, so that several signals cost one
//! query, and a stream that starts anew begins with the whole state. What the builder says of itself is
//! handed to [`toji_hub::live`], which stores it for all builders together.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::time::Duration;

use futures::Stream;
use toji_bus::Topic;
use toji_hub::SessionKey;
use toji_hub::live::{Connection, Resources, Said};
use toji_proto::builder::builder_server::Builder;
use toji_proto::builder::{
    Assigned, Cancelled, Configured, Drain, FromBuilder, Heartbeat, Hello, ToBuilder, Welcome,
    Woken, from_builder, to_builder,
};
use toji_proto::tonic::{Request, Response, Status, Streaming};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::gate::{self, Gate, Place};
use crate::Shared;

/// How long a stream may wait with its first message.
const GREETING: Duration = Duration::from_secs(10);

pub(crate) struct Service {
    shared: Shared,
    gate: Gate,
}

impl Service {
    pub(crate) fn new(shared: Shared) -> Self {
        Service { shared, gate: Gate::default() }
    }
}

type Out = mpsc::Sender<Result<ToBuilder, Status>>;

#[toji_proto::tonic::async_trait]
impl Builder for Service {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<ToBuilder, Status>> + Send>>;

    async fn attach(
        &self,
        request: Request<Streaming<FromBuilder>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let peer = request.extensions().get::<axum::extract::ConnectInfo<std::net::SocketAddr>>();
        let remote = peer.map(|p| p.0.ip().to_canonical().to_string()).unwrap_or_default();
        let mut inbound = request.into_inner();
        let stranger = self.gate.stranger()?;
        let first = tokio::time::timeout(GREETING, inbound.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("no Hello in time"))??;
        let Some(from_builder::Message::Hello(hello)) = first.and_then(|m| m.message) else {
            return Err(Status::failed_precondition("the first message must be Hello"));
        };
        let caller = toji_hub::Request {
            session: Some(SessionKey {
                id: hello.session_id,
                key: hello.session_key.clone(),
                callnum: None,
            }),
            remote,
            identity: None,
            again: false,
        };
        let host_id = self.shared.hub.identify_host(&caller).await.map_err(|fault| {
            tracing::info!(text = fault.message, "refused a builder's stream");
            Status::unauthenticated(fault.message)
        })?;
        drop(stranger);
        let place = self.gate.host(host_id)?;
        let (out, answers) = mpsc::channel(64);
        let connection = self.shared.hub.live.attach(host_id, hello.session_id);
        let feed = Feed {
            shared: self.shared.clone(),
            host_id,
            caller,
            connection,
            out,
            place,
            known: known(&hello),
            told: [].into(),
        };
        tokio::spawn(feed.run(inbound));
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}

/// Tasks that the builder says it works on.
fn known(hello: &Hello) -> BTreeSet<i64> {
    hello.task_ids.iter().copied().take(gate::TASKS).collect()
}

/// One attached builder.
struct Feed {
    shared: Shared,
    host_id: i64,
    /// Who has greeted.
    caller: toji_hub::Request,
    connection: Connection,
    out: Out,
    place: Place,
    /// Tasks that the builder knows of.
    known: BTreeSet<i64>,
    /// Waiting tasks that were told to look at their children.
    told: BTreeSet<i64>,
}

impl Feed {
    async fn run(mut self, inbound: Streaming<FromBuilder>) {
        self.follow(inbound).await;
        // A hub that ends does not take its builders for lost: they will be back.
        if !self.shared.draining.is_cancelled() {
            self.shared.hub.live.detach(self.connection);
        }
    }

    /// Serves the stream until its end.
    async fn follow(&mut self, mut inbound: Streaming<FromBuilder>) {
        let host_id = self.host_id;
        let mut signals = self.shared.hub.bus.listen(Topic::Host(host_id));
        let mut options = self.shared.hub.bus.listen(Topic::HostOptions(host_id));
        let mut revoked = self.shared.hub.bus.listen(Topic::Revoked(host_id));
        // It may have been revoked before this was listened for.
        if self.shared.hub.identify_host(&self.caller).await.is_err() {
            tracing::info!(host_id, "a builder was revoked while it connected");
            return;
        }
        let times = &self.shared.hub.config.scheduler;
        let (period, patience) = (times.heartbeat(), times.silence());
        let welcome = Welcome {
            host_id,
            heartbeat_ms: period.as_millis() as i64,
            keeps_status: true,
            abandon_ms: times.abandon().as_millis() as i64,
        };
        if !self.send(to_builder::Message::Welcome(welcome)).await || !self.look().await {
            return;
        }
        let mut beat = tokio::time::interval(period);
        let mut number = 0;
        let silence = tokio::time::sleep(patience);
        tokio::pin!(silence);
        let draining = self.shared.draining.clone();
        let taken_over = self.place.taken_over.clone();
        loop {
            let going_on = tokio::select! {
                () = signals.wait() => self.look().await,
                () = options.wait() => {
                    self.send(to_builder::Message::Configured(Configured {})).await
                }
                _ = beat.tick() => {
                    number += 1;
                    let heartbeat = Heartbeat { number, resources: None };
                    self.send(to_builder::Message::Heartbeat(heartbeat)).await
                }
                message = inbound.message() => match message {
                    Ok(Some(_)) if !self.place.messages.take() => {
                        self.refuse("too many messages")
                    }
                    Ok(Some(message)) => {
                        silence.as_mut().reset(tokio::time::Instant::now() + patience);
                        self.take(message) || self.refuse("too many tasks")
                    }
                    _ => false,
                },
                () = &mut silence => {
                    tracing::warn!(host_id, "a builder went silent");
                    false
                }
                () = taken_over.cancelled() => self.refuse("another stream of this host"),
                () = revoked.wait() => {
                    tracing::info!(host_id, "a builder was revoked");
                    false
                }
                () = draining.cancelled() => {
                    self.send(to_builder::Message::Drain(Drain {})).await;
                    false
                }
            };
            if !going_on {
                return;
            }
        }
    }

    /// Takes what the builder says of itself and of its tasks; false when that is too much.
    fn take(&mut self, message: FromBuilder) -> bool {
        let live = &self.shared.hub.live;
        let limits = &self.shared.hub.config.scheduler.limits;
        match message.message {
            Some(from_builder::Message::Status(status)) => {
                let said = Said {
                    ready: status.ready,
                    load: if status.load.is_finite() { status.load } else { 0.0 },
                    problem: status.problem.chars().take(200).collect(),
                    resources: resources(status.resources.unwrap_or_default()),
                };
                live.say(self.connection, said, limits);
                self.known.extend(status.task_ids);
            }
            Some(from_builder::Message::Heartbeat(Heartbeat { resources: Some(told), .. })) => {
                live.measure(self.connection, resources(told), limits);
            }
            _ => {}
        }
        self.known.len() <= gate::TASKS
    }

    /// Ends the stream with a reason; false, for the end.
    fn refuse(&self, reason: &str) -> bool {
        tracing::warn!(host_id = self.host_id, reason, "ended a builder's stream");
        let _ = self.out.try_send(Err(Status::resource_exhausted(reason)));
        false
    }

    /// Sends what changed in the host's tasks; false when the stream or the database is gone.
    async fn look(&mut self) -> bool {
        let mut tx = self.shared.hub.db.begin();
        let work = match toji_db::host_work::of_host(&mut tx, self.host_id).await {
            Ok(work) => work,
            Err(error) => {
                tracing::warn!(%error, "cannot look at a host's tasks");
                return false;
            }
        };
        drop(tx);
        let held: BTreeSet<i64> = work.iter().map(|w| w.task_id).collect();
        let gone: Vec<i64> = self.known.difference(&held).copied().collect();
        for task_id in gone {
            self.known.remove(&task_id);
            self.told.remove(&task_id);
            if !self.send(to_builder::Message::Cancelled(Cancelled { task_id })).await {
                return false;
            }
        }
        for item in work {
            let task_id = item.task_id;
            if self.known.insert(task_id) || item.assigned {
                let assigned =
                    to_builder::Message::Assigned(Assigned { task_id, method: item.method });
                if item.assigned && !self.send(assigned).await {
                    return false;
                }
            }
            if !item.woken {
                self.told.remove(&task_id);
            } else if !self.send(to_builder::Message::Woken(Woken { task_id })).await {
                return false;
            }
        }
        true
    }

    async fn send(&self, message: to_builder::Message) -> bool {
        self.out.send(Ok(ToBuilder { message: Some(message) })).await.is_ok()
    }
}

fn resources(told: toji_proto::builder::Resources) -> Resources {
    let sane = |value: Option<f64>| value.filter(|value| value.is_finite());
    Resources {
        cpu_pressure: sane(told.cpu_pressure),
        memory_pressure: sane(told.memory_pressure),
        io_pressure: sane(told.io_pressure),
        load_average: sane(told.load_average),
        memory_free_mib: told.memory_free_mib,
        disk_free_mib: told.disk_free_mib,
    }
}
