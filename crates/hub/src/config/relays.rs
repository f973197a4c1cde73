//! Options of relays: which messages go to which broker.

use std::path::PathBuf;
use std::time::Duration;

/// What messages look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Toji's own: each event as it is.
    Toji,
    /// Those of the plugin koji-fedoramessaging.
    Fedora,
}

/// A relay from the outbox to a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// Its name, under which the database knows how far it has come.
    pub name: String,
    /// `Url`: where the broker is, with user and password if it wants them.
    pub url: String,
    /// `Format`.
    pub format: Format,
    /// `TopicPrefix`: what topics begin with, without the dot after it.
    pub prefix: String,
    /// `Kinds` of events, `task.*` for a family; none are all.
    pub kinds: Vec<String>,
    /// `Exchange` of RabbitMQ.
    pub exchange: String,
    /// `Stream` of NATS JetStream.
    pub stream: String,
    /// `Certificate` and `Key` of the client.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// `Authorities` of the broker's certificate.
    pub authorities: Option<PathBuf>,
    /// `Credentials` of NATS.
    pub credentials: Option<PathBuf>,
    /// `Timeout` for connecting and for each confirmation.
    pub timeout: Duration,
}
