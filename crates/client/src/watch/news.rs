//! When to look again: the hub's events tell, or the clock where they do not.

use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};

use super::{Events, Numbered, Told, Wanted};
use crate::{Client, Error};

/// How often to look although the hub tells of changes.
const SLOW: Duration = Duration::from_secs(300);

/// Why somebody who waits wakes up.
#[derive(Debug)]
pub enum Woken {
    /// Anything may have happened.
    Look,
    /// This has.
    Event(Box<Numbered>),
}

/// Tells when to look again: as soon as the hub listens, at each event that is wanted, and now and then; at a hub without a
/// stream of events by the clock alone.
pub struct News {
    client: Client,
    wanted: Wanted,
    /// The hub's events; nothing where it has none.
    told: Option<Events<Told>>,
    /// Whether it tells them now.
    open: bool,
    /// Something happened that nobody has looked for.
    owed: bool,
    /// How long to wait before looking again without being told.
    pause: Duration,
}

impl News {
    /// Waits for the events that `wanted` takes; the first thing told is to look.
    pub fn new(client: &Client, wanted: Wanted) -> News {
        let told = Some(client.follow(wanted.clone()));
        let pause = first(client);
        News { client: client.clone(), wanted, told, open: false, owed: false, pause }
    }

    /// Nothing but the clock.
    pub(super) fn clock(client: &Client) -> News {
        let (wanted, pause) = (Wanted::default(), first(client));
        News { client: client.clone(), wanted, told: None, open: false, owed: false, pause }
    }

    /// Returns when something happened, or may have.
    pub async fn next(&mut self) -> Woken {
        let longest = self.client.options().poll_interval;
        loop {
            if std::mem::take(&mut self.owed) {
                return Woken::Look;
            }
            let patience = if self.open { SLOW.max(longest) } else { self.pause };
            let Some(told) = &mut self.told else {
                tokio::time::sleep(patience).await;
                self.pause = (self.pause * 5 / 4).min(longest);
                return Woken::Look;
            };
            match tokio::time::timeout(patience, told.next()).await {
                Ok(told) => {
                    if let Some(event) = self.took(told) {
                        return Woken::Event(event);
                    }
                }
                Err(_) => {
                    self.pause = (self.pause * 5 / 4).min(longest);
                    return Woken::Look;
                }
            }
        }
    }

    /// An event that is there already.
    pub(super) fn ready(&mut self) -> Option<Box<Numbered>> {
        let told = self.told.as_mut()?.next().now_or_never()?;
        self.took(told)
    }

    /// Something changed: more may soon.
    pub(super) fn quicken(&mut self) {
        self.pause = first(&self.client);
    }

    fn took(&mut self, told: Option<Result<Told, Error>>) -> Option<Box<Numbered>> {
        match told {
            Some(Ok(Told::Event(event))) => return Some(event),
            Some(Ok(Told::Begun { anew })) => {
                self.open = true;
                self.owed |= anew;
            }
            Some(Ok(Told::Broken)) => self.open = false,
            Some(Err(Error::EventsGone { .. })) => self.anew(),
            Some(Err(error)) if error.is_transient() => self.anew(),
            // A hub without events, or one that does not understand the filter.
            Some(Err(_)) | None => {
                (self.told, self.open, self.owed) = (None, false, true);
            }
        }
        None
    }

    /// Listens from now on; what was missed is seen by looking.
    fn anew(&mut self) {
        self.told = Some(self.client.follow(self.wanted.clone()));
        self.open = false;
    }
}

/// The pause after something changed.
fn first(client: &Client) -> Duration {
    client.options().poll_interval / 4
}
