//! The login session and its call numbers.

use toji_gssapi::Keys;
use toji_value::{Map, Value};

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
    callnum: i64,
}

impl State {
    /// Begins a session, new or renewed.
    pub(crate) fn begin(&mut self, session: Session) {
        self.session = Some(session);
        self.callnum = 0;
    }

    /// The headers of the next call; empty without a session.
    pub(crate) fn number(&mut self) -> Vec<(&'static str, String)> {
        let Some(session) = &self.session else { return Vec::new() };
        let callnum = self.callnum;
        self.callnum += 1;
        vec![
            ("Koji-Session-Id", session.id.to_string()),
            ("Koji-Session-Key", session.key.clone()),
            ("Koji-Session-Callnum", callnum.to_string()),
        ]
    }
}

impl Session {
    /// Reads what the login calls answer.
    pub(crate) fn from_answer(answer: &Value) -> Option<Session> {
        let map: &Map = answer.as_struct()?;
        Some(Session { id: map.int("session-id")?, key: map.str("session-key")?.to_owned() })
    }
}
