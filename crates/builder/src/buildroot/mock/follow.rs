//! The logs that mock writes, copied into the task's while they grow.

use std::collections::HashMap;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use toji_sandbox::{Limits, Reason, Sink as _, Stream, results};

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::logs::Log;

/// The directories with logs below a root's, and how the names begin there.
const PLACES: [(&str, &str); 2] = [("result", ""), ("root/var/log", "dnf")];
/// How much of a log is copied at a time, in bytes.
const PIECE: usize = 64 << 10;
/// And in one round; a file with a hole may claim to be of any length.
const ROUND: u64 = 1 << 20;
/// More logs than mock and its plugins write.
const MOST_LOGS: usize = 50;
/// Entries of a directory that are looked at: root inside may make any number of them.
const MOST_ENTRIES: usize = 1000;

/// The logs of one root.
pub(super) struct Follower {
    dir: PathBuf,
    /// By their paths below the directory.
    known: HashMap<PathBuf, Known>,
    total: u64,
    grew: Instant,
}

struct Known {
    log: Log,
    name: String,
    inode: u64,
    offset: u64,
}

impl Follower {
    pub(super) fn new(dir: PathBuf) -> Self {
        Follower { dir, known: HashMap::new(), total: 0, grew: Instant::now() }
    }

    /// Copies what was written since the last round, a part of each log; gives the number of bytes.
    pub(super) fn round(&mut self, task: &Context) -> Result<u64> {
        let before = self.total;
        for (place, prefix) in PLACES {
            let Ok(dir) = results::directory(&self.dir, Path::new(place)) else { continue };
            for name in names(&dir, prefix) {
                let path = Path::new(place).join(&name);
                // One that has gone, or is no file, is none of ours.
                let Ok(file) = results::open(&self.dir, &path) else { continue };
                if !self.known.contains_key(&path) {
                    if self.known.len() >= MOST_LOGS {
                        continue;
                    }
                    let taken = |name: &str| self.known.values().any(|known| known.name == name);
                    let alias = alias(&name, taken);
                    let log = task.log(&alias)?;
                    let known = Known { log, name: alias, inode: 0, offset: 0 };
                    self.known.insert(path.clone(), known);
                }
                let Some(known) = self.known.get_mut(&path) else { continue };
                let copied = known.copy(file).map_err(Failure::local("copy a log of mock"))?;
                if copied > 0 {
                    self.total += copied;
                    self.grew = Instant::now();
                }
            }
        }
        Ok(self.total - before)
    }

    /// The limit that is passed, if one is.
    pub(super) fn excess(&self, limits: &Limits) -> Option<Reason> {
        if limits.output.is_some_and(|most| self.total > most) {
            return Some(Reason::OutputLimit);
        }
        let silent = |most| self.grew.elapsed() > most;
        limits.silence.is_some_and(silent).then_some(Reason::Silent)
    }

    /// Begins to count silence anew.
    pub(super) fn wake(&mut self) {
        self.grew = Instant::now();
    }
}

impl Known {
    fn copy(&mut self, mut file: std::fs::File) -> io::Result<u64> {
        let data = file.metadata()?;
        if self.inode != data.ino() || data.len() < self.offset {
            // Another file, or one that was begun anew.
            (self.inode, self.offset) = (data.ino(), 0);
        }
        if data.len() == self.offset {
            return Ok(0);
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let (mut bytes, mut copied) = (vec![0; PIECE], 0);
        while copied < ROUND {
            match file.read(&mut bytes)? {
                0 => break,
                count => {
                    self.log.write(Stream::Out, &bytes[..count])?;
                    self.offset += count as u64;
                    copied += count as u64;
                }
            }
        }
        Ok(copied)
    }
}

/// The logs in a directory, sorted.
fn names(dir: &Path, prefix: &str) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let entries = entries.take(MOST_ENTRIES);
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let ours = |name: &String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        // A companion that tells when a log grew is not mock's.
        name.starts_with(prefix)
            && name.ends_with(".log")
            && !name.ends_with("-ts.log")
            && name.chars().all(plain)
            && !name.starts_with('.')
    };
    let mut names: Vec<String> = names.filter(ours).collect();
    names.sort();
    names
}

/// A name that no other log has.
fn alias(name: &str, taken: impl Fn(&str) -> bool) -> String {
    if !taken(name) {
        return name.to_owned();
    }
    let stem = name.strip_suffix(".log").unwrap_or(name);
    let mut aliases = (0..).map(|number| format!("{stem}.DUP{number:02}.log"));
    aliases.find(|alias| !taken(alias)).unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_known_by_their_names() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["root.log", "build.log", "build.log-ts.log", ".x.log", "a b.log", "x.rpm"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(names(dir.path(), ""), ["build.log", "root.log"]);
        assert_eq!(names(dir.path(), "dnf"), [""; 0]);
        assert_eq!(names(&dir.path().join("none"), ""), [""; 0]);
        assert_eq!(alias("dnf.log", |name| name == "dnf.log"), "dnf.DUP00.log");
    }

    #[test]
    fn a_log_that_never_grows_is_silence() {
        let follower = Follower::new("/none".into());
        let limits = |silence| Limits { silence: Some(silence), ..Limits::default() };
        let excess = |seconds| follower.excess(&limits(std::time::Duration::from_secs(seconds)));
        assert_eq!((excess(0), excess(3600)), (Some(Reason::Silent), None));
    }
}
