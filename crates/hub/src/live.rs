//! Builders with a live connection: what they say is kept here and written in batches, so that many cost few statements.

mod pressure;
mod write;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

pub use pressure::{Limits, Resources};
pub use write::{flush, serve};

/// What a builder says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    /// Whether it can take another task.
    pub ready: bool,
    /// The weights of its tasks, without those that wait.
    pub load: f64,
    /// Why it is not ready; empty if it is.
    pub problem: String,
    /// What its machine has left.
    pub resources: Resources,
}

/// The live connections of this hub.
#[derive(Debug)]
pub struct Live {
    state: Mutex<State>,
    /// Something is to be written before its time.
    urgent: Notify,
    /// Names this process to other hubs.
    pub(crate) holder: String,
}

#[derive(Debug, Default)]
struct State {
    hosts: HashMap<i64, Known>,
    /// Sessions whose time of use is to be written.
    used: BTreeSet<i64>,
    /// Whether somebody writes.
    served: bool,
    last: u64,
}

/// A host whose connection this hub has, or has lost and not yet written so.
#[derive(Debug, Default)]
struct Known {
    /// Which of the host's connections counts.
    number: u64,
    session: i64,
    attached: bool,
    /// Whether the database knows of the connection.
    noted: bool,
    said: Option<Said>,
    /// What keeps it from taking another task.
    pressure: Option<String>,
    written: Option<Written>,
}

/// What the database knows of a host.
#[derive(Clone, Debug, PartialEq)]
struct Written {
    ready: bool,
    load: f64,
    pressure: Option<String>,
}

/// A connection; the newest one of a host counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    host: i64,
    number: u64,
}

impl Known {
    fn now(&self) -> Option<Written> {
        let said = self.said.as_ref()?;
        // what is shown has two digits: less would be written all the time
        let load = (said.load * 100.0).round() / 100.0;
        Some(Written { ready: said.ready, load, pressure: self.pressure.clone() })
    }

    /// Whether the scheduler should know at once.
    fn is_urgent(&self) -> bool {
        let key = |w: &Written| (w.ready, w.pressure.clone());
        self.attached != self.noted
            || self.attached && self.now().as_ref().map(key) != self.written.as_ref().map(key)
    }
}

impl Live {
    /// No connections yet; `holder` names this process among hubs.
    pub fn new(holder: String) -> Self {
        Live { state: Mutex::default(), urgent: Notify::new(), holder }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A host has connected.
    pub fn attach(&self, host: i64, session: i64) -> Connection {
        let mut state = self.lock();
        state.last += 1;
        let number = state.last;
        let known = state.hosts.entry(host).or_default();
        *known = Known { number, session, attached: true, ..Known::default() };
        drop(state);
        self.urgent.notify_one();
        Connection { host, number }
    }

    /// A host tells of itself; what its machine has left stays as it was told unless it is told anew.
    pub fn say(&self, connection: Connection, mut said: Said, limits: &Limits) {
        self.change(connection, |known| {
            if let Some(before) =
                known.said.as_ref().filter(|_| said.resources == Resources::default())
            {
                said.resources = before.resources;
            }
            known.pressure = limits.check(&said.resources, known.pressure.is_some());
            known.said = Some(said);
        });
    }

    /// A host tells what its machine has left.
    pub fn measure(&self, connection: Connection, resources: Resources, limits: &Limits) {
        self.change(connection, |known| {
            known.pressure = limits.check(&resources, known.pressure.is_some());
            if let Some(said) = &mut known.said {
                said.resources = resources;
            }
        });
    }

    fn change(&self, connection: Connection, what: impl FnOnce(&mut Known)) {
        let mut state = self.lock();
        let Some(known) = state.hosts.get_mut(&connection.host) else { return };
        if known.number != connection.number || !known.attached {
            return;
        }
        what(known);
        let urgent = known.is_urgent();
        drop(state);
        if urgent {
            self.urgent.notify_one();
        }
    }

    /// A connection has ended; the host is lost unless it has another one by now.
    pub fn detach(&self, connection: Connection) {
        let mut state = self.lock();
        let Some(known) = state.hosts.get_mut(&connection.host) else { return };
        if known.number != connection.number {
            return;
        }
        known.attached = false;
        drop(state);
        self.urgent.notify_one();
    }

    /// Notes that a session was used; false when nobody writes such notes.
    pub(crate) fn used(&self, session: i64) -> bool {
        let mut state = self.lock();
        if state.served {
            state.used.insert(session);
        }
        state.served
    }

    /// What connected hosts last said, by id.
    pub fn hosts(&self) -> Vec<(i64, Said)> {
        let state = self.lock();
        let attached = state.hosts.iter().filter(|(_, known)| known.attached);
        let mut hosts: Vec<_> =
            attached.map(|(id, known)| (*id, known.said.clone().unwrap_or_default())).collect();
        hosts.sort_by_key(|(id, _)| *id);
        hosts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_machine_has_left_is_not_forgotten_with_the_next_word() {
        let live = Live::new("x".into());
        let one = live.attach(7, 1);
        let said = Said { ready: true, ..Said::default() };
        live.say(one, said.clone(), &Limits::default());
        let short = Resources { memory_free_mib: Some(3), ..Resources::default() };
        live.measure(one, short, &Limits::default());
        live.say(one, Said { load: 1.0, ..said }, &Limits::default());
        let kept = live.lock().hosts[&7].now().and_then(|now| now.pressure);
        assert_eq!(kept.as_deref(), Some("free memory 3 MiB"));
    }

    #[test]
    fn only_the_newest_connection_of_a_host_counts() {
        let live = Live::new("x".into());
        let old = live.attach(7, 1);
        let new = live.attach(7, 2);
        live.detach(old);
        let said = Said { ready: true, ..Said::default() };
        live.say(old, Said::default(), &Limits::default());
        live.say(new, said.clone(), &Limits::default());
        assert_eq!(live.hosts(), [(7, said)]);
        live.detach(new);
        assert_eq!(live.hosts(), []);
    }
}
