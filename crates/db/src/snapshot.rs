//! A database as it is at one moment, for backups: read while others go on writing, and written to a file.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncWriteExt as _, BufReader};

use crate::db::Pool;
use crate::takeover::{self, State};
use crate::{Db, Engine, Error, Options, Result, postgres};

/// Where PostgreSQL's programs are on usual systems that do not have them in the path.
const BINARIES: [(&str, &str); 2] = [("/usr/lib/postgresql", "bin"), ("/usr/pgsql-18", "bin")];

/// Bytes of a dump that are written at a time.
const COPY: usize = 1 << 18;

/// A database as it was at one moment. Whatever is asked of it has the same answer.
pub struct Snapshot {
    db: Db,
    url: String,
    keep: Keep,
}

/// What the moment is held by.
enum Keep {
    /// A copy.
    File(PathBuf),
    /// An open transaction, and its name for others.
    Transaction(postgres::Exported),
}

impl Db {
    /// The database as it is now. Nobody who writes is held up. `scratch` is a directory where an SQLite database has place.
    ///
    /// # Errors
    /// When the database, or its copy, fails.
    pub async fn snapshot(&self, scratch: &Path) -> Result<Snapshot> {
        let url = self.inner.url.clone();
        match &self.inner.pool {
            Pool::Sqlite(pool) => {
                let path = scratch.join("database.sqlite");
                pool.copy_to(path.clone()).await?;
                let text = path.to_str().ok_or_else(|| Error::Url(path.display().to_string()))?;
                let db = Db::open(&format!("sqlite:{text}"), &Options::default()).await?;
                Ok(Snapshot { db, url, keep: Keep::File(path) })
            }
            Pool::Postgres(_) => {
                let exported = postgres::Exported::new(&url).await?;
                let db = Db::at(&url, &Options { connections: 4, ..Options::default() }, &exported)
                    .await?;
                Ok(Snapshot { db, url, keep: Keep::Transaction(exported) })
            }
        }
    }
}

impl Snapshot {
    /// The database at that moment; it can only be read.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// Writes all of it to a file: an SQLite database, or an archive of `pg_dump` in its custom format.
    ///
    /// # Errors
    /// When `pg_dump` is missing or fails, with its words; when the file cannot be written.
    pub async fn write(self, to: &Path) -> Result<()> {
        match self.keep {
            Keep::File(path) => {
                self.db.close().await;
                let (path, to) = (path.clone(), to.to_owned());
                let moved = tokio::task::spawn_blocking(move || std::fs::rename(path, to)).await;
                moved
                    .map_err(|e| Error::Other(e.to_string()))?
                    .map_err(|e| Error::Other(e.to_string()))
            }
            Keep::Transaction(exported) => {
                let words = [
                    "--format=custom".into(),
                    "--no-password".into(),
                    "--lock-wait-timeout=60000".into(),
                    format!("--snapshot={}", exported.name()).into(),
                ];
                let dumped = dump(&self.url, &words, to).await;
                // Until here the moment had to be held.
                drop(exported);
                dumped
            }
        }
    }
}

/// Whether a URL leads to a database without tables, or, for SQLite, to no file.
///
/// # Errors
/// When it cannot be opened.
pub async fn is_empty(url: &str) -> Result<bool> {
    if let Some(path) = sqlite_path(url)
        && !path.exists()
    {
        return Ok(true);
    }
    let db = Db::open(url, &Options { connections: 1, ..Options::default() }).await?;
    let report = takeover::check(&db).await;
    db.close().await;
    Ok(report?.state == State::Empty)
}

/// The engine that a URL is for.
pub fn engine_of(url: &str) -> Engine {
    if sqlite_path(url).is_some() { Engine::Sqlite } else { Engine::Postgres }
}

/// Fills an empty database with what [`Snapshot::write`] has written; nothing of it is there if that fails.
///
/// # Errors
/// When it is not empty, when `pg_restore` is missing or fails, with its words.
pub async fn restore(url: &str, from: &Path) -> Result<()> {
    if !is_empty(url).await? {
        return Err(Error::Schema("there are tables in the database already".to_owned()));
    }
    let Some(path) = sqlite_path(url) else {
        let target = postgres::target(url)?;
        let name = target.config.get_dbname().or(target.config.get_user()).unwrap_or_default();
        let name = name.replace('\\', r"\\").replace('\'', r"\'");
        let words = [
            "--exit-on-error".into(),
            "--single-transaction".into(),
            "--no-owner".into(),
            "--no-privileges".into(),
            "--no-password".into(),
            format!("--dbname=dbname='{name}'").into(),
            from.as_os_str().to_owned(),
        ];
        return run(url, "pg_restore", &words).await;
    };
    let from = from.to_owned();
    let work = move || {
        // What an empty database has left, which would be taken for a part of this one.
        for ending in ["-wal", "-shm"] {
            let mut beside = path.clone().into_os_string();
            beside.push(ending);
            match std::fs::remove_file(beside) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        let mut fresh = path.clone().into_os_string();
        fresh.push(".restoring");
        std::fs::copy(from, &fresh)?;
        std::fs::File::open(&fresh)?.sync_all()?;
        std::fs::rename(&fresh, &path)
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| Error::Other(e.to_string()))?.map_err(|e| Error::Other(e.to_string()))
}

/// Whether a file that [`Snapshot::write`] has written can be read to its end by what would restore it.
///
/// # Errors
/// Why it cannot.
pub async fn check(engine: Engine, file: &Path) -> Result<()> {
    match engine {
        Engine::Sqlite => crate::sqlite::check(file.to_owned()).await,
        Engine::Postgres => {
            let words = ["--file=/dev/null".into(), file.as_os_str().to_owned()];
            command("pg_restore", &[], &words).await
        }
    }
}

fn sqlite_path(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite:")?;
    Some(path.strip_prefix("//").unwrap_or(path).into())
}

/// Runs one of PostgreSQL's programs on a database. What it needs to connect is in its environment: others can read the words of a
/// command, and the password is among it.
async fn run(url: &str, name: &str, words: &[std::ffi::OsString]) -> Result<()> {
    command(name, &postgres::environment(url)?, words).await
}

async fn command(
    name: &str,
    environment: &[(String, String)],
    words: &[std::ffi::OsString],
) -> Result<()> {
    let child = start(name, environment, words, Stdio::null)?;
    ended(name, child.wait_with_output().await)
}

/// Runs `pg_dump`. What it gives goes through this program, so that it ends when this one is killed: by itself it would write on,
/// and keep the server from removing old rows.
async fn dump(url: &str, words: &[std::ffi::OsString], to: &Path) -> Result<()> {
    const NAME: &str = "pg_dump";
    let io = |e: std::io::Error| Error::Other(format!("{}: {e}", to.display()));
    let mut file = tokio::fs::File::create(to).await.map_err(io)?;
    let mut child = start(NAME, &postgres::environment(url)?, words, Stdio::piped)?;
    let content = child.stdout.take().ok_or_else(|| Error::Other(NAME.to_owned()))?;
    // When this fails, the reader goes, and the program with it.
    let copy = async move {
        let mut content = BufReader::with_capacity(COPY, content);
        tokio::io::copy_buf(&mut content, &mut file).await?;
        file.flush().await?;
        file.sync_all().await
    };
    let (copied, done) = tokio::join!(copy, child.wait_with_output());
    copied.map_err(io)?;
    ended(NAME, done)
}

/// Starts a program, which ends when nobody waits for it any more.
fn start(
    name: &str,
    environment: &[(String, String)],
    words: &[std::ffi::OsString],
    out: fn() -> Stdio,
) -> Result<tokio::process::Child> {
    for program in std::iter::once(PathBuf::from(name)).chain(elsewhere(name)) {
        let mut command = tokio::process::Command::new(&program);
        command.args(words).envs(environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        command.stdout(out());
        match command.spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            other => {
                return other.map_err(|e| Error::Other(format!("{}: {e}", program.display())));
            }
        }
    }
    Err(Error::Other(format!(
        "{name} is not installed: it comes with PostgreSQL's client programs"
    )))
}

fn ended(name: &str, done: std::io::Result<std::process::Output>) -> Result<()> {
    let done = done.map_err(|e| Error::Other(format!("{name}: {e}")))?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(Error::Other(format!("{name} failed ({}): {}", done.status, said.trim())))
}

/// The program in directories of its own, the newest version first.
fn elsewhere(name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (dir, sub) in BINARIES {
        let versions = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let numbered = versions.filter_map(|entry| {
            let number: u32 = entry.file_name().to_str()?.parse().ok()?;
            Some((number, entry.path().join(sub).join(name)))
        });
        found.extend(numbered);
        found.push((0, Path::new(dir).join(sub).join(name)));
    }
    found.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    found.into_iter().map(|(_, path)| path).collect()
}
