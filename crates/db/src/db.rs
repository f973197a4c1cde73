//! The database handle: opening, migrating, beginning transactions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::dialect::Plans;
use crate::presence::Presence;
use crate::{Error, Result, Tx, migrate, postgres, sqlite};

/// The two engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The embedded default.
    Sqlite,
    /// A server, shared by several hubs.
    Postgres,
}

/// What a committed transaction survives on SQLite; PostgreSQL follows its server's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Loss of power.
    Full,
    /// The end of the process.
    Process,
    /// Nothing is promised: for tests and bulk loads.
    None,
}

/// How a database is used.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections for reading (SQLite).
    pub readers: usize,
    /// Connections (PostgreSQL).
    pub connections: usize,
    /// How long to wait for a connection, the writer or a lock of another process.
    pub wait: Duration,
    /// What a commit promises (SQLite).
    pub durability: Durability,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            readers: 8,
            connections: 16,
            wait: Duration::from_secs(30),
            durability: Durability::Full,
        }
    }
}

/// A database; clones share it.
#[derive(Clone)]
pub struct Db {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) url: String,
    pub(crate) pool: Pool,
    pub(crate) plans: Plans,
    /// Number of commits that wrote to the outbox, here or (PostgreSQL, when listened to) elsewhere.
    pub(crate) outbox: watch::Sender<u64>,
    pub(crate) listening: std::sync::Once,
    /// What others know of this program.
    pub(crate) presence: Presence,
    /// Statements that were run.
    pub(crate) count: AtomicU64,
}

pub(crate) enum Pool {
    Sqlite(Arc<sqlite::Pool>),
    Postgres(postgres::Pool),
}

impl Db {
    /// Opens `sqlite:PATH`, `sqlite::memory:` (a temporary file) or `postgres://…`
    /// (`postgres:///NAME?host=/socket/dir` for a local socket).
    pub async fn open(url: &str, options: &Options) -> Result<Db> {
        Db::open_at(url, options, None).await
    }

    /// The database at a moment that an open transaction holds; only to be read.
    pub(crate) async fn at(
        url: &str,
        options: &Options,
        moment: &postgres::Exported,
    ) -> Result<Db> {
        Db::open_at(url, options, Some(moment.name())).await
    }

    async fn open_at(url: &str, options: &Options, moment: Option<&str>) -> Result<Db> {
        let (engine, pool) = match url.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => {
                let pool =
                    sqlite::Pool::open(path.strip_prefix("//").unwrap_or(path), options).await?;
                (Engine::Sqlite, Pool::Sqlite(Arc::new(pool)))
            }
            Some(("postgres" | "postgresql", _)) => (
                Engine::Postgres,
                Pool::Postgres(postgres::Pool::open(url, options, moment).await?),
            ),
            _ => return Err(Error::Url(url.to_owned())),
        };
        let inner = Inner {
            url: url.to_owned(),
            pool,
            plans: Plans::new(engine),
            outbox: watch::Sender::new(0),
            listening: std::sync::Once::new(),
            presence: Presence::default(),
            count: AtomicU64::new(0),
        };
        Ok(Db { inner: Arc::new(inner) })
    }

    /// Which engine this is.
    pub fn engine(&self) -> Engine {
        match self.inner.pool {
            Pool::Sqlite(_) => Engine::Sqlite,
            Pool::Postgres(_) => Engine::Postgres,
        }
    }

    /// Brings the schema up to date; refuses one that is newer than this program.
    ///
    /// Safe when several programs start at once.
    pub async fn migrate(&self) -> Result<()> {
        migrate::run(self).await
    }

    /// A transaction; nothing happens before its first statement.
    ///
    /// On SQLite it reads one snapshot until its first writing statement, which takes the single
    /// writer. On PostgreSQL it is READ COMMITTED.
    pub fn begin(&self) -> Tx {
        Tx::new(self.clone())
    }

    /// A transaction that holds SQLite's writer from the start, so that what it reads cannot change.
    pub async fn begin_write(&self) -> Result<Tx> {
        let mut tx = self.begin();
        tx.take_writer().await?;
        Ok(tx)
    }

    /// How many statements were run through this handle, the beginnings and ends of transactions included.
    pub fn statement_count(&self) -> u64 {
        self.inner.count.load(Ordering::Relaxed)
    }

    /// Closes the connections at rest; on SQLite this leaves a single file.
    pub async fn close(&self) {
        match &self.inner.pool {
            Pool::Sqlite(pool) => pool.close().await,
            Pool::Postgres(pool) => pool.close(),
        }
    }

    /// Changes whenever a transaction that wrote to the outbox was committed.
    ///
    /// On PostgreSQL the first call starts a task that listens for other programs' commits.
    pub fn outbox_signal(&self) -> watch::Receiver<u64> {
        if matches!(self.inner.pool, Pool::Postgres(_)) {
            self.inner.listening.call_once(|| postgres::listen(&self.inner));
        }
        self.inner.outbox.subscribe()
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Db({:?})", self.engine())
    }
}
