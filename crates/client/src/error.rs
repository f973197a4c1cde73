//! How a call or a transfer fails.

use std::path::PathBuf;

use toji_value::Fault;

use crate::FaultKind;

/// A call or a transfer that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The hub ran the call and refused it.
    #[error("{0}")]
    Fault(Fault),
    /// The connection failed; the hub may or may not have run the call.
    #[error("connection to {url} failed")]
    Transport {
        /// Where to, without secrets.
        url: String,
        /// What the HTTP library says.
        #[source]
        source: reqwest::Error,
    },
    /// The server answered with an HTTP error.
    #[error("{url} answered with HTTP status {status}")]
    Status {
        /// Where to, without secrets.
        url: String,
        /// The status code.
        status: u16,
    },
    /// The answer is no XML-RPC response.
    #[error("unreadable answer")]
    Protocol(#[from] toji_xmlrpc::Error),
    /// The answer is not what this call is documented to answer.
    #[error("unexpected answer to {call}: {what}")]
    Answer {
        /// The call.
        call: String,
        /// What is wrong with it.
        what: String,
    },
    /// The answer is compressed in a way that cannot be undone.
    #[error("unreadable compressed answer")]
    Compression(#[source] std::io::Error),
    /// The hub does not keep the events any more that come next for a reader.
    #[error("events after number {after} are not there: kept are those from {oldest} to {newest}")]
    EventsGone {
        /// The reader's number.
        after: i64,
        /// The oldest event that is kept.
        oldest: i64,
        /// The newest event.
        newest: i64,
    },
    /// What is asked for cannot be told by this hub, which has no stream of events.
    #[error("{0}")]
    NotTold(String),
    /// There is no such task.
    #[error("no such task: {0}")]
    NoTask(i64),
    /// What was waited for did not come in time, or will not come.
    #[error("{0}")]
    Waited(String),
    /// An upload or another call that needs a login was tried without one.
    #[error("not logged in")]
    NotLoggedIn,
    /// The URL or the certificates cannot be used.
    #[error("unusable connection settings: {0}")]
    Settings(String),
    /// The configuration has no such profile, or cannot be understood.
    #[error("failed to read the configuration")]
    Profile(#[from] crate::ProfileError),
    /// A local file.
    #[error("cannot use {path}")]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// What arrived is not what was sent.
    #[error("{what}: expected {expected}, got {found}")]
    Mismatch {
        /// The property and the file.
        what: String,
        /// As it should be.
        expected: String,
        /// As it is.
        found: String,
    },
}

impl Error {
    /// The fault, if the hub refused the call.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Error::Fault(fault) => Some(fault),
            _ => None,
        }
    }

    /// What kind of fault it is, if the hub refused the call.
    pub fn kind(&self) -> Option<FaultKind> {
        self.fault().map(FaultKind::from)
    }

    /// Whether the hub refused the call with a fault of this kind or one below it.
    pub fn is(&self, kind: FaultKind) -> bool {
        self.kind().is_some_and(|own| own.is(kind))
    }

    /// Whether the call was run although its answer is lost: the connection broke after the hub had committed it, and the
    /// hub does not run the same call number twice.
    pub fn is_done(&self) -> bool {
        self.kind() == Some(FaultKind::Retry)
    }

    /// Whether the same call may succeed a moment later.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Transport { source, .. } => !source.is_builder(),
            Error::Status { status, .. } => *status >= 500 || matches!(status, 408 | 425 | 429),
            Error::Protocol(toji_xmlrpc::Error::Cut) | Error::Compression(_) => true,
            _ => false,
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Error::Fault(fault)
    }
}
