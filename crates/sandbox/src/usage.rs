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

/// The shortest pause between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// Looking takes at most this part of the time.
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
                let begin = Instant::now();
                let mut sum = Usage::default();
                for dir in &dirs {
                    measure(dir, &mut sum, &most);
                }
                if sum.bytes > most.bytes {
                    seen.store(BYTES, Ordering::Relaxed);
                } else if sum.files > most.files {
                    seen.store(FILES, Ordering::Relaxed);
                }
                let pause = PAUSE.max(begin.elapsed() * SHARE);
                if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                    return;
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
}
