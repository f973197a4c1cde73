//! The log on standard error; `TOJI_LOG` sets its detail, or else a configuration file.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// The running log.
pub(crate) struct Log {
    set: Box<dyn Fn(EnvFilter) + Send + Sync>,
    fixed: bool,
}

impl Log {
    /// Begins to log.
    pub(crate) fn start() -> Log {
        let wanted = EnvFilter::try_from_env("TOJI_LOG").ok();
        let fixed = wanted.is_some();
        let filter = wanted.unwrap_or_else(|| EnvFilter::new("info"));
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .with_filter_reloading();
        let handle = subscriber.reload_handle();
        subscriber.init();
        let set = Box::new(move |filter| drop(handle.reload(filter)));
        Log { set, fixed }
    }

    /// Changes the detail, unless the environment has fixed it.
    pub(crate) fn set(&self, level: &str) {
        if !self.fixed {
            (self.set)(EnvFilter::new(level));
        }
    }
}
