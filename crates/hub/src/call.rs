//! One call at work: its transaction, its caller, and what to tell others after the commit.

use toji_bus::{Message, Topic};
use toji_db::Tx;
use toji_value::{Fault, Map};

use crate::files::Files;
use crate::session::Session;
use crate::{Hub, Identity};

/// What the transport knows of a request.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The session that the caller claims.
    pub session: Option<SessionKey>,
    /// The caller's address, as text.
    pub remote: String,
    /// An identity that the transport has verified.
    pub identity: Option<Identity>,
    /// Whether the caller has sent it before, and wants the answer that did not come.
    pub again: bool,
}

/// A claimed session.
#[derive(Clone, Debug)]
pub struct SessionKey {
    /// Its number.
    pub id: i64,
    /// Its secret.
    pub key: String,
    /// Number of this call within the session.
    pub callnum: Option<i64>,
}

/// One call at work.
///
/// Everything a handler changes goes through [`Call::tx`]; it is committed when the handler (or
/// the whole multicall) succeeds. [`Call::signal`] and [`Call::emit`] take effect after that.
pub struct Call {
    /// The shared parts of the hub.
    pub hub: Hub,
    /// The transaction of this call.
    pub tx: Tx,
    /// Where the request came from.
    pub request: Request,
    /// The caller, if logged in.
    pub session: Option<Session>,
    /// Name of the running method; inner calls of a multicall change it.
    pub method: String,
    pub(crate) signals: Vec<Topic>,
    /// Messages for a broker that go out after the commit.
    pub(crate) messages: Vec<Message>,
    pub(crate) files: Files,
    /// How many calls of plugins this call is within.
    pub(crate) depth: u8,
    /// Whether it is to be taken back although it has an answer.
    pub(crate) doomed: bool,
}

/// A point of a call to go back to.
pub(crate) struct Mark {
    savepoint: toji_db::Savepoint,
    signals: usize,
    messages: usize,
    files: crate::files::Mark,
}

impl Call {
    pub(crate) fn new(hub: Hub, tx: Tx, request: Request) -> Self {
        Call {
            hub,
            tx,
            request,
            session: None,
            method: String::new(),
            signals: Vec::new(),
            messages: Vec::new(),
            files: Files::default(),
            depth: 0,
            doomed: false,
        }
    }

    /// Marks this point: what follows may be taken back without the rest.
    pub(crate) async fn mark(&mut self) -> Result<Mark, Fault> {
        let savepoint = self.tx.savepoint().await?;
        let (signals, messages) = (self.signals.len(), self.messages.len());
        Ok(Mark { savepoint, signals, messages, files: self.files.mark() })
    }

    /// Keeps what followed the mark.
    pub(crate) async fn keep(&mut self, mark: Mark) -> Result<(), Fault> {
        Ok(self.tx.release(mark.savepoint).await?)
    }

    /// Takes back what followed the mark.
    pub(crate) async fn undo(&mut self, mark: Mark) -> Result<(), Fault> {
        self.tx.rollback_to(mark.savepoint).await?;
        self.signals.truncate(mark.signals);
        self.messages.truncate(mark.messages);
        let hub = self.hub.clone();
        self.files.roll_back(&hub, mark.files).await;
        Ok(())
    }

    /// The time of this call, seconds since 1970.
    pub fn now(&self) -> f64 {
        self.hub.now()
    }

    /// The event under which this call changes versioned tables; made at the first use.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn event(&mut self) -> Result<i64, Fault> {
        Ok(toji_db::versioned::event(&mut self.tx).await?)
    }

    /// The caller's session, or the fault of Koji's `assertLogin`.
    ///
    /// # Errors
    /// `ActionNotAllowed` for anonymous callers.
    pub fn login(&self) -> Result<&Session, Fault> {
        let refusal = || Fault::not_allowed("you must be logged in for this operation");
        self.session.as_ref().ok_or_else(refusal)
    }

    /// The caller's user id, if logged in.
    pub fn user_id(&self) -> Option<i64> {
        self.session.as_ref().map(|s| s.user_id)
    }

    /// Wakes the listeners of `topic` after the commit.
    pub fn signal(&mut self, topic: Topic) {
        if !self.signals.contains(&topic) {
            self.signals.push(topic);
        }
    }

    /// Records an event in the outbox, in this transaction; it is delivered after the commit.
    ///
    /// `kind` is what happened (`build.tag`), `key` the object it happened to (`tag:12`).
    pub fn emit(&mut self, kind: &str, key: &str, body: Map) {
        toji_db::outbox::push(&mut self.tx, kind, key, &body.into());
        self.signal(Topic::Outbox);
    }
}
