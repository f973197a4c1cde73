//! Bounds on what a command may use, and which of them are really enforced here.

use std::time::Duration;

use crate::cgroup::Cgroup;

/// Bounds for one command; `None` means unbounded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Time from start to end.
    pub wall: Option<Duration>,
    /// Time without any output.
    pub silence: Option<Duration>,
    /// Bytes of output, both streams together.
    pub output: Option<u64>,
    /// Bytes of memory of all processes together.
    pub memory: Option<u64>,
    /// Number of processes and threads.
    pub processes: Option<u64>,
    /// Bytes of the largest file that may be written.
    pub file_size: Option<u64>,
    /// Open files of each process.
    pub open_files: Option<u64>,
    /// Bytes on the disk below the buildroot's own directories.
    pub disk: Option<u64>,
    /// Files and directories below the buildroot's own directories.
    pub files: Option<u64>,
}

impl Limits {
    /// Bounds that suit an ordinary package build: a day, 64k processes are not needed by anyone.
    pub fn for_build() -> Self {
        Self {
            wall: Some(Duration::from_secs(24 * 3600)),
            silence: None,
            output: Some(1 << 30),
            memory: None,
            processes: Some(16_384),
            file_size: None,
            open_files: Some(65_536),
            disk: None,
            files: None,
        }
    }

    /// Bounds for the short commands which prepare a buildroot.
    pub fn for_setup() -> Self {
        Self { wall: Some(Duration::from_secs(3600)), output: Some(64 << 20), ..Self::for_build() }
    }
}

/// How a limit is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// No limit was asked for.
    Unlimited,
    /// By the supervisor in this process, exactly.
    Supervisor,
    /// By the kernel for all processes together.
    Cgroup,
    /// By the kernel, for each process or for the user of the sandbox.
    Rlimit,
    /// By looking once in a while; short excesses are possible.
    Sampled,
}

/// Which limits hold for a run and by which means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitReport {
    /// Wall time.
    pub wall: Held,
    /// Silence.
    pub silence: Held,
    /// Output size.
    pub output: Held,
    /// Memory.
    pub memory: Held,
    /// Processes.
    pub processes: Held,
    /// File size.
    pub file_size: Held,
    /// Open files.
    pub open_files: Held,
    /// Bytes on the disk.
    pub disk: Held,
    /// Files and directories.
    pub files: Held,
}

impl LimitReport {
    pub(crate) fn new(limits: &Limits, memory_group: bool, pids_group: bool) -> Self {
        let if_set = |set: bool, held| if set { held } else { Held::Unlimited };
        let either = |group| if group { Held::Cgroup } else { Held::Rlimit };
        Self {
            wall: if_set(limits.wall.is_some(), Held::Supervisor),
            silence: if_set(limits.silence.is_some(), Held::Supervisor),
            output: if_set(limits.output.is_some(), Held::Supervisor),
            memory: if_set(
                limits.memory.is_some(),
                if memory_group { Held::Cgroup } else { Held::Sampled },
            ),
            processes: if_set(limits.processes.is_some(), either(pids_group)),
            file_size: if_set(limits.file_size.is_some(), Held::Rlimit),
            open_files: if_set(limits.open_files.is_some(), Held::Rlimit),
            disk: if_set(limits.disk.is_some(), Held::Sampled),
            files: if_set(limits.files.is_some(), Held::Sampled),
        }
    }
}

impl LimitReport {
    /// Which of the limits would hold here, and how: what [`crate::Buildroot::run`] will find.
    pub fn here(limits: &Limits) -> Self {
        let group = Cgroup::create(limits);
        Self::new(limits, group.bounds_memory(), group.bounds_processes())
    }

    /// Each limit with its name and how it holds.
    pub fn entries(&self) -> [(&'static str, Held); 9] {
        [
            ("time", self.wall),
            ("silence", self.silence),
            ("output", self.output),
            ("memory", self.memory),
            ("processes", self.processes),
            ("file_size", self.file_size),
            ("open_files", self.open_files),
            ("disk", self.disk),
            ("files", self.files),
        ]
    }
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unlimited => "no limit",
            Self::Supervisor => "supervisor",
            Self::Cgroup => "control group",
            Self::Rlimit => "resource limit",
            Self::Sampled => "watched",
        })
    }
}

/// The `prlimit` words that put the kernel's per-process bounds in place; never empty.
///
/// Where a group bounds the processes that bound is left to it, for it tells when it was reached.
pub(crate) fn prlimit_words(
    limits: &Limits,
    pids_group: bool,
    hard_open_files: u64,
) -> Vec<String> {
    let mut words = vec!["prlimit".to_string(), "--core=0:0".to_string()];
    let mut add = |name: &str, value: Option<u64>| {
        if let Some(value) = value {
            words.push(format!("--{name}={value}:{value}"));
        }
    };
    add("nproc", limits.processes.filter(|_| !pids_group));
    add("fsize", limits.file_size);
    add("nofile", limits.open_files.map(|n| n.min(hard_open_files)));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_files_stay_below_the_hard_limit() {
        let limits = Limits { open_files: Some(65_536), processes: Some(7), ..Limits::default() };
        assert_eq!(
            prlimit_words(&limits, false, 20_000),
            ["prlimit", "--core=0:0", "--nproc=7:7", "--nofile=20000:20000"]
        );
        assert_eq!(
            prlimit_words(&limits, true, 20_000),
            ["prlimit", "--core=0:0", "--nofile=20000:20000"]
        );
    }

    #[test]
    fn report_names_the_means() {
        let limits = Limits { memory: Some(1), processes: Some(1), ..Limits::default() };
        let report = LimitReport::new(&limits, true, false);
        assert_eq!((report.memory, report.processes), (Held::Cgroup, Held::Rlimit));
        assert_eq!(report.wall, Held::Unlimited);
        assert_eq!(LimitReport::new(&limits, false, false).memory, Held::Sampled);
    }
}
