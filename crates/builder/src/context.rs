//! What a handler works with: the task, its session, its directory, its logs.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use toji_client::{Client, Download, IntoArgs, Upload};
use toji_sandbox::CancellationToken;
use toji_types::PathInfo;
use toji_value::{Map, Value};
use tokio::sync::{Mutex, Notify};

use crate::config::Config;
use crate::failure::{Failure, Result};
use crate::leave::Leave;
use crate::logs::{Log, Logs};
use crate::packages::PackageCache;
use crate::plugins::Plugins;

/// What all tasks of a builder share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) packages: PackageCache,
    /// The layers of buildroots, opened at the first use.
    pub(crate) chroots: tokio::sync::OnceCell<toji_sandbox::Chroots>,
    pub(crate) plugins: Plugins,
    /// Whether the live connection is up, so that waiting tasks need not ask.
    pub(crate) live: AtomicBool,
    /// Whether the hub stores what is said over it, so that nothing need be reported or asked for.
    pub(crate) quiet: AtomicBool,
    /// Whether a task wants the daemon to end or start anew.
    pub(crate) leave: Leave,
    /// Ends all tasks that were begun until it was renewed.
    pub(crate) work: std::sync::Mutex<CancellationToken>,
}

impl Shared {
    /// What ends the tasks that are begun now, all at once.
    pub(crate) fn work(&self) -> CancellationToken {
        self.work.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends all tasks that run.
    pub(crate) fn abandon(&self) {
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *work).cancel();
    }

    /// How long a waiting task may sleep before it asks for itself.
    pub(crate) fn patience(&self) -> Duration {
        let live = self.live.load(Ordering::Relaxed);
        if live { 4 * self.config.sleeptime } else { self.config.sleeptime.min(MOST_SLEEP) }
    }
}

/// Without a live connection a waiting task asks at least this often.
const MOST_SLEEP: Duration = Duration::from_secs(3);

/// How long a token is used before another one is asked for; the hub lets it be good for some hours.
const TOKEN_USE: Duration = Duration::from_secs(3600);

/// A token with the end of its use; no token from a hub that has none.
type Token = Option<(Option<String>, Instant)>;

/// Whether the hub does not have a call at all.
pub(crate) fn is_unknown_method(error: &toji_client::Error) -> bool {
    error.fault().is_some_and(|fault| fault.message.starts_with("Invalid method"))
}

/// One running task.
pub(crate) struct Context {
    pub(crate) id: i64,
    /// The hub's record of the task, with the request.
    pub(crate) info: Value,
    pub(crate) hub: Client,
    pub(crate) shared: Arc<Shared>,
    pub(crate) work: PathBuf,
    pub(crate) logs: Logs,
    pub(crate) cancel: CancellationToken,
    pub(crate) signals: Arc<Signals>,
    pub(crate) token: Mutex<Token>,
}

/// What reaches a running task from outside.
#[derive(Default)]
pub(crate) struct Signals {
    /// A child that the task waits for has ended.
    pub(crate) woken: Notify,
    /// Whether the task waits; its weight does not count then.
    pub(crate) waiting: AtomicBool,
}

impl Context {
    pub(crate) fn config(&self) -> &Config {
        &self.shared.config
    }

    /// Makes a call in the task's own session.
    pub(crate) async fn call(&self, method: &str, args: impl IntoArgs) -> Result<Value> {
        Ok(self.hub.call(method, args).await?)
    }

    /// The task's directory on the hub, below `work`.
    pub(crate) fn upload_dir(&self) -> String {
        upload_dir(self.id)
    }

    /// Opens one of the task's logs.
    pub(crate) fn log(&self, name: &str) -> Result<Log> {
        self.logs.open(name).map_err(Failure::local(format!("cannot write {name}")))
    }

    /// Uploads a file to the task's directory and returns its path below `work`.
    ///
    /// With a token of the task's own where the hub has that, else by Koji's calls.
    pub(crate) async fn upload(&self, file: &Path, name: &str) -> Result<String> {
        let path = self.upload_dir();
        match self.token().await? {
            Some(token) => drop(self.hub.upload_for_task(file, self.id, name, &token).await?),
            None => {
                let to = Upload { path: &path, name, overwrite: true, ..Upload::default() };
                self.hub.upload(file, &to).await?;
            }
        }
        Ok(format!("{path}/{name}"))
    }

    /// The same for what an import takes: straight to the hub's object store where it offers that. Other files are read by the
    /// hub in its work directory.
    pub(crate) async fn upload_result(&self, file: &Path, name: &str) -> Result<String> {
        let own = self.upload_dir();
        let path = format!("{own}/{name}");
        if let Some((dir, name)) = path.rsplit_once('/') {
            let to = Upload { path: dir, name, overwrite: true, ..Upload::default() };
            if self.hub.upload_direct(file, &to).await?.is_some() {
                return Ok(path);
            }
        }
        self.upload(file, name).await
    }

    /// Uploads a file to the task's directory on a volume, not by token: only the calls know volumes.
    pub(crate) async fn upload_to_volume(&self, file: &Path, name: &str, on: &str) -> Result<()> {
        let path = self.upload_dir();
        let to =
            Upload { path: &path, name, overwrite: true, volume: Some(on), ..Upload::default() };
        self.hub.upload(file, &to).await?;
        Ok(())
    }

    /// The token of this task's uploads; none from a hub of Koji's.
    async fn token(&self) -> Result<Option<String>> {
        let mut known = self.token.lock().await;
        if let Some((token, until)) = &*known
            && Instant::now() < *until
        {
            return Ok(token.clone());
        }
        let token = match self.hub.call("host.uploadToken", (self.id,)).await {
            Ok(answer) => Some(text_of(&answer, "token")?.to_owned()),
            Err(error) if is_unknown_method(&error) => None,
            Err(error) => return Err(error.into()),
        };
        *known = Some((token.clone(), Instant::now() + TOKEN_USE));
        Ok(token)
    }

    /// Uploads what is left of the logs and returns their paths below `work`.
    pub(crate) async fn log_paths(&self) -> Result<Vec<String>> {
        let dir = self.upload_dir();
        Ok(self.logs.flush().await?.iter().map(|name| format!("{dir}/{name}")).collect())
    }

    /// Fetches a file below the hub's `work` directory.
    ///
    /// # Errors
    /// A build error when the path leads elsewhere or nothing is there.
    pub(crate) async fn fetch_work(&self, relative: &str) -> Result<PathBuf> {
        let name = relative.rsplit('/').next().unwrap_or(relative);
        if name.is_empty() || relative.split('/').any(|part| part == "..") {
            return Err(Failure::build(format!("Invalid path: {relative}")));
        }
        let dir = self.make_dir("local")?;
        let file = dir.join(name);
        let url = format!("work/{relative}");
        let what = Download { url: &url, ..Download::default() };
        match self.hub.download(&what, &file).await {
            Ok(_) => Ok(file),
            Err(toji_client::Error::Status { status: 404, .. }) => {
                Err(Failure::build(format!("SRPM file missing: {relative}")))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a directory below the task's own.
    pub(crate) fn make_dir(&self, name: &str) -> Result<PathBuf> {
        let dir = self.work.join(name);
        std::fs::create_dir_all(&dir)
            .map_err(Failure::local(format!("cannot create {}", dir.display())))?;
        Ok(dir)
    }

    /// Makes a child task, or finds the one of the same label.
    pub(crate) async fn subtask(&self, method: &str, args: Vec<Value>, opts: Map) -> Result<i64> {
        let mut call = toji_client::args!(method, args, self.id);
        call.keywords = opts;
        int("host.subtask", self.call("host.subtask", call).await?)
    }
}

/// A task's directory on the hub, below `work`.
pub(crate) fn upload_dir(task: i64) -> String {
    PathInfo::new("").taskrelpath(task)
}

/// An answer that must be a number.
pub(crate) fn int(call: &str, value: Value) -> Result<i64> {
    value.as_int().ok_or_else(|| Failure::generic(format!("{call} answered {}", value.repr())))
}

/// A member that must be a number.
pub(crate) fn int_of(value: &Value, key: &str) -> Result<i64> {
    let member = value.get(key);
    member.as_int().ok_or_else(|| Failure::generic(format!("{key} is {}", member.repr())))
}

/// A member that must be text.
pub(crate) fn text_of<'v>(value: &'v Value, key: &str) -> Result<&'v str> {
    let member = value.get(key);
    member.as_str().ok_or_else(|| Failure::generic(format!("{key} is {}", member.repr())))
}
