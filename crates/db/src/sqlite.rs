//! SQLite: one writer connection, several readers, each used by one transaction at a time.
//!
//! Statements run on tokio's blocking threads. A statement owns its connection while it runs, so a
//! caller that goes away leaves a connection that is rolled back and returned, never a torn one.

mod convert;
mod copy;
mod functions;
mod sequence;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, InterruptHandle};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::db::{Durability, Options};
use crate::dialect::Plan;
use crate::{Error, Param, Result, Row};

pub(crate) use convert::error;
pub(crate) use copy::check;

/// Prepared statements kept for each connection.
const STATEMENTS: usize = 1024;

/// All connections to one file.
pub(crate) struct Pool {
    path: PathBuf,
    options: Options,
    readers: Side,
    writer: Side,
    /// Ids that were taken by transactions which were rolled back.
    spent: Mutex<sequence::Last>,
    /// Holds a temporary database's directory.
    _dir: Option<tempfile::TempDir>,
}

/// Connections of one kind: how many may be in use, and those at rest.
struct Side {
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Conn>>,
}

/// One connection and what its functions need to know.
struct Conn {
    sqlite: Connection,
    /// The moment that `NOW()` gives: the start of the transaction.
    now: Arc<AtomicI64>,
}

/// What a session's connection is doing, so that a statement whose caller has gone is stopped.
#[derive(Default)]
enum Doing {
    #[default]
    Nothing,
    /// Running a statement that may be stopped.
    Running(InterruptHandle),
    /// The caller has gone: nothing further is begun.
    Gone,
}

impl Pool {
    /// Opens the file, creating it if needed.
    pub(crate) async fn open(path: &str, options: &Options) -> Result<Pool> {
        let (path, dir) = if path == ":memory:" {
            let dir = tempfile::Builder::new()
                .prefix("toji-db")
                .tempdir()
                .map_err(|e| Error::Url(e.to_string()))?;
            (dir.path().join("toji.db"), Some(dir))
        } else {
            (PathBuf::from(path), None)
        };
        let side = |n: usize| Side { permits: Arc::new(Semaphore::new(n)), idle: Mutex::default() };
        let pool = Pool {
            path,
            options: options.clone(),
            readers: side(options.readers.max(1)),
            writer: side(1),
            spent: Mutex::default(),
            _dir: dir,
        };
        let (path, options) = (pool.path.clone(), pool.options.clone());
        let first = blocking(move || open_conn(&path, &options, true)).await??;
        pool.writer.idle().push(first);
        Ok(pool)
    }

    /// Takes a connection, waiting for at most the configured time.
    pub(crate) async fn session(self: &Arc<Self>, writer: bool) -> Result<Session> {
        let permits = self.side(writer).permits.clone();
        let permit = tokio::time::timeout(self.options.wait, permits.acquire_owned()).await;
        let permit =
            permit.map_err(|_| Error::Busy)?.map_err(|_| Error::Lost("pool closed".into()))?;
        Ok(self.lease(writer, permit))
    }

    /// Takes the writer if nobody in this process has it.
    pub(crate) fn try_writer(self: &Arc<Self>) -> Option<Session> {
        let permit = self.writer.permits.clone().try_acquire_owned().ok()?;
        Some(self.lease(true, permit))
    }

    /// Closes the connections at rest; the last one folds the log into the file.
    pub(crate) async fn close(&self) {
        let (readers, writer) =
            (std::mem::take(&mut *self.readers.idle()), std::mem::take(&mut *self.writer.idle()));
        let _ = blocking(move || drop((readers, writer))).await;
    }

    fn lease(self: &Arc<Self>, writer: bool, permit: OwnedSemaphorePermit) -> Session {
        let conn = self.side(writer).idle().pop();
        let lease = Lease { conn, pool: self.clone(), writer, _permit: permit };
        Session { writer, lease: Mutex::new(Some(lease)), doing: Arc::default() }
    }

    fn spent(&self) -> std::sync::MutexGuard<'_, sequence::Last> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn side(&self, writer: bool) -> &Side {
        if writer { &self.writer } else { &self.readers }
    }
}

impl Side {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Conn>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to one connection; going away rolls back and returns it.
struct Lease {
    conn: Option<Conn>,
    pool: Arc<Pool>,
    writer: bool,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(conn) = self.conn.take() else { return };
        if !conn.sqlite.is_autocommit() {
            let before = if self.writer { sequence::last(&conn.sqlite) } else { Vec::new() };
            if let Err(error) = conn.sqlite.execute_batch("ROLLBACK") {
                tracing::warn!(%error, "connection dropped: its transaction cannot be rolled back");
                return;
            }
            let spent = sequence::taken_back(&conn.sqlite, before);
            self.pool.spent().extend(spent);
        }
        self.pool.side(self.writer).idle().push(conn);
    }
}

/// One transaction's connection.
pub(crate) struct Session {
    writer: bool,
    /// Behind a lock only so that a transaction may be shared between threads; never contended.
    lease: Mutex<Option<Lease>>,
    doing: Arc<Mutex<Doing>>,
}

impl Session {
    /// Whether this is the writer's.
    pub(crate) fn is_writer(&self) -> bool {
        self.writer
    }

    /// Runs statements without results or parameters.
    pub(crate) async fn batch(&mut self, sql: String) -> Result<()> {
        self.run(true, move |conn| conn.sqlite.execute_batch(&sql).map_err(error)).await
    }

    /// Takes the transaction back to a savepoint.
    pub(crate) async fn roll_back_to(&mut self, savepoint: u32) -> Result<()> {
        let writer = self.writer;
        self.run(true, move |conn| {
            let before = if writer { sequence::last(&conn.sqlite) } else { Vec::new() };
            let sql = format!("ROLLBACK TO SAVEPOINT sp{savepoint}");
            conn.sqlite.execute_batch(&sql).map_err(error)?;
            let spent = sequence::taken_back(&conn.sqlite, before);
            sequence::raise(&conn.sqlite, &spent).map_err(error)
        })
        .await
    }

    /// Ends the transaction with its effects.
    pub(crate) async fn commit(&mut self) -> Result<()> {
        self.run(false, |conn| match conn.sqlite.is_autocommit() {
            true => Ok(()),
            false => conn.sqlite.execute_batch("COMMIT").map_err(error),
        })
        .await
    }

    /// Runs a statement for its rows.
    pub(crate) async fn query(&mut self, plan: Arc<Plan>, params: &[Param]) -> Result<Vec<Row>> {
        let params = convert::bind_all(params);
        self.run(true, move |conn| convert::query(&conn.sqlite, &plan, params)).await
    }

    /// Runs a statement for the number of rows it changes.
    pub(crate) async fn execute(&mut self, plan: Arc<Plan>, params: &[Param]) -> Result<u64> {
        let params = convert::bind_all(params);
        self.run(true, move |conn| convert::execute(&conn.sqlite, &plan, params)).await
    }

    /// Adds rows from CSV.
    pub(crate) async fn copy_csv(
        &mut self,
        table: &str,
        columns: &str,
        csv: Vec<u8>,
    ) -> Result<u64> {
        let (table, columns) = (table.to_owned(), columns.to_owned());
        self.run(true, move |conn| convert::copy_csv(&conn.sqlite, &table, &columns, &csv)).await
    }

    fn slot(&mut self) -> &mut Option<Lease> {
        self.lease.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` in the transaction, which begins with the first run.
    async fn run<R: Send + 'static>(
        &mut self,
        stoppable: bool,
        work: impl FnOnce(&mut Conn) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let lease = self.slot().take().ok_or(Error::Aborted)?;
        let doing = self.doing.clone();
        let mut stop = StopOnDrop(stoppable.then(|| doing.clone()));
        let (lease, out) = blocking(move || {
            let mut lease = lease;
            let out = in_transaction(&mut lease, &doing, work);
            (lease, out)
        })
        .await?;
        stop.0 = None;
        *self.slot() = Some(lease);
        out
    }
}

fn in_transaction<R>(
    lease: &mut Lease,
    doing: &Mutex<Doing>,
    work: impl FnOnce(&mut Conn) -> Result<R>,
) -> Result<R> {
    let writer = lease.writer;
    let conn = match &mut lease.conn {
        Some(conn) => conn,
        none => none.insert(open_conn(&lease.pool.path, &lease.pool.options, writer)?),
    };
    change(doing, Doing::Running(conn.sqlite.get_interrupt_handle()))?;
    if conn.sqlite.is_autocommit() {
        conn.now.store(functions::clock(), Ordering::Relaxed);
        let begin = if writer { "BEGIN IMMEDIATE" } else { "BEGIN" };
        conn.sqlite.prepare_cached(begin).and_then(|mut s| s.raw_execute()).map_err(error)?;
        if writer {
            let spent = std::mem::take(&mut *lease.pool.spent());
            sequence::raise(&conn.sqlite, &spent).map_err(error)?;
        }
    }
    let out = work(conn);
    change(doing, Doing::Nothing)?;
    out
}

/// Notes what is done now, unless the caller has gone.
fn change(doing: &Mutex<Doing>, now: Doing) -> Result<()> {
    let mut doing = doing.lock().unwrap_or_else(PoisonError::into_inner);
    if matches!(*doing, Doing::Gone) {
        return Err(Error::Cancelled);
    }
    *doing = now;
    Ok(())
}

/// Stops the run when the future that waits for it is dropped.
struct StopOnDrop(Option<Arc<Mutex<Doing>>>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if let Some(doing) = &self.0 {
            let mut doing = doing.lock().unwrap_or_else(PoisonError::into_inner);
            if let Doing::Running(handle) = std::mem::replace(&mut *doing, Doing::Gone) {
                handle.interrupt();
            }
        }
    }
}

async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> Result<R> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Error::Lost(e.to_string()))
}

fn open_conn(path: &Path, options: &Options, writer: bool) -> Result<Conn> {
    // Two that switch a new file to WAL at once are told that it is busy, however long they would wait.
    let turn = path.parent().and_then(|dir| std::fs::File::open(dir).ok());
    let _ = turn.as_ref().map(std::fs::File::lock);
    let sqlite = Connection::open(path).map_err(error)?;
    setup(&sqlite, options, writer).map_err(error)?;
    let now = Arc::new(AtomicI64::new(functions::clock()));
    functions::register(&sqlite, &now).map_err(error)?;
    Ok(Conn { sqlite, now })
}

fn setup(sqlite: &Connection, options: &Options, writer: bool) -> rusqlite::Result<()> {
    // Without this SQLite plans a prepared statement again whenever a bound value changes.
    sqlite.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    sqlite.busy_timeout(options.wait.min(Duration::from_secs(60)))?;
    sqlite.set_prepared_statement_cache_capacity(STATEMENTS);
    sqlite.pragma_update(None, "journal_mode", "WAL")?;
    sqlite.pragma_update(None, "foreign_keys", true)?;
    sqlite.pragma_update(None, "temp_store", "MEMORY")?;
    sqlite.pragma_update(None, "cache_size", -16_384)?;
    sqlite.pragma_update(None, "mmap_size", 1i64 << 30)?;
    let synchronous = match options.durability {
        Durability::Full => "FULL",
        Durability::Process => "NORMAL",
        Durability::None => "OFF",
    };
    sqlite.pragma_update(None, "synchronous", synchronous)?;
    if !writer {
        sqlite.pragma_update(None, "query_only", true)?;
    }
    Ok(())
}
