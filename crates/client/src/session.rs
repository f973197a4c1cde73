//! The login session and its call numbers.

use toji_gssapi::Keys;
use toji_value::{Map, Value};

use crate::Error;

/// A login: it can be handed to another connection (the builder's live stream).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The number of the session.
    pub id: i64,
    /// Its secret.
    pub key: String,
}

/// What is needed to log in, and to log in again when the session expires.
#[derive(Clone)]
pub(crate) enum Credentials {
    /// The name and password of a user.
    Password(String, String),
    /// The certificate that the connection shows.
    Certificate,
    /// Kerberos, with the keys of a keytab.
    Keytab(Keys),
    /// Kerberos, with the tickets that the user has; of this principal, if one is named.
    Tickets(Option<String>),
    /// A token that the web server in front of the hub knows.
    Token(String),
}

/// What the hub knows a call's session by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mark {
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The same for hubs before 1.31, which read the URL.
    pub(crate) query: Vec<(&'static str, String)>,
}

impl Mark {
    /// Adds to a URL what old hubs read there.
    pub(crate) fn write(&self, url: &mut reqwest::Url) {
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
    }
}

/// The part of a client that changes; the lock round it is held while a call is in flight, so that
/// call numbers arrive in order.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) session: Option<Session>,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) exclusive: bool,
    /// Whose subsession is begun with the first call.
    pub(crate) above: Option<crate::Client>,
    /// Whether the hub reads the session in headers.
    header_auth: bool,
    callnum: i64,
}

impl State {
    /// Begins a session, new or renewed, from what the hub answered.
    pub(crate) fn begin(&mut self, call: &str, answer: &Value) -> Result<(), Error> {
        let missing = || Error::Answer { call: call.to_owned(), what: "no session in it".into() };
        self.session = Some(Session::from_answer(answer).ok_or_else(missing)?);
        self.header_auth = answer.get("header-auth").truthy();
        self.callnum = 0;
        Ok(())
    }

    /// What marks the next call; nothing without a session.
    pub(crate) fn number(&mut self) -> Mark {
        let Some(session) = &self.session else { return Mark::default() };
        let (id, key) = (session.id.to_string(), session.key.clone());
        let callnum = self.callnum.to_string();
        self.callnum += 1;
        let mut mark = Mark::default();
        if !self.header_auth {
            mark.query.push(("session-id", id.clone()));
            mark.query.push(("session-key", key.clone()));
            mark.query.push(("callnum", callnum.clone()));
        }
        mark.headers.push(("Koji-Session-Id", id));
        mark.headers.push(("Koji-Session-Key", key));
        mark.headers.push(("Koji-Session-Callnum", callnum));
        mark
    }
}

impl Session {
    /// Reads what the login calls answer.
    fn from_answer(answer: &Value) -> Option<Session> {
        let map: &Map = answer.as_struct()?;
        Some(Session { id: map.int("session-id")?, key: map.str("session-key")?.to_owned() })
    }
}
