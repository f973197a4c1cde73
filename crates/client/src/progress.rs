//! How far an upload or download is.

use std::sync::Arc;
use std::time::Duration;

/// How far a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that are there, those from an earlier attempt included.
    pub done: u64,
    /// Bytes of the whole, if known.
    pub total: Option<u64>,
    /// Time since the beginning.
    pub elapsed: Duration,
}

/// What is called while a transfer goes on; it must not wait.
#[derive(Clone, Default)]
pub struct Watcher(Option<Arc<dyn Fn(Progress) + Send + Sync>>);

impl Watcher {
    /// Calls `watch` at the beginning, after each piece, and at the end.
    pub fn new(watch: impl Fn(Progress) + Send + Sync + 'static) -> Watcher {
        Watcher(Some(Arc::new(watch)))
    }

    /// Begins to measure.
    pub(crate) fn begin(&self, total: Option<u64>) -> Watch {
        Watch { watcher: self.clone(), begin: std::time::Instant::now(), total }
    }
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Watcher" } else { "nobody" })
    }
}

/// One transfer that is watched.
pub(crate) struct Watch {
    watcher: Watcher,
    begin: std::time::Instant,
    pub(crate) total: Option<u64>,
}

impl Watch {
    pub(crate) fn at(&self, done: u64) {
        if let Some(watch) = &self.watcher.0 {
            watch(Progress { done, total: self.total, elapsed: self.begin.elapsed() });
        }
    }
}
