//! In-process delivery: signals that wake whoever waits, and the stream of committed events.
//!
//! A [`Topic`] signal says "look again"; it carries nothing, and several in a row become one. An
//! [`Event`] tells what happened; events come from the outbox in the order of their numbers. A
//! [`Message`] is on its way to a message broker.

mod message;
mod signal;

pub use message::Message;
pub use signal::{Listener, Topic};

use std::sync::Arc;

use tokio::sync::broadcast;

/// Events that a slow subscriber may be behind before it has to read the outbox again.
const BACKLOG: usize = 8192;

/// Something that happened and was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Number in the outbox; grows with each event.
    pub seq: i64,
    /// What happened: `task.state`, `build.tag`, `repo.done`, …
    pub kind: Arc<str>,
    /// The object it happened to: `task:12`, `tag:3`; the order of events of one object is kept.
    pub key: Arc<str>,
    /// Details, a JSON object.
    pub body: Arc<str>,
}

/// The in-process bus; clones share it.
#[derive(Clone)]
pub struct Bus {
    signals: signal::Signals,
    events: broadcast::Sender<Event>,
    messages: message::Messages,
}

impl Default for Bus {
    fn default() -> Self {
        let events = broadcast::Sender::new(BACKLOG);
        Bus { signals: signal::Signals::default(), events, messages: message::Messages::default() }
    }
}

impl Bus {
    /// A bus without listeners.
    pub fn new() -> Self {
        Bus::default()
    }

    /// Wakes everyone who listens to `topic`.
    pub fn signal(&self, topic: Topic) {
        self.signals.signal(topic);
    }

    /// Listens to `topic` from now on: no signal between this call and the first wait is lost.
    pub fn listen(&self, topic: Topic) -> Listener {
        self.signals.listen(topic)
    }

    /// Gives an event to all subscribers.
    pub fn publish(&self, event: Event) {
        // Without subscribers there is nobody to tell; the outbox keeps the event.
        let _ = self.events.send(event);
    }

    /// Receives the events from now on; a receiver that is told `Lagged` reads the outbox.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Hands messages over that no table keeps; of very many that nobody takes the oldest are lost.
    pub fn post(&self, messages: Vec<Message>) {
        let lost = self.messages.put(messages);
        if lost > 0 {
            tracing::error!(lost, "messages for the message bus are lost: nobody takes them");
        }
        self.signal(Topic::Messages);
    }

    /// Takes what was handed over, oldest first.
    pub fn take_messages(&self) -> Vec<Message> {
        self.messages.take()
    }
}
