//! Whether the machine is why a command failed: its memory or its disk was used up.

use std::path::Path;

use toji_sandbox::{Outcome, Reason};

/// A disk with less free space than this is full, in bytes.
const FULL: u64 = 8 << 20;

/// What the machine counts, as it was before a command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    /// Processes that the kernel ended for lack of memory.
    killed: Option<u64>,
}

impl Machine {
    pub(crate) fn now() -> Self {
        Machine { killed: killed() }
    }

    /// What the machine lacked when a command that began with this count failed.
    ///
    /// A limit that ended the command is no lack of the machine.
    pub(crate) fn trouble(self, outcome: &Outcome, workdir: &Path) -> Option<&'static str> {
        let by_itself = matches!(outcome.reason, Reason::Exited(1..) | Reason::Signaled(_));
        if !by_itself {
            return None;
        }
        if killed() > self.killed {
            return Some("the machine ran out of memory while this ran");
        }
        let full = free_space(workdir).is_some_and(|free| free < FULL);
        full.then_some("the builder's disk is full")
    }
}

fn killed() -> Option<u64> {
    counted(&std::fs::read_to_string("/proc/vmstat").ok()?)
}

fn counted(vmstat: &str) -> Option<u64> {
    vmstat.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// The bytes that are free for this process where a directory is.
pub(crate) fn free_space(dir: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(dir).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_count_is_read() {
        assert_eq!(counted("nr_free_pages 5\noom_kill 3\nx 1\n"), Some(3));
        assert_eq!(counted("nr_free_pages 5\n"), None);
    }

    #[test]
    fn space_is_found() {
        assert!(free_space(Path::new("/")).is_some_and(|free| free > 0));
        assert_eq!(free_space(Path::new("/no/such/directory")), None);
    }
}
