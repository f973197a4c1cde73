//! Limits of the builders' streams: builders are not trusted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use toji_proto::tonic::Status;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Streams that may wait for their Hello at the same time.
const STRANGERS: usize = 1024;
/// The largest message that a builder may send, in bytes: a Hello with [`TASKS`] tasks has less.
pub(super) const MESSAGE: usize = 256 << 10;
/// Tasks that a builder may say it works on.
pub(super) const TASKS: usize = 10_000;
/// Messages a second that a builder may send for long; a busy one sends a status for each task.
const MESSAGES: Rate = Rate { each: Duration::from_millis(5), burst: 1000 };
/// Streams that a host may open one after the other.
const STREAMS: Rate = Rate { each: Duration::from_millis(500), burst: 20 };

/// Who may attach, shared by all streams.
#[derive(Clone)]
pub(super) struct Gate {
    strangers: Arc<Semaphore>,
    hosts: Arc<Mutex<HashMap<i64, Seat>>>,
}

/// A host's place.
struct Seat {
    taken_over: CancellationToken,
    streams: Allowance,
}

impl Default for Gate {
    fn default() -> Self {
        Gate { strangers: Arc::new(Semaphore::new(STRANGERS)), hosts: Arc::default() }
    }
}

impl Gate {
    /// Lets a stream in that has not said yet whose it is.
    ///
    /// # Errors
    /// When there are too many of them.
    pub(super) fn stranger(&self) -> Result<OwnedSemaphorePermit, Status> {
        let full = |_| Status::resource_exhausted("too many streams without a Hello");
        self.strangers.clone().try_acquire_owned().map_err(full)
    }

    /// Gives a host's place to a new stream; the one before it ends.
    ///
    /// # Errors
    /// When the host opens streams all the time.
    pub(super) fn host(&self, host_id: i64) -> Result<Place, Status> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let seat = hosts.entry(host_id).or_insert_with(|| Seat {
            taken_over: CancellationToken::new(),
            streams: STREAMS.start(),
        });
        if !seat.streams.take() {
            return Err(Status::resource_exhausted("too many streams of this host"));
        }
        seat.taken_over.cancel();
        seat.taken_over = CancellationToken::new();
        Ok(Place { taken_over: seat.taken_over.clone(), messages: MESSAGES.start() })
    }
}

/// A host's stream.
pub(super) struct Place {
    /// Another stream of the host has taken its place.
    pub(super) taken_over: CancellationToken,
    /// What it may send.
    pub(super) messages: Allowance,
}

/// So many at once, and one more after each pause.
#[derive(Clone, Copy)]
struct Rate {
    each: Duration,
    burst: u32,
}

impl Rate {
    fn start(self) -> Allowance {
        Allowance { rate: self, full_at: Instant::now() }
    }
}

/// What is left of a [`Rate`].
pub(super) struct Allowance {
    rate: Rate,
    /// When nothing of what was taken will count any more.
    full_at: Instant,
}

impl Allowance {
    /// Takes one; false when there is none left.
    pub(super) fn take(&mut self) -> bool {
        self.take_at(Instant::now())
    }

    fn take_at(&mut self, now: Instant) -> bool {
        let next = self.full_at.max(now) + self.rate.each;
        let fits = next - now <= self.rate.each * self.rate.burst;
        if fits {
            self.full_at = next;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_comes_back_with_time() {
        let mut left = Rate { each: Duration::from_secs(1), burst: 3 }.start();
        let now = Instant::now() + Duration::from_secs(10);
        assert_eq!([(); 4].map(|()| left.take_at(now)), [true, true, true, false]);
        let then = now + Duration::from_secs(1);
        assert_eq!([(); 2].map(|()| left.take_at(then)), [true, false]);
    }

    #[tokio::test]
    async fn a_new_stream_takes_the_place_of_the_old_one() {
        let gate = Gate::default();
        let (first, other) = (gate.host(1).unwrap(), gate.host(2).unwrap());
        assert!(!first.taken_over.is_cancelled());
        let second = gate.host(1).unwrap();
        assert!(first.taken_over.is_cancelled());
        assert!(!second.taken_over.is_cancelled() && !other.taken_over.is_cancelled());
    }
}
