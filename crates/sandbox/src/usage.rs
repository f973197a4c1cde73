//! Watching how much a build has on the disk, where no quota does it.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    time::{Duration, Instant},
};

use crate::{command::Reason, limits::Limits};

/// The shortest pause between two looks, and between two glances at the file systems.
const PAUSE: Duration = Duration::from_millis(500);
/// Looking takes at most this part of the time, as long as the file systems lose little.
const SHARE: u32 = 10;

const FINE: u8 = 0;
const BYTES: u8 = 1;
const FILES: u8 = 2;

/// A thread that looks again and again, until this value is dropped.
#[derive(Debug)]
pub(crate) struct UsageWatch {
    found: Arc<AtomicU8>,
    _stop: Sender<()>,
}

/// What is on the disk.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Usage {
    bytes: u64,
    files: u64,
}

impl UsageWatch {
    /// Starts to look at the directories, if there is a limit.
    pub(crate) fn start(dirs: Vec<PathBuf>, limits: &Limits) -> Option<Self> {
        if limits.disk.is_none() && limits.files.is_none() {
            return None;
        }
        let most = Usage {
            bytes: limits.disk.unwrap_or(u64::MAX),
            files: limits.files.unwrap_or(u64::MAX),
        };
        let found = Arc::new(AtomicU8::new(FINE));
        let (stop, stopped) = channel();
        let seen = found.clone();
        let look = move || {
            loop {
                let (begin, free) = (Instant::now(), free(&dirs));
                let mut sum = Usage::default();
                for dir in &dirs {
                    measure(dir, &mut sum, &most);
                }
                if sum.bytes > most.bytes {
                    seen.store(BYTES, Ordering::Relaxed);
                } else if sum.files > most.files {
                    seen.store(FILES, Ordering::Relaxed);
                }
                let took = begin.elapsed();
                let ended = Instant::now();
                loop {
                    if stopped.recv_timeout(PAUSE) != Err(RecvTimeoutError::Timeout) {
                        return;
                    }
                    let waited = ended.elapsed();
                    if waited >= took * SHARE || waited >= took && lost(&free, &dirs, &sum, &most) {
                        break;
                    }
                }
            }
        };
        std::thread::Builder::new().name("usage".into()).spawn(look).ok()?;
        Some(Self { found, _stop: stop })
    }

    /// Which limit was exceeded at the last look.
    pub(crate) fn excess(&self) -> Option<Reason> {
        match self.found.load(Ordering::Relaxed) {
            BYTES => Some(Reason::DiskLimit),
            FILES => Some(Reason::FileLimit),
            _ => None,
        }
    }
}

/// What is free where the directories are; nothing where the file system does not say.
fn free(dirs: &[PathBuf]) -> Vec<Usage> {
    let of = |dir: &PathBuf| {
        let stat = rustix::fs::statvfs(dir).ok();
        stat.map_or(Usage::default(), |s| Usage { bytes: s.f_bfree * s.f_frsize, files: s.f_ffree })
    };
    dirs.iter().map(of).collect()
}

/// Whether the file systems have lost, since `before`, what the build had left of a limit: it, or another, took much.
fn lost(before: &[Usage], dirs: &[PathBuf], sum: &Usage, most: &Usage) -> bool {
    let left = Usage {
        bytes: most.bytes.saturating_sub(sum.bytes),
        files: most.files.saturating_sub(sum.files),
    };
    before.iter().zip(free(dirs)).any(|(then, now)| {
        then.bytes.saturating_sub(now.bytes) > left.bytes
            || then.files.saturating_sub(now.files) > left.files
    })
}

/// Adds up a tree; ends early when a limit is passed. What vanishes meanwhile does not count.
fn measure(dir: &Path, sum: &mut Usage, most: &Usage) {
    let mut open = vec![dir.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let Ok(data) = entry.metadata() else { continue };
            sum.files += 1;
            // A file of several names counts once for each, which errs on the safe side.
            sum.bytes += data.blocks() * 512;
            if data.is_dir() {
                open.push(entry.path());
            }
        }
        if sum.bytes > most.bytes || sum.files > most.files {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_files_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        fs::write(dir.path().join("a/b"), vec![1; 100_000]).unwrap();
        let (mut sum, most) = (Usage::default(), Usage { bytes: u64::MAX, files: u64::MAX });
        measure(dir.path(), &mut sum, &most);
        assert_eq!(sum.files, 2);
        assert!((100_000..200_000).contains(&sum.bytes), "{sum:?}");
    }

    #[test]
    fn what_the_file_system_lost_calls_for_a_look() {
        let dir = tempfile::tempdir().unwrap();
        let dirs = [dir.path().to_path_buf()];
        let (sum, most) =
            (Usage { bytes: 10, files: 10 }, Usage { bytes: u64::MAX, files: 1_000_010 });
        let now = free(&dirs);
        assert!(!lost(&now, &dirs, &sum, &most));
        // Others work on the same file system, but do not make or remove a million files meanwhile.
        let then: Vec<_> = now.iter().map(|u| Usage { files: u.files + 3_000_000, ..*u }).collect();
        assert!(lost(&then, &dirs, &sum, &most));
    }
}
