//! The wish of a task that the daemon ends or starts anew.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::SystemTime;

use tokio::sync::Notify;

/// How a builder ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It is to start anew, with nothing left of this life.
    Restart,
    /// It ends.
    Shutdown,
}

/// Carries the wish from a task to the daemon.
pub(crate) struct Leave {
    wish: AtomicU8,
    told: Notify,
    /// When this life of the daemon began.
    pub(crate) started: SystemTime,
}

impl Leave {
    #[expect(clippy::disallowed_methods, reason = "the daemon's own start")]
    pub(crate) fn new() -> Self {
        Leave { wish: AtomicU8::new(0), told: Notify::new(), started: SystemTime::now() }
    }

    /// Asks the daemon to end once its tasks have.
    pub(crate) fn ask(&self, ending: Ending) {
        let number = match ending {
            Ending::Restart => 1,
            Ending::Shutdown => 2,
        };
        self.wish.fetch_max(number, Ordering::SeqCst);
        self.told.notify_one();
    }

    /// What was asked for.
    pub(crate) fn wish(&self) -> Option<Ending> {
        match self.wish.load(Ordering::SeqCst) {
            0 => None,
            1 => Some(Ending::Restart),
            _ => Some(Ending::Shutdown),
        }
    }

    /// Waits until something is asked for.
    pub(crate) async fn asked(&self) {
        self.told.notified().await;
    }

    /// When this life began, in seconds since 1970.
    pub(crate) fn started(&self) -> f64 {
        let since = self.started.duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0.0, |since| since.as_secs_f64())
    }
}
