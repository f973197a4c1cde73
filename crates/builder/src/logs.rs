//! A task's logs: written to files and uploaded while they grow.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use toji_client::{Client, Upload};
use toji_sandbox::{Sink, Stream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::failure::chain;

/// The pause between two looks at a growing log: a reader sees a line well within a second.
const PACE: Duration = Duration::from_millis(200);
/// The most that is uploaded in one request, in bytes.
const PIECE: u64 = 1 << 20;

/// The logs of one task.
pub(crate) struct Logs {
    dir: PathBuf,
    shared: Arc<Shared>,
    uploader: Arc<tokio::sync::Mutex<Uploader>>,
    follower: JoinHandle<()>,
    /// Whether each log has a second one that tells when it grew.
    stamped: bool,
}

#[derive(Default)]
struct Shared {
    names: Mutex<Vec<String>>,
    grown: Notify,
}

impl Shared {
    fn names(&self) -> Vec<String> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Logs {
    /// Starts uploading to a directory on the hub what is written to logs in `dir`.
    ///
    /// With `stamped`, each has a companion `NAME-ts.log` as kojid makes them: lines of a time, in seconds since 1970,
    /// and the length that the log had reached.
    pub(crate) fn start(client: Client, dir: PathBuf, upload_dir: String, stamped: bool) -> Self {
        let shared = Arc::new(Shared::default());
        let to = To::Hub(client, upload_dir);
        let uploader = Uploader { to, dir: dir.clone(), offsets: HashMap::new() };
        let uploader = Arc::new(tokio::sync::Mutex::new(uploader));
        let follower = tokio::spawn(follow(uploader.clone(), shared.clone()));
        Logs { dir, shared, uploader, follower, stamped }
    }

    /// Shows on this process's standard output what is written to these logs in `dir`, and uploads nothing.
    pub(crate) fn show(dir: PathBuf, names: &'static [&'static str]) -> Self {
        let shared = Arc::new(Shared::default());
        let uploader =
            Uploader { to: To::Screen(names), dir: dir.clone(), offsets: HashMap::new() };
        let uploader = Arc::new(tokio::sync::Mutex::new(uploader));
        let follower = tokio::spawn(follow(uploader.clone(), shared.clone()));
        Logs { dir, shared, uploader, follower, stamped: false }
    }

    /// Opens a log for appending; the names of all opened logs belong to the task's result.
    pub(crate) fn open(&self, name: &str) -> io::Result<Log> {
        let file = self.append(name)?;
        let stamps = match self.stamped {
            true => Some(Stamps { file: self.append(&format!("{name}-ts.log"))?, second: 0 }),
            false => None,
        };
        Ok(Log { file, stamps, shared: self.shared.clone() })
    }

    /// The logs that were opened, in that order, and where they are.
    pub(crate) fn files(&self) -> Vec<(String, PathBuf)> {
        let names = self.shared.names().into_iter();
        names.map(|name| (name.clone(), self.dir.join(name))).collect()
    }

    fn append(&self, name: &str) -> io::Result<File> {
        let file = OpenOptions::new().create(true).append(true).open(self.dir.join(name))?;
        let mut names = self.shared.names.lock().unwrap_or_else(PoisonError::into_inner);
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
        Ok(file)
    }

    /// Uploads what is left and returns the names of the logs that were, in the order of their opening.
    pub(crate) async fn flush(&self) -> Result<Vec<String>, toji_client::Error> {
        let mut names = self.shared.names();
        self.uploader.lock().await.round(&names).await?;
        // One that somebody has taken away is no part of the result.
        names.retain(|name| self.dir.join(name).exists());
        Ok(names)
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

async fn follow(uploader: Arc<tokio::sync::Mutex<Uploader>>, shared: Arc<Shared>) {
    loop {
        shared.grown.notified().await;
        if let Err(error) = uploader.lock().await.round(&shared.names()).await {
            // The next round begins at the same place; the last one tells the task.
            tracing::warn!(error = chain(&error), "a log was not uploaded");
        }
        tokio::time::sleep(PACE).await;
    }
}

/// Where logs go.
enum To {
    /// A directory there.
    Hub(Client, String),
    /// Those of these names.
    Screen(&'static [&'static str]),
}

impl To {
    async fn send(&self, data: Vec<u8>, offset: u64, name: &str) -> Result<(), toji_client::Error> {
        match self {
            To::Hub(client, path) => {
                let to = Upload { path, name, overwrite: true, ..Upload::default() };
                client.upload_piece(data.into(), offset, &to).await.map(drop)
            }
            To::Screen(names) if names.contains(&name) => {
                let mut screen = io::stdout().lock();
                let failed =
                    |source| toji_client::Error::File { path: "standard output".into(), source };
                screen.write_all(&data).and_then(|()| screen.flush()).map_err(failed)
            }
            To::Screen(_) => Ok(()),
        }
    }
}

struct Uploader {
    to: To,
    dir: PathBuf,
    offsets: HashMap<String, u64>,
}

impl Uploader {
    /// Uploads what was appended to each log since the last round.
    async fn round(&mut self, names: &[String]) -> Result<(), toji_client::Error> {
        for name in names {
            loop {
                let offset = self.offsets.get(name).copied().unwrap_or(0);
                let path = self.dir.join(name);
                let data = read(&path, offset)
                    .map_err(|source| toji_client::Error::File { path, source })?;
                if data.is_empty() {
                    break;
                }
                let end = offset + data.len() as u64;
                self.to.send(data, offset, name).await?;
                self.offsets.insert(name.clone(), end);
            }
        }
        Ok(())
    }
}

/// The next piece of a log.
pub(crate) fn read(path: &Path, offset: u64) -> io::Result<Vec<u8>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        // Somebody has taken the log away: there is nothing more to tell, and that is no reason to fail.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    file.seek(SeekFrom::Start(offset))?;
    let mut data = Vec::new();
    file.take(PIECE).read_to_end(&mut data)?;
    Ok(data)
}

/// One open log.
pub(crate) struct Log {
    file: File,
    stamps: Option<Stamps>,
    shared: Arc<Shared>,
}

/// Tells when a log grew.
struct Stamps {
    file: File,
    /// The last one that was told.
    second: u64,
}

impl Stamps {
    /// Notes the length of the log, once in a second.
    fn note(&mut self, log: &File, now: u64) -> io::Result<()> {
        if now != self.second {
            self.second = now;
            let length = log.metadata()?.len();
            self.file.write_all(format!("{now} {length}\n").as_bytes())?;
        }
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "the time at which a line came")]
fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

impl Log {
    fn append(&mut self, data: &[u8]) -> io::Result<()> {
        self.file.write_all(data)?;
        match &mut self.stamps {
            Some(stamps) => stamps.note(&self.file, now()),
            None => Ok(()),
        }
    }

    /// Appends a line; a full disk shows up in what is done, not here.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) {
        let _ = self.append(format!("{}\n", text.as_ref()).as_bytes());
        self.shared.grown.notify_one();
    }
}

impl Log {
    /// The file, for a program that writes to it by itself.
    pub(crate) fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Says that somebody may have written to the file.
    pub(crate) fn grown(&self) {
        self.shared.grown.notify_one();
    }
}

impl Sink for Log {
    fn write(&mut self, _: Stream, chunk: &[u8]) -> io::Result<()> {
        self.append(chunk)?;
        self.shared.grown.notify_one();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_tell_a_length_once_in_a_second() {
        let dir = tempfile::tempdir().unwrap();
        let open = |name: &str| {
            OpenOptions::new().create(true).append(true).open(dir.path().join(name)).unwrap()
        };
        let (mut log, mut stamps) = (open("log"), Stamps { file: open("ts"), second: 0 });
        for (now, text) in [(5, "one\n"), (5, "two\n"), (7, "three\n")] {
            log.write_all(text.as_bytes()).unwrap();
            stamps.note(&log, now).unwrap();
        }
        let told = std::fs::read_to_string(dir.path().join("ts")).unwrap();
        assert_eq!(told, "5 4\n7 14\n");
    }

    #[test]
    fn a_missing_log_does_not_fail_an_upload() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("build.log");
        assert_eq!(read(&path, 0).expect("a missing log"), b"");
        std::fs::write(&path, "0123").expect("log");
        assert_eq!(read(&path, 2).expect("log"), b"23");
        std::fs::remove_file(&path).expect("log");
        assert_eq!(read(&path, 4).expect("a log that went"), b"");
    }
}
