//! A bar on terminals, and warnings that do not tear it.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};

use toji_repodir::Watch;

const WIDTH: u64 = 40;

/// Shows people how far it has come.
pub(super) struct Progress {
    bar: bool,
    /// The bar on the screen, in steps of the terminal.
    shown: Mutex<Option<u64>>,
}

impl Progress {
    /// With a bar if errors go to a terminal and nobody wants it quiet.
    pub(super) fn new(quiet: bool) -> Self {
        Self { bar: !quiet && std::io::stderr().is_terminal(), shown: Mutex::new(None) }
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.take().is_some() {
            write!(std::io::stderr(), "\r\x1b[K").ok();
        }
    }
}

impl Watch for Progress {
    fn progress(&self, done: u64, all: u64) {
        if !self.bar || all == 0 {
            return;
        }
        // one line for each thousandth
        let step = done * 1000 / all;
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.replace(step) == Some(step) {
            return;
        }
        let full = (done * WIDTH / all) as usize;
        let bar = format!(
            "{}{}",
            "#".repeat(full),
            " ".repeat(WIDTH as usize - full.min(WIDTH as usize))
        );
        write!(std::io::stderr(), "\r[{bar}] {done}/{all}").ok();
    }

    fn warn(&self, text: &str) {
        self.end();
        tracing::warn!("{text}");
    }
}
