//! A control group for one run, where the host lets the caller make one.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime},
};

use crate::limits::Limits;

/// Prefix of the groups' names; the process number and a counter follow.
const PREFIX: &str = "toji-";

/// The groups of one run, in one hierarchy (version 2) or several (version 1).
#[derive(Debug, Default)]
pub(crate) struct Cgroup {
    memory: Option<Group>,
    pids: Option<Group>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    dir: PathBuf,
    unified: bool,
}

/// Where groups may be made: the directory, and whether it is of version 2.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    dir: PathBuf,
    unified: bool,
}

impl Cgroup {
    /// Makes groups for the limits that need one; what cannot be made is left out.
    pub(crate) fn create(limits: &Limits) -> Self {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mut group = Self::default();
        if let Some(bytes) = limits.memory {
            group.memory = places(&mounts, &own, "memory").iter().find_map(|place| {
                let file = if place.unified { "memory.max" } else { "memory.limit_in_bytes" };
                let group = Group::create(place, None, file, bytes)?;
                let swap = if place.unified {
                    ("memory.swap.max", 0)
                } else {
                    ("memory.memsw.limit_in_bytes", bytes)
                };
                // Absent where swap is not accounted; then only memory is bounded.
                let _ = fs::write(group.dir.join(swap.0), swap.1.to_string());
                Some(group)
            });
        }
        if let Some(count) = limits.processes {
            // Two of them belong to the sandbox itself.
            let shared = group.memory.as_ref().filter(|group| group.unified);
            group.pids = places(&mounts, &own, "pids")
                .iter()
                .find_map(|place| Group::create(place, shared, "pids.max", count + 2));
        }
        group
    }

    pub(crate) fn bounds_memory(&self) -> bool {
        self.memory.is_some()
    }

    pub(crate) fn bounds_processes(&self) -> bool {
        self.pids.is_some()
    }

    /// Files to which a process writes 0 in order to join.
    pub(crate) fn entrances(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> = self.groups().map(|group| group.dir.join("cgroup.procs")).collect();
        files.dedup();
        files
    }

    /// Whether the kernel killed something in here for lack of memory.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        let Some(group) = &self.memory else {
            return false;
        };
        let file = if group.unified { "memory.events" } else { "memory.oom_control" };
        fs::read_to_string(group.dir.join(file)).is_ok_and(|text| {
            text.lines()
                .any(|line| line.strip_prefix("oom_kill ").is_some_and(|count| count.trim() != "0"))
        })
    }

    /// Whether the kernel refused a process in here because there were too many.
    pub(crate) fn ran_out_of_processes(&self) -> bool {
        let Some(group) = &self.pids else { return false };
        fs::read_to_string(group.dir.join("pids.events")).is_ok_and(|text| {
            let counts = text.lines().filter_map(|line| line.strip_prefix("max "));
            counts.into_iter().any(|count| count.trim() != "0")
        })
    }

    /// Removes the groups once their last process is gone, and what earlier crashes left.
    pub(crate) async fn remove(&mut self) {
        for group in [self.memory.take(), self.pids.take()].into_iter().flatten() {
            for _ in 0..50 {
                match fs::remove_dir(&group.dir) {
                    Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    _ => break,
                }
            }
            if let Some(parent) = group.dir.parent() {
                sweep(parent);
            }
        }
    }

    fn groups(&self) -> impl Iterator<Item = &Group> {
        self.memory.iter().chain(&self.pids)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for group in self.groups() {
            let _ = fs::remove_dir(&group.dir);
        }
    }
}

impl Group {
    /// Makes a group with one bound in it, or sets the bound in a group that is shared with another.
    fn create(place: &Place, shared: Option<&Self>, file: &str, value: u64) -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if let Some(shared) = shared
            && fs::write(shared.dir.join(file), value.to_string()).is_ok()
        {
            return Some(shared.clone());
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = place.dir.join(format!("{PREFIX}{}-{number}", std::process::id()));
        fs::create_dir(&dir).ok()?;
        if fs::write(dir.join(file), value.to_string()).is_err() {
            let _ = fs::remove_dir(&dir);
            return None;
        }
        Some(Self { dir, unified: place.unified })
    }
}

/// How long a group may be empty before it is taken for a leftover. A process of another process namespace seems
/// not to live, and its group is empty until the command has joined it.
const LEFT: Duration = Duration::from_secs(600);

/// Removes empty groups of processes that no longer live; the kernel refuses where one is in use.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
        let gone = owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists());
        if gone && entry.metadata().is_ok_and(|group| old(&group)) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "compared with the time that the kernel gives a group"
)]
fn old(group: &fs::Metadata) -> bool {
    group
        .modified()
        .is_ok_and(|made| SystemTime::now().duration_since(made).is_ok_and(|age| age > LEFT))
}

/// Directories in which a group with this controller might be made, best first.
fn places(mounts: &str, own: &str, controller: &str) -> Vec<Place> {
    let mut found = Vec::new();
    for line in mounts.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let [_, mount, kind, options, ..] = words[..] else {
            continue;
        };
        let mount = Path::new(mount);
        match kind {
            "cgroup2" => {
                let Some(path) = own_path(own, "") else {
                    continue;
                };
                let dir = mount.join(path);
                // A group with processes of its own cannot hand controllers down, so a sibling
                // is the usual place; the top is for root without a service manager.
                let parent = dir.parent().filter(|parent| parent.starts_with(mount));
                let dirs = [Some(dir.as_path()), parent, Some(mount)].into_iter().flatten();
                found.extend(
                    dirs.filter(|dir| hands_down(dir, controller))
                        .map(|dir| (dir.to_path_buf(), true)),
                );
            }
            "cgroup" if options.split(',').any(|option| option == controller) => {
                let Some(path) = own_path(own, controller) else {
                    continue;
                };
                found.push((mount.join(path), false));
            }
            _ => {}
        }
    }
    found.dedup();
    found.into_iter().map(|(dir, unified)| Place { dir, unified }).collect()
}

/// Whether children of this version 2 group get the controller.
fn hands_down(dir: &Path, controller: &str) -> bool {
    fs::read_to_string(dir.join("cgroup.subtree_control"))
        .is_ok_and(|text| text.split_whitespace().any(|word| word == controller))
}

/// The caller's group below the mount; the controller of version 2 is the empty name.
fn own_path<'a>(own: &'a str, controller: &str) -> Option<&'a str> {
    own.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let names = parts.next()?;
        let path = parts.next()?;
        names.split(',').any(|name| name == controller).then(|| path.trim_start_matches('/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_hierarchies_are_found() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
            cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0\n\
            cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0\n";
        let own = "4:memory:/a/b\n2:cpu,cpuacct:/\n0::/\n";
        let place = Place { dir: "/sys/fs/cgroup/memory/a/b".into(), unified: false };
        assert_eq!(places(mounts, own, "memory"), [place]);
        assert_eq!(places(mounts, own, "pids"), []);
    }

    #[test]
    fn version_2_needs_a_group_that_hands_the_controller_down() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("user/session")).unwrap();
        fs::write(root.path().join("user/session/cgroup.subtree_control"), "").unwrap();
        fs::write(root.path().join("user/cgroup.subtree_control"), "memory pids\n").unwrap();
        let mounts = format!("cgroup2 {} cgroup2 rw 0 0\n", root.path().display());
        let found = places(&mounts, "0::/user/session\n", "memory");
        assert_eq!(found, [Place { dir: root.path().join("user"), unified: true }]);
    }
}
