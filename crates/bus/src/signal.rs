//! Keyed wake-up signals that coalesce.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// What a signal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Tasks or hosts changed in a way that the scheduler should see.
    Scheduler,
    /// Something for this host: an assignment, a cancelled task, a parent to wake.
    Host(i64),
    /// The options of this host were changed.
    HostOptions(i64),
    /// This host may no longer work: its connections end.
    Revoked(i64),
    /// This task changed its state.
    Task(i64),
    /// Tags, repositories or requests changed in a way that the repository daemon should see.
    Repositories,
    /// New rows in the outbox.
    Outbox,
    /// Messages for the message bus.
    Messages,
    /// Statements about builds that are to be written.
    Statements,
    /// The job that makes repository metadata of older RPMs was told something.
    Metadata,
}

#[derive(Clone, Default)]
pub(crate) struct Signals(Arc<Mutex<HashMap<Topic, watch::Sender<u64>>>>);

impl Signals {
    pub(crate) fn signal(&self, topic: Topic) {
        let mut topics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sender) = topics.get(&topic) else { return };
        if sender.receiver_count() == 0 {
            topics.remove(&topic);
        } else {
            sender.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    pub(crate) fn listen(&self, topic: Topic) -> Listener {
        let mut topics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = topics.entry(topic).or_insert_with(|| watch::Sender::new(0));
        Listener(sender.subscribe())
    }
}

/// Waits for signals of one topic.
pub struct Listener(watch::Receiver<u64>);

impl Listener {
    /// Returns after the next signal, at once if one came since the last wait.
    pub async fn wait(&mut self) {
        if self.0.changed().await.is_err() {
            // The sender lives as long as a receiver does; without it nothing will ever come.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn signals_coalesce_and_are_not_lost() {
        let signals = Signals::default();
        let mut listener = signals.listen(Topic::Host(1));
        signals.signal(Topic::Host(2));
        signals.signal(Topic::Host(1));
        signals.signal(Topic::Host(1));
        listener.wait().await;
        let again = tokio::time::timeout(std::time::Duration::from_millis(5), listener.wait());
        assert!(again.await.is_err(), "two signals should have become one");
    }

    #[test]
    fn topics_without_listeners_are_forgotten() {
        let signals = Signals::default();
        drop(signals.listen(Topic::Task(7)));
        signals.signal(Topic::Task(7));
        assert!(signals.0.lock().unwrap().is_empty());
    }
}
