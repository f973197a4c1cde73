//! Sends messages to a broker that speaks AMQP 1.0.
//!
//! [`send`] connects, logs in, opens a link for each address, sends everything without waiting in between,
//! and tells which messages the broker has accepted.

mod login;
mod tls;

use std::collections::HashMap;
use std::fmt::Debug;
use std::path::Path;
use std::time::Duration;

use fe2o3_amqp::connection::ConnectionHandle;
use fe2o3_amqp::types::messaging::{
    AmqpValue, ApplicationProperties, Header, Message as Encoded, Outcome,
};
use fe2o3_amqp::types::primitives::{OrderedMap, SimpleValue};
use fe2o3_amqp::{Connection, Sender, Session};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use url::Url;

use login::Credentials;

/// Why messages were not sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither `amqp://host` nor `amqps://host`.
    #[error("not the address of a broker: {0}")]
    Url(String),
    /// A certificate or key that cannot be used.
    #[error("{0}")]
    Certificate(String),
    /// The connection failed.
    #[error("connection: {0}")]
    Connection(#[from] std::io::Error),
    /// The broker speaks something else, or refuses the login.
    #[error("login: {0}")]
    Login(String),
    /// The broker does not go along.
    #[error("{0}")]
    Protocol(String),
    /// It took too long.
    #[error("no answer within {0:?}")]
    TooSlow(Duration),
}

/// A broker, and how it is reached.
#[derive(Clone, Copy, Debug)]
pub struct Broker<'a> {
    /// `amqp://` or `amqps://`, with user and password if it wants them.
    pub url: &'a str,
    /// The client's certificates and key, in one PEM file.
    pub certificate: Option<&'a Path>,
    /// The authorities of the broker's certificate, instead of the system's.
    pub authorities: Option<&'a Path>,
    /// Longest time for connecting and logging in.
    pub connect_timeout: Duration,
    /// Longest time for everything.
    pub send_timeout: Duration,
}

impl Broker<'_> {
    /// Its address is none; told without the user and the password in it.
    fn unusable(&self) -> Error {
        Error::Url(self.url.rsplit('@').next().unwrap_or_default().to_owned())
    }
}

/// A property of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Property {
    /// Nothing.
    Nil,
    /// A truth value.
    Bool(bool),
    /// A number, sent as `long`.
    Int(i64),
    /// A number with a fraction, sent as `double`.
    Double(f64),
    /// Text.
    Text(String),
}

/// A message; its body is sent as one text.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// The address it is sent to.
    pub address: &'a str,
    /// The properties of the application.
    pub properties: Vec<(String, Property)>,
    /// The body.
    pub body: &'a str,
    /// How long the broker keeps it.
    pub ttl: Option<Duration>,
}

/// What became of messages.
#[derive(Debug)]
pub struct Sent {
    /// For each message, whether the broker has accepted it.
    pub accepted: Vec<bool>,
    /// What ended the work early; a message that the broker refuses does not.
    pub error: Option<Error>,
}

/// Sends messages in their order.
pub async fn send(broker: &Broker<'_>, messages: &[Message<'_>]) -> Sent {
    let mut accepted = vec![false; messages.len()];
    let work = tokio::time::timeout(broker.send_timeout, work(broker, messages, &mut accepted));
    let error = match work.await {
        Ok(done) => done.err(),
        Err(_) => Some(Error::TooSlow(broker.send_timeout)),
    };
    Sent { accepted, error }
}

async fn work(
    broker: &Broker<'_>,
    messages: &[Message<'_>],
    accepted: &mut [bool],
) -> Result<(), Error> {
    let time = broker.connect_timeout;
    let connected = tokio::time::timeout(time, connect(broker)).await;
    let mut connection = connected.map_err(|_| Error::TooSlow(time))??;
    let mut session = Session::begin(&mut connection).await.map_err(protocol)?;
    let mut senders: HashMap<&str, Sender> = HashMap::new();
    let mut pending = Vec::new();
    let mut trouble = None;
    for (at, message) in messages.iter().enumerate() {
        let sender = match senders.remove(message.address) {
            Some(sender) => Ok(sender),
            None => {
                let name = format!("toji-{}", message.address);
                Sender::attach(&mut session, name, message.address).await.map_err(protocol)
            }
        };
        let sent = async {
            let mut sender = sender?;
            let settled = sender.send_batchable(encoded(message)).await.map_err(protocol)?;
            Ok((sender, settled))
        };
        match sent.await {
            Ok((sender, settled)) => {
                senders.insert(message.address, sender);
                pending.push((at, settled));
            }
            Err(error) => {
                trouble = Some(error);
                break;
            }
        }
    }
    for (at, settled) in pending {
        match settled.await {
            Ok(Outcome::Accepted(_)) => accepted[at] = true,
            Ok(outcome) => {
                tracing::error!(
                    address = messages[at].address,
                    ?outcome,
                    "the broker refuses a message"
                );
            }
            Err(error) => trouble = trouble.or(Some(protocol(error))),
        }
    }
    if let Some(trouble) = trouble {
        return Err(trouble);
    }
    // Everything is settled: what fails from here on changes nothing.
    for (_, sender) in senders {
        sender.close().await.ok();
    }
    session.end().await.ok();
    connection.close().await.ok();
    Ok(())
}

fn protocol(error: impl Debug + std::fmt::Display) -> Error {
    Error::Protocol(format!("{error} ({error:?})"))
}

fn encoded(message: &Message<'_>) -> Encoded<AmqpValue<String>> {
    let mut properties = OrderedMap::new();
    for (name, value) in &message.properties {
        let value = match value {
            Property::Nil => SimpleValue::Null,
            Property::Bool(b) => SimpleValue::Bool(*b),
            Property::Int(i) => SimpleValue::Long(*i),
            Property::Double(d) => SimpleValue::Double((*d).into()),
            Property::Text(text) => SimpleValue::String(text.clone()),
        };
        properties.insert(name.clone(), value);
    }
    let milliseconds = |ttl: Duration| u32::try_from(ttl.as_millis()).unwrap_or(u32::MAX);
    let header =
        message.ttl.map(|ttl| Header { ttl: Some(milliseconds(ttl)), ..Header::default() });
    Encoded::builder()
        .header(header)
        .application_properties(ApplicationProperties(properties))
        .value(message.body.to_owned())
        .build()
}

async fn connect(broker: &Broker<'_>) -> Result<ConnectionHandle<()>, Error> {
    let url = Url::parse(broker.url).map_err(|_| broker.unusable())?;
    let host = url.host_str().map(|host| host.trim_matches(['[', ']']));
    let host = host.ok_or_else(|| broker.unusable())?;
    let encrypted = match url.scheme() {
        "amqp" => false,
        "amqps" => true,
        _ => return Err(broker.unusable()),
    };
    let port = url.port().unwrap_or(if encrypted { 5671 } else { 5672 });
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    let credentials = Credentials::new(&url, encrypted && broker.certificate.is_some());
    if encrypted {
        let stream = tls::connect(broker, host, stream).await?;
        open(stream, host, &credentials).await
    } else {
        open(stream, host, &credentials).await
    }
}

async fn open<S>(
    mut stream: S,
    host: &str,
    credentials: &Credentials,
) -> Result<ConnectionHandle<()>, Error>
where
    S: AsyncRead + AsyncWrite + Debug + Send + Unpin + 'static,
{
    login::login(&mut stream, host, credentials).await?;
    let id = format!("toji-{}", std::process::id());
    let builder = Connection::builder().container_id(id).hostname(host).scheme("amqp");
    builder.open_with_stream(stream).await.map_err(protocol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_in_no_error() {
        for url in ["http://u:pass@host", "amqp://u:pa@ss@ho st", "u:pass@"] {
            let time = Duration::from_secs(5);
            let broker = Broker {
                url,
                certificate: None,
                authorities: None,
                connect_timeout: time,
                send_timeout: time,
            };
            let error = connect(&broker).await.err().unwrap().to_string();
            assert!(!error.contains("pa") && !error.contains("ss@"), "{error}");
        }
    }
}
