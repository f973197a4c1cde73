//! The mail server, and the sending.

use std::time::Duration;

use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue, Headers};
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::authentication::Credentials;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use crate::letter::{Letter, one_line};

/// A server that does not answer for this long is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a message was not sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server is not named rightly.
    #[error("{0:?} is no mail server: {1}")]
    Server(String, String),
    /// The sender's address is none.
    #[error("{0:?} is no sender's address")]
    Sender(String),
    /// None of the addresses can be written to.
    #[error("no usable address among {0:?}")]
    Addresses(Vec<String>),
    /// The message cannot be put together.
    #[error("cannot write the message: {0}")]
    Message(String),
    /// The server refused it, or cannot be reached.
    #[error("the mail server {0} did not take the message: {1}")]
    Refused(String, String),
}

/// A mail server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// `HOST`, `HOST:PORT`, or a URL `smtp://…` or `smtps://…`.
    pub host: String,
    /// Whom to log in as; both or neither.
    pub user: Option<String>,
    /// The password.
    pub password: Option<String>,
}

/// What became of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Whom the server took it for.
    pub to: Vec<String>,
    /// Addresses that are none, which were left out.
    pub unusable: Vec<String>,
}

impl Server {
    /// Sends a message to all its addresses; what is no address is left out and reported.
    ///
    /// # Errors
    /// When the server, the sender or all addresses are wrong, or the server does not take it.
    pub async fn send(&self, letter: &Letter) -> Result<Sent, Error> {
        let (addresses, sent) = addresses(letter);
        if addresses.is_empty() {
            return Err(Error::Addresses(sent.unusable));
        }
        let from = one_line(&letter.from);
        let sender: Mailbox = from.parse().map_err(|_| Error::Sender(from.clone()))?;
        let wrong = |error: lettre::error::Error| Error::Message(error.to_string());
        let envelope = Envelope::new(Some(sender.email.clone()), addresses).map_err(wrong)?;
        let message = heads(letter, sender)
            .envelope(envelope.clone())
            .header(ContentType::TEXT_PLAIN)
            .body(letter.text.clone())
            .map_err(wrong)?;
        let mut text = further(letter)?.into_bytes();
        text.extend(message.formatted());
        let refused = |error: lettre::transport::smtp::Error| {
            Error::Refused(self.host.clone(), chain(&error))
        };
        self.transport()?.send_raw(&envelope, &text).await.map_err(refused)?;
        Ok(sent)
    }

    fn transport(&self) -> Result<AsyncSmtpTransport<Tokio1Executor>, Error> {
        let wrong = |why: String| Error::Server(self.host.clone(), why);
        let mut builder = if self.host.contains("://") {
            AsyncSmtpTransport::<Tokio1Executor>::from_url(&self.host)
                .map_err(|error| wrong(chain(&error)))?
        } else {
            let (host, port) = match self.host.rsplit_once(':') {
                Some((host, port)) => (host, port.parse().map_err(|_| wrong("bad port".into()))?),
                None => (self.host.as_str(), 25),
            };
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host).port(port)
        };
        if let (Some(user), Some(password)) = (&self.user, &self.password) {
            builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
        }
        Ok(builder.timeout(Some(PATIENCE)).build())
    }
}

/// An error with what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = inner.source();
    }
    text
}

/// The addresses that can be written to, each once.
fn addresses(letter: &Letter) -> (Vec<Address>, Sent) {
    let mut found: Vec<Address> = Vec::new();
    let mut sent = Sent::default();
    for text in letter.to.iter().chain(&letter.cc).chain(&letter.bcc) {
        match text.trim().parse::<Mailbox>() {
            Ok(mailbox) if !found.contains(&mailbox.email) => {
                sent.to.push(mailbox.email.to_string());
                found.push(mailbox.email);
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(address = text, %error, "cannot write to this address");
                sent.unusable.push(text.clone());
            }
        }
    }
    (found, sent)
}

fn heads(letter: &Letter, sender: Mailbox) -> MessageBuilder {
    let mut builder = Message::builder().from(sender).subject(one_line(&letter.subject)).date_now();
    for mailbox in letter.to.iter().filter_map(|text| text.trim().parse().ok()) {
        builder = builder.to(mailbox);
    }
    for mailbox in letter.cc.iter().filter_map(|text| text.trim().parse().ok()) {
        builder = builder.cc(mailbox);
    }
    builder
}

/// The further heads, encoded; each by itself, because a set of heads has each name once only.
fn further(letter: &Letter) -> Result<String, Error> {
    let mut text = String::new();
    // programs that answer mail leave this one alone
    let automatic = ("Auto-Submitted".to_owned(), "auto-generated".to_owned());
    for (name, value) in std::iter::once(&automatic).chain(&letter.headers) {
        let name = HeaderName::new_from_ascii(name.clone())
            .map_err(|error| Error::Message(error.to_string()))?;
        let mut head = Headers::new();
        head.insert_raw(HeaderValue::new(name, one_line(value)));
        text.push_str(&head.to_string());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> Letter {
        Letter {
            from: "Build System <build@example.com>".into(),
            to: vec!["alice@example.com".into(), "host/b1@EXAMPLE@example.com".into()],
            cc: vec!["alice@example.com".into(), " Bob <bob@example.com>".into()],
            ..Letter::default()
        }
    }

    #[test]
    fn everybody_is_written_to_once() {
        let (found, sent) = addresses(&letter());
        assert_eq!(found.len(), 2);
        assert_eq!(sent.to, ["alice@example.com", "bob@example.com"]);
        assert_eq!(sent.unusable, ["host/b1@EXAMPLE@example.com"]);
    }

    #[test]
    fn a_head_may_come_twice() {
        let mut letter = letter();
        letter.header("X-Koji-Tag", "f40");
        letter.header("X-Koji-Tag", "f41\r\nSubject: x");
        let heads = further(&letter).expect("heads");
        let wanted =
            "Auto-Submitted: auto-generated\r\nX-Koji-Tag: f40\r\nX-Koji-Tag: f41  Subject: x\r\n";
        assert_eq!(heads, wanted);
    }

    #[tokio::test]
    async fn mistakes_are_told() {
        let server = Server { host: "127.0.0.1:x".into(), ..Server::default() };
        assert!(matches!(server.send(&letter()).await, Err(Error::Server(..))));
        let nobody = Letter { to: vec!["nobody".into()], ..Letter::default() };
        assert!(matches!(server.send(&nobody).await, Err(Error::Addresses(_))));
        let sender = Letter { from: "nobody".into(), ..letter() };
        assert!(matches!(server.send(&sender).await, Err(Error::Sender(_))));
        let closed = Server { host: "127.0.0.1:1".into(), ..Server::default() };
        assert!(matches!(closed.send(&letter()).await, Err(Error::Refused(..))));
    }
}
