//! In-process delivery: signals that wake whoever waits, and the stream of committed events.
//!
//! A [`Topic`] signal says "look again"; it carries nothing, and several in a row become one. An
//! [`Event`] tells what happened; events come from the outbox in the order of their numbers. A
//! [`Message`] is on its way to a message broker.

pub mod event;
mod message;
mod recent;
mod signal;

pub use event::{About, Event};
pub use message::Message;
pub use recent::Found;
pub use signal::{Listener, Topic};

use tokio::sync::{SemaphorePermit, broadcast, watch};

/// Events that a part of this process may be behind before it has to look at everything again.
const BACKLOG: usize = 1024;

/// The in-process bus; clones share it.
#[derive(Clone)]
pub struct Bus {
    signals: signal::Signals,
    events: broadcast::Sender<Event>,
    recent: recent::Recent,
    messages: message::Messages,
}

impl Default for Bus {
    fn default() -> Self {
        let events = broadcast::Sender::new(BACKLOG);
        Bus {
            signals: signal::Signals::default(),
            events,
            recent: recent::Recent::default(),
            messages: message::Messages::default(),
        }
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

    /// Gives an event to all readers.
    pub fn publish(&self, event: Event) {
        self.recent.add(event.clone());
        // Without receivers there is nobody to tell; the outbox keeps the event.
        let _ = self.events.send(event);
    }

    /// Says that everything up to number `seq` happened before this process told of anything.
    pub fn begin(&self, seq: i64) {
        self.recent.begin(seq);
    }

    /// Receives the events from now on, for parts of this process that look at the database when they are told `Lagged`.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// The number of the newest event that was published; changes with each.
    pub fn newest(&self) -> watch::Receiver<i64> {
        self.recent.newest()
    }

    /// At most `limit` published events after number `seq`.
    pub fn after(&self, seq: i64, limit: usize) -> Found {
        self.recent.after(seq, limit)
    }

    /// Waits for a turn to read older events from the outbox: however many readers are behind, few read at a time.
    pub async fn replay(&self) -> Option<SemaphorePermit<'_>> {
        self.recent.replay().await
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
