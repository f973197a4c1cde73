//! Messages for a message broker that wait in this process.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Messages that are kept while nobody takes them.
const MOST: usize = 10_000;

/// A message for a message broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it is about, below the prefix of all addresses: `build.tag`.
    pub address: String,
    /// The properties, a JSON object.
    pub props: String,
    /// The body, a JSON text.
    pub body: String,
}

#[derive(Clone, Default)]
pub(crate) struct Messages(Arc<Mutex<VecDeque<Message>>>);

impl Messages {
    /// Adds messages; gives how many old ones were dropped for them.
    pub(crate) fn put(&self, messages: Vec<Message>) -> usize {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.extend(messages);
        let lost = queue.len().saturating_sub(MOST);
        queue.drain(..lost).count()
    }

    pub(crate) fn take(&self) -> Vec<Message> {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept() {
        let messages = Messages::default();
        let numbered = |n: usize| Message {
            address: n.to_string(),
            props: "{}".to_owned(),
            body: "{}".to_owned(),
        };
        assert_eq!(messages.put((0..MOST).map(numbered).collect()), 0);
        assert_eq!(messages.put(vec![numbered(MOST), numbered(MOST + 1)]), 2);
        let kept = messages.take();
        assert_eq!((kept.len(), kept[0].address.as_str()), (MOST, "2"));
        assert!(messages.take().is_empty());
    }
}
