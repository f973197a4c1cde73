//! What happened, and whom it may concern.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

/// Something that happened and was committed; clones share what is in it.
#[derive(Clone, Debug)]
pub struct Event(Arc<Inner>);

/// What an event consists of.
#[derive(Debug)]
pub struct Inner {
    /// Number in the outbox; numbers are consecutive, in the order of the commits.
    pub seq: i64,
    /// What happened: `task.state`, `build.tag`, `repo.done`, …
    pub kind: String,
    /// The object it happened to: `task:12`, `tag:3`; the order of events of one object is kept.
    pub key: String,
    /// When, as the database writes it.
    pub created: String,
    /// Details, a JSON object.
    pub body: String,
    /// What the details say of others than the object.
    pub about: About,
    /// The event as a front door sends it, made once for all its readers.
    pub frame: OnceLock<Bytes>,
}

/// Objects that an event's details name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The name of a tag.
    pub tag: Option<String>,
    /// The number of a tag.
    pub tag_id: Option<i64>,
    /// The name of a package.
    pub package: Option<String>,
    /// The number of the user whose task or build it is.
    pub owner: Option<i64>,
    /// The number of a task.
    pub task: Option<i64>,
    /// The number of that task's parent.
    pub parent: Option<i64>,
}

impl Event {
    /// An event that no front door has sent yet.
    pub fn new(inner: Inner) -> Event {
        Event(Arc::new(inner))
    }

    /// Bytes that it holds, about.
    pub(crate) fn size(&self) -> usize {
        // Once as a body, once as a frame, and what is around them.
        2 * self.body.len() + 512
    }
}

impl std::ops::Deref for Event {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}
