//! A command to run, and how it ended.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use crate::limits::{LimitReport, Limits};

/// A command line with its surroundings.
#[derive(Debug, Clone, Default)]
pub struct Command {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Variables beside the standard ones (`HOME`, `PATH`, `LANG`, …), which they override.
    pub env: BTreeMap<String, String>,
    /// Working directory, as seen by the command; the home directory if absent.
    pub cwd: Option<PathBuf>,
    /// Bounds.
    pub limits: Limits,
    /// Whether standard error is told apart from standard output, instead of one merged stream.
    pub split: bool,
    /// Whether it is root inside, in a root of its own that has more users than one.
    pub root: bool,
    /// Whether that root may show directories at other places, too, as makers of images do.
    pub binds: bool,
}

impl Command {
    /// A command with no limits.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self { argv: argv.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Sets one environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn cwd(mut self, cwd: impl Into<PathBuf>) -> Self {
        self.cwd = Some(cwd.into());
        self
    }

    /// Sets the bounds.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Makes it root inside; only in a root of its own, which it may change until the buildroot is removed.
    #[must_use]
    pub fn as_root(mut self) -> Self {
        self.root = true;
        self
    }

    /// Makes it root inside, who may also bind directories to other places; see [`crate::Buildroot::can_bind`].
    #[must_use]
    pub fn as_image_maker(mut self) -> Self {
        (self.root, self.binds) = (true, true);
        self
    }

    /// Keeps standard error apart from standard output.
    #[must_use]
    pub fn split(mut self) -> Self {
        self.split = true;
        self
    }
}

/// Why a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It returned this status by itself.
    Exited(i32),
    /// It died of this signal by itself.
    Signaled(i32),
    /// It ran longer than allowed and was killed.
    TimedOut,
    /// It wrote nothing for too long and was killed.
    Silent,
    /// It wrote too much and was killed.
    OutputLimit,
    /// It failed and memory was short: the kernel or the supervisor killed a part of it.
    MemoryLimit,
    /// It filled the disk beyond its share and was killed.
    DiskLimit,
    /// It made more files than allowed and was killed.
    FileLimit,
    /// It failed after it could not start more processes.
    ProcessLimit,
    /// The caller cancelled it.
    Cancelled,
}

impl Reason {
    /// Reads a status as shells and bubblewrap report it, with signals above 128.
    pub(crate) fn from_code(code: i32) -> Self {
        match code {
            129..=192 => Self::Signaled(code - 128),
            code => Self::Exited(code),
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with status {code}"),
            Self::Signaled(signal) => write!(f, "was ended by signal {signal}"),
            Self::TimedOut => f.write_str("ran longer than allowed"),
            Self::Silent => f.write_str("wrote no output for longer than allowed"),
            Self::OutputLimit => f.write_str("wrote more output than allowed"),
            Self::MemoryLimit => f.write_str("used more memory than allowed"),
            Self::DiskLimit => f.write_str("used more disk space than allowed"),
            Self::FileLimit => f.write_str("made more files than allowed"),
            Self::ProcessLimit => f.write_str("started more processes than allowed"),
            Self::Cancelled => f.write_str("was cancelled"),
        }
    }
}

/// How a command went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Why it ended.
    pub reason: Reason,
    /// From start to end.
    pub elapsed: Duration,
    /// Bytes of output that were passed to the sink.
    pub output: u64,
    /// Which limits were enforced, by which means.
    pub limits: LimitReport,
}

impl Outcome {
    /// Whether the command returned zero.
    pub fn success(&self) -> bool {
        self.reason == Reason::Exited(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_above_128_are_signals() {
        assert_eq!(Reason::from_code(137), Reason::Signaled(9));
        assert_eq!(Reason::from_code(1), Reason::Exited(1));
        assert_eq!(Reason::from_code(255), Reason::Exited(255));
        assert_eq!(Reason::Signaled(9).to_string(), "was ended by signal 9");
    }
}
