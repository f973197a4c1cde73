//! How much a plugin may use.

use std::time::Duration;

/// Limits for one event, or for one program.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest time for one event, the calls it makes included.
    pub time: Duration,
    /// Operations of a script for one event; about a hundred million in a second.
    pub operations: u64,
    /// Longest text of a script in bytes; lists and maps have a sixteenth of it as items.
    pub text: usize,
    /// Address space of a program in bytes.
    pub memory: u64,
    /// Longest message of a program in bytes.
    pub message: usize,
    /// Idle processes that are kept of a program.
    pub idle: usize,
}

impl Limits {
    /// Limits for tasks, which take up to `time`.
    pub fn for_tasks(time: Duration) -> Limits {
        Limits { time, operations: 1 << 36, memory: 8 << 30, idle: 0, ..Limits::default() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            time: Duration::from_secs(30),
            operations: 20_000_000,
            text: 1 << 20,
            memory: 1 << 30,
            message: 16 << 20,
            idle: 4,
        }
    }
}
