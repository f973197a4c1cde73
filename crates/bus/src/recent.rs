//! The newest events, for readers that each go at their own pace.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit, watch};

use crate::Event;

/// Events that are kept at most …
const MOST: usize = 8192;
/// … and bytes in them, about.
const BYTES: usize = 32 << 20;
/// Readers that may read what is not kept here from the database at the same time.
const REPLAYS: usize = 4;

/// What a reader finds.
#[derive(Debug)]
pub enum Found {
    /// The next events, without a gap.
    Events(Vec<Event>),
    /// There are none yet.
    Nothing,
    /// There are, but not here any more: they are in the outbox.
    Older,
}

/// The newest events; clones share them.
#[derive(Clone)]
pub(crate) struct Recent(Arc<Inner>);

struct Inner {
    ring: Mutex<Ring>,
    /// The number of the newest event.
    newest: watch::Sender<i64>,
    replays: Semaphore,
}

#[derive(Default)]
struct Ring {
    events: VecDeque<Event>,
    bytes: usize,
}

impl Default for Recent {
    fn default() -> Self {
        let (ring, newest) = (Mutex::default(), watch::Sender::new(0));
        Recent(Arc::new(Inner { ring, newest, replays: Semaphore::new(REPLAYS) }))
    }
}

impl Recent {
    /// Adds an event; after a gap only it is kept.
    pub(crate) fn add(&self, event: Event) {
        let seq = event.seq;
        {
            let mut ring = self.0.ring.lock().unwrap_or_else(PoisonError::into_inner);
            if ring.events.back().is_some_and(|last| last.seq + 1 != seq) {
                *ring = Ring::default();
            }
            ring.bytes += event.size();
            ring.events.push_back(event);
            while ring.events.len() > MOST || (ring.bytes > BYTES && ring.events.len() > 1) {
                let gone = ring.events.pop_front();
                ring.bytes -= gone.map_or(0, |event| event.size());
            }
        }
        self.0.newest.send_replace(seq);
    }

    /// Tells readers how far the outbox is that nobody has read here.
    pub(crate) fn begin(&self, seq: i64) {
        *self.0.ring.lock().unwrap_or_else(PoisonError::into_inner) = Ring::default();
        self.0.newest.send_replace(seq);
    }

    pub(crate) fn newest(&self) -> watch::Receiver<i64> {
        self.0.newest.subscribe()
    }

    /// At most `limit` events after number `seq`.
    pub(crate) fn after(&self, seq: i64, limit: usize) -> Found {
        if *self.0.newest.borrow() <= seq {
            return Found::Nothing;
        }
        let ring = self.0.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let first = ring.events.front().map_or(i64::MAX, |event| event.seq);
        let Some(at) = (seq + 1).checked_sub(first).and_then(|at| usize::try_from(at).ok()) else {
            return Found::Older;
        };
        Found::Events(ring.events.range(at.min(ring.events.len())..).take(limit).cloned().collect())
    }

    /// Waits for a turn to read from the database.
    pub(crate) async fn replay(&self) -> Option<SemaphorePermit<'_>> {
        self.0.replays.acquire().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{About, event};

    fn event(seq: i64, length: usize) -> Event {
        Event::new(event::Inner {
            seq,
            kind: "k".to_owned(),
            key: "k:1".to_owned(),
            created: String::new(),
            body: "x".repeat(length),
            about: About::default(),
            frame: std::sync::OnceLock::new(),
        })
    }

    fn seqs(found: Found) -> Option<Vec<i64>> {
        match found {
            Found::Events(events) => Some(events.iter().map(|event| event.seq).collect()),
            Found::Nothing => Some(Vec::new()),
            Found::Older => None,
        }
    }

    #[test]
    fn readers_find_what_comes_after_their_number() {
        let recent = Recent::default();
        assert_eq!(seqs(recent.after(0, 9)), Some(vec![]));
        recent.begin(6);
        assert_eq!(seqs(recent.after(6, 9)), Some(vec![]));
        assert_eq!(seqs(recent.after(5, 9)), None, "nobody has read it here");
        (7..=9).for_each(|seq| recent.add(event(seq, 1)));
        assert_eq!(seqs(recent.after(5, 9)), None);
        assert_eq!(seqs(recent.after(6, 9)), Some(vec![7, 8, 9]));
        assert_eq!(seqs(recent.after(7, 1)), Some(vec![8]));
        assert_eq!(seqs(recent.after(9, 9)), Some(vec![]));
        assert_eq!(seqs(recent.after(12, 9)), Some(vec![]));
        recent.add(event(11, 1));
        assert_eq!(seqs(recent.after(9, 9)), None, "there is a gap");
        assert_eq!(seqs(recent.after(10, 9)), Some(vec![11]));
    }

    #[test]
    fn many_and_large_ones_go() {
        let recent = Recent::default();
        let most = i64::try_from(MOST).unwrap();
        (1..=most + 2).for_each(|seq| recent.add(event(seq, 1)));
        assert_eq!(seqs(recent.after(1, 1)), None);
        assert_eq!(seqs(recent.after(2, 1)), Some(vec![3]));
        recent.add(event(most + 3, BYTES / 3));
        recent.add(event(most + 4, BYTES / 3));
        assert_eq!(seqs(recent.after(most + 2, 9)), None, "two are too large together");
        assert_eq!(seqs(recent.after(most + 3, 9)), Some(vec![most + 4]));
    }
}
