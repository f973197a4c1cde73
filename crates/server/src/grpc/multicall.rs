//! `toji.hub.v1.Calls/Multicall`: batches, each done in one transaction when all of it has come.
//!
//! Nothing of the database is held while a client thinks: the calls of a batch are kept in memory until its end.

use std::time::Duration;

use bytes::Bytes;
use toji_hub::batch::Item;
use toji_proto::hub::message::{self, Said, Sent};
use toji_proto::tonic::Status;
use toji_value::Fault;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::calls::Caller;
use super::raw::{Answers, Messages};
use super::{status, unary};
use crate::{Shared, crowd};

/// A client that sends nothing for so long is given up.
const SILENCE: Duration = Duration::from_secs(600);

/// Answers a stream; with `gzip` its longer messages are compressed.
pub(super) fn answer(shared: Shared, caller: Caller, calls: Messages, gzip: bool) -> Answers {
    let (out, answers) = mpsc::channel(64);
    let stream = Multicall { shared, caller, out, gzip, strict: false, batch: Batch::default() };
    tokio::spawn(stream.run(calls));
    Answers::new(answers)
}

struct Multicall {
    shared: Shared,
    caller: Caller,
    out: mpsc::Sender<Result<Bytes, Status>>,
    gzip: bool,
    strict: bool,
    batch: Batch,
}

/// Calls that have come and are not done.
#[derive(Default)]
struct Batch {
    ids: Vec<i64>,
    items: Vec<Item>,
    /// Size of their messages.
    bytes: usize,
}

impl Multicall {
    async fn run(mut self, mut calls: Messages) {
        let gone = self.out.clone();
        let draining = self.shared.draining.clone();
        let work = async {
            tokio::select! {
                done = self.work(&mut calls) => done,
                () = draining.cancelled() => Err(Status::unavailable("the hub is ending")),
            }
        };
        // A client that goes away before the end of its batch has changed nothing.
        let done = tokio::select! {
            done = work => done,
            () = gone.closed() => return,
        };
        if let Err(status) = done {
            gone.send(Err(status)).await.ok();
        }
    }

    async fn work(&mut self, calls: &mut Messages) -> Result<(), Status> {
        let late = || Status::deadline_exceeded("the time for the stream is over");
        loop {
            let patience = Instant::now() + SILENCE;
            let end = self.caller.end.map_or(patience, |end| end.min(patience));
            let Some(sent) = timeout_at(end, calls.next()).await.map_err(|_| late())?? else {
                break;
            };
            match message::read_sent(&sent).map_err(status::malformed)? {
                Sent::Options { strict } => self.strict = strict,
                Sent::Call(call, size) => self.take(call, size)?,
                Sent::Commit => self.commit().await?,
                Sent::Unknown => {
                    return Err(Status::invalid_argument("a message of no known kind"));
                }
            }
        }
        if self.batch.items.is_empty() { Ok(()) } else { self.commit().await }
    }

    fn take(&mut self, call: message::Named, size: usize) -> Result<(), Status> {
        self.batch.bytes += size;
        // What one request may have at the other doors, a batch may have here.
        if self.batch.bytes > self.shared.hub.config.max_request_length {
            return Err(Status::resource_exhausted("the batch is too long"));
        }
        self.batch.ids.push(call.id);
        self.batch.items.push(Item { method: call.method, args: call.args });
        Ok(())
    }

    /// Does the batch, and tells what became of its calls.
    async fn commit(&mut self) -> Result<(), Status> {
        let Batch { ids, items, .. } = std::mem::take(&mut self.batch);
        let calls = items.len();
        let request = &self.caller.request;
        let hub = &self.shared.hub;
        let (place, outcomes) = crowd::batch(hub, request, items, self.strict).await;
        let outcomes = outcomes.map_err(|fault: Fault| status::of_fault(&fault))?;
        drop(place);
        // The next batch is another call of the session.
        if let Some(session) = &mut self.caller.request.session {
            session.callnum = session.callnum.map(|number| number + 1);
        }
        let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
        for (id, outcome) in ids.into_iter().zip(outcomes) {
            self.say(&Said::Answer { id, outcome }).await?;
        }
        self.say(&Said::Done { calls, failed }).await
    }

    async fn say(&self, said: &Said) -> Result<(), Status> {
        let message = unary::frame(message::write_said(said).framed(), self.gzip).await;
        let sent = self.out.send(Ok(message)).await;
        sent.map_err(|_| Status::cancelled("the client has gone"))
    }
}
