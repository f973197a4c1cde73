//! Sends messages to RabbitMQ (AMQP 0.9.1) and to NATS JetStream, and knows which of them the broker has stored.
//!
//! [`Line::open`] connects; [`Line::send`] sends messages in their order. Of one object no message is sent before the
//! broker has confirmed the one before it, so that no broker ever has two of them in the wrong order.

mod nats;
mod rabbit;
mod waves;

use std::path::PathBuf;
use std::time::Duration;

/// Why messages were not sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither `amqp://`, `amqps://`, `nats://` nor `tls://`.
    #[error("not the address of a broker: {0}")]
    Url(String),
    /// A file with a certificate, a key or credentials.
    #[error("cannot use {path}")]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The connection failed, or broke.
    #[error("{0}")]
    Broker(String),
    /// The broker will never take the message.
    #[error("the broker refuses a message: {0}")]
    Refused(String),
    /// It took too long.
    #[error("no answer within {0:?}")]
    TooSlow(Duration),
}

/// A broker, and how it is reached.
#[derive(Clone)]
pub struct Broker {
    /// `amqp://`, `amqps://` (RabbitMQ), `nats://` or `tls://` (NATS), with user and password if it wants them.
    pub url: String,
    /// RabbitMQ's exchange.
    pub exchange: String,
    /// The name of JetStream's stream; it is made if it is not there.
    pub stream: String,
    /// What that stream collects when it is made.
    pub subjects: Vec<String>,
    /// The client's certificates, and their key, in PEM files.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The authorities of the broker's certificate, instead of the system's.
    pub authorities: Option<PathBuf>,
    /// A file with NATS credentials.
    pub credentials: Option<PathBuf>,
    /// Longest time for connecting, and for the confirmation of a message.
    pub timeout: Duration,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("url", &self.shown()).finish_non_exhaustive()
    }
}

impl Broker {
    /// The address without user and password.
    pub fn shown(&self) -> &str {
        self.url.rsplit('@').next().unwrap_or_default()
    }

    /// Whether the address is one of a broker that is known here.
    ///
    /// # Errors
    /// [`Error::Url`].
    pub fn check(&self) -> Result<(), Error> {
        self.kind().map(drop)
    }

    fn kind(&self) -> Result<Kind, Error> {
        let wrong = || Error::Url(self.shown().to_owned());
        let url = url::Url::parse(&self.url).map_err(|_| wrong())?;
        match (url.scheme(), url.host_str()) {
            ("amqp" | "amqps", Some(_)) => Ok(Kind::Rabbit),
            ("nats" | "tls", Some(_)) => Ok(Kind::Nats),
            _ => Err(wrong()),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Rabbit,
    Nats,
}

/// What a header has in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Header {
    /// Text.
    Text(String),
    /// A number.
    Int(i64),
    /// A truth value.
    Bool(bool),
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The object that it is about.
    pub key: String,
    /// Routing key or subject.
    pub topic: String,
    /// The same at each attempt: readers, and JetStream within its window, know a repetition by it.
    pub id: String,
    /// Headers.
    pub headers: Vec<(String, Header)>,
    /// Its priority in queues that have such.
    pub priority: Option<u8>,
    /// A JSON text.
    pub body: String,
}

/// What became of messages.
#[derive(Debug)]
pub struct Sent {
    /// So many, from the first on, are stored.
    pub taken: usize,
    /// Why not all; the line is of no use any more.
    pub error: Option<Error>,
}

/// An open connection.
pub struct Line {
    wire: Wire,
    timeout: Duration,
}

enum Wire {
    Rabbit(rabbit::Wire),
    Nats(nats::Wire),
}

impl Line {
    /// Connects.
    ///
    /// # Errors
    /// When the broker cannot be reached, refuses the login, or lacks what is to be sent to.
    pub async fn open(broker: &Broker) -> Result<Line, Error> {
        let open = async {
            Ok(match broker.kind()? {
                Kind::Rabbit => Wire::Rabbit(rabbit::Wire::open(broker).await?),
                Kind::Nats => Wire::Nats(nats::Wire::open(broker).await?),
            })
        };
        let timeout = broker.timeout;
        let wire = tokio::time::timeout(timeout, open).await;
        Ok(Line { wire: wire.map_err(|_| Error::TooSlow(timeout))??, timeout })
    }

    /// Sends messages and waits until the broker has stored them.
    pub async fn send(&mut self, messages: &[Message]) -> Sent {
        match &self.wire {
            Wire::Rabbit(wire) => {
                waves::send(messages, self.timeout, |message| wire.publish(message)).await
            }
            Wire::Nats(wire) => {
                waves::send(messages, self.timeout, |message| wire.publish(message)).await
            }
        }
    }

    /// Ends the connection in order.
    pub async fn close(self) {
        let close = async {
            match self.wire {
                Wire::Rabbit(wire) => wire.close().await,
                Wire::Nats(wire) => wire.close().await,
            }
        };
        // What was to be stored is stored: the rest is courtesy.
        tokio::time::timeout(Duration::from_secs(2), close).await.ok();
    }
}

fn file(path: &std::path::Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(url: &str) -> Broker {
        Broker {
            url: url.to_owned(),
            exchange: "amq.topic".to_owned(),
            stream: "S".to_owned(),
            subjects: vec!["s.>".to_owned()],
            certificate: None,
            authorities: None,
            credentials: None,
            timeout: Duration::from_secs(5),
        }
    }

    #[tokio::test]
    async fn addresses() {
        assert_eq!(broker("amqps://b/%2f").kind().unwrap(), Kind::Rabbit);
        assert_eq!(broker("nats://u:p@b:4222").kind().unwrap(), Kind::Nats);
        for url in ["http://u:pass@host", "amqp://u:pa@ss@ho st", "u:pass@", "nats:x"] {
            let error = broker(url).check().unwrap_err().to_string();
            assert!(!error.contains("pa") && !error.contains("ss@"), "{error}");
            assert!(!format!("{:?}", broker(url)).contains("pass"));
        }
        // Nobody listens at the discard port.
        for url in ["amqp://u:pass@127.0.0.1:9", "nats://u:pass@127.0.0.1:9"] {
            let error = Line::open(&broker(url)).await.err().unwrap().to_string();
            assert!(!error.contains("pass"), "{error}");
        }
    }
}
