//! Events for readers outside: filtered, in order, from any number on that is kept.
//!
//! A [`Reader`] holds its number and nothing else: what it has not taken yet stays in the bus, or in the outbox.
//! However slow it is, it holds up nobody and misses nothing without being told.

mod filter;
pub mod keep;

use std::collections::VecDeque;
use std::time::Duration;

use toji_bus::{Event, Found};
use toji_value::Fault;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::Hub;
use filter::Filter;
pub use filter::Wanted;
pub(crate) use filter::is_of_kind;

/// A reader that nothing concerns is told so often how far it has come.
pub const BEAT: Duration = Duration::from_secs(15);
/// Events that a reader takes from the bus at a time, and from the database.
const TAKE: usize = 64;
const BATCH: i64 = 128;

/// What a reader is told.
#[derive(Clone, Debug)]
pub enum Told {
    /// Something that it wants to know.
    Event(Event),
    /// Nothing for a while: whatever it wants to know up to this number was told.
    Upto(i64),
}

/// Why a reader cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum End {
    /// What came after its number is not kept any more, or never was.
    #[error("events after number {after} are not there: kept are those from {oldest} to {newest}")]
    Gone {
        /// The reader's number.
        after: i64,
        /// The oldest event that is kept.
        oldest: i64,
        /// The newest one.
        newest: i64,
    },
    /// Its filter cannot be understood.
    #[error("{0}")]
    Filter(String),
    /// The database failed.
    #[error("the events cannot be read: {0}")]
    Failed(Fault),
}

impl From<toji_db::Error> for End {
    fn from(error: toji_db::Error) -> End {
        End::Failed(error.into())
    }
}

/// Reads events.
pub struct Reader {
    hub: Hub,
    filter: Filter,
    news: watch::Receiver<i64>,
    /// Everything up to this number was looked at.
    last: i64,
    /// Whether the next events are in the database.
    behind: bool,
    waiting: VecDeque<Event>,
    beat: Instant,
}

impl Reader {
    /// A reader of what came after number `after`, or of what comes from now on.
    ///
    /// # Errors
    /// [`End::Gone`] for a number that is too old, or larger than any; [`End::Filter`] for users that do not exist.
    pub async fn open(hub: Hub, wanted: &Wanted, after: Option<i64>) -> Result<Reader, End> {
        let news = hub.bus.newest();
        let mut call = hub.reading();
        let (oldest, newest) = toji_db::outbox::bounds(&mut call.tx).await?;
        let last = after.unwrap_or(newest);
        if last > newest || last < oldest - 1 {
            return Err(End::Gone { after: last, oldest, newest });
        }
        // After the number was taken: tasks that are made meanwhile are told of.
        let filter = Filter::new(&mut call, wanted).await?;
        drop(call);
        let (behind, waiting) = (last < newest, VecDeque::new());
        Ok(Reader { hub, filter, news, last, behind, waiting, beat: Instant::now() + BEAT })
    }

    /// The number up to which everything was told.
    pub fn number(&self) -> i64 {
        self.waiting.front().map_or(self.last, |event| event.seq - 1)
    }

    /// The next thing to tell.
    ///
    /// # Errors
    /// [`End::Gone`] when the reader was so slow that its next events are not kept any more.
    pub async fn next(&mut self) -> Result<Told, End> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                self.beat = Instant::now() + BEAT;
                return Ok(Told::Event(event));
            }
            if self.behind {
                self.replay().await?;
                continue;
            }
            // Marked before the look, so that nothing between is missed.
            self.news.borrow_and_update();
            match self.hub.bus.after(self.last, TAKE) {
                Found::Events(events) => self.take(events),
                Found::Older => self.behind = true,
                Found::Nothing => {
                    tokio::select! {
                        changed = self.news.changed() => if changed.is_err() {
                            // The bus lives as long as the hub does.
                            std::future::pending::<()>().await;
                        },
                        () = tokio::time::sleep_until(self.beat) => {
                            self.beat = Instant::now() + BEAT;
                            return Ok(Told::Upto(self.last));
                        }
                    }
                }
            }
        }
    }

    /// Reads on in the outbox; at its end the bus goes on.
    async fn replay(&mut self) -> Result<(), End> {
        let turn = self.hub.bus.replay().await;
        let mut tx = self.hub.db.begin();
        let entries = toji_db::outbox::after(&mut tx, self.last, BATCH).await?;
        if entries.first().is_none_or(|entry| entry.seq != self.last + 1) {
            let (oldest, newest) = toji_db::outbox::bounds(&mut tx).await?;
            if self.last < oldest - 1 || self.last > newest {
                return Err(End::Gone { after: self.last, oldest, newest });
            }
        }
        drop(turn);
        self.behind = !entries.is_empty();
        self.take(entries.into_iter().map(crate::relay::event).collect());
        Ok(())
    }

    fn take(&mut self, events: Vec<Event>) {
        if let Some(event) = events.last() {
            self.last = event.seq;
        }
        self.waiting.extend(events.into_iter().filter(|event| self.filter.takes(event)));
    }
}
