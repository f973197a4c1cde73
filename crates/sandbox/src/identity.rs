//! Whose rights a sandboxed process has on the host.

use std::{
    fs,
    sync::atomic::{AtomicU32, Ordering},
};

use crate::userns::Space;

/// User and group number that commands see inside.
pub(crate) const INSIDE_ID: u32 = 1000;

/// First number of the range that systemd's list of user numbers leaves to nobody.
const UNUSED_RANGE: u32 = 1_879_100_000;
/// Where a container maps only the first 65,536 numbers, the end of the range for transient users.
const SMALL_RANGE: u32 = 64_000;
/// How many numbers are used in turn.
const COUNT: u32 = 1_000;

/// The rights on the host under which a sandbox runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    /// The caller is an ordinary user, and so are its sandboxes.
    Caller,
    /// The caller is root and lends each sandbox a number of nobody's.
    Lent(u32),
    /// A user namespace with numbers of its own.
    Mapped(Space),
}

impl Identity {
    /// Picks the identity for a new buildroot.
    pub(crate) fn choose() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if !rustix::process::geteuid().is_root() {
            return Self::Caller;
        }
        let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        let start = std::process::id().wrapping_mul(37);
        lend(&map, start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)))
    }
}

/// Chooses a number which the map of the caller's user namespace knows.
fn lend(uid_map: &str, turn: u32) -> Identity {
    let known = |id: u32| knows(uid_map, id);
    [UNUSED_RANGE, SMALL_RANGE]
        .into_iter()
        .map(|base| base + turn % COUNT)
        .find(|id| known(*id))
        .map_or(Identity::Caller, Identity::Lent)
}

/// Whether a map of a user namespace has a number.
pub(crate) fn knows(map: &str, id: u32) -> bool {
    map.lines().any(|line| {
        let mut words = line.split_whitespace().map(|word| word.parse::<u64>().unwrap_or(0));
        let (first, _, count) = (words.next(), words.next(), words.next());
        match (first, count) {
            (Some(first), Some(count)) => (first..first + count).contains(&u64::from(id)),
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_from_what_is_mapped() {
        assert_eq!(lend("         0          0 4294967295\n", 5), Identity::Lent(UNUSED_RANGE + 5));
        assert_eq!(lend("0 100000 65536\n", COUNT + 1), Identity::Lent(SMALL_RANGE + 1));
        assert_eq!(lend("0 1000 1\n", 9), Identity::Caller);
        assert_eq!(lend("", 9), Identity::Caller);
    }
}
