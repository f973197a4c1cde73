//! A transaction on either engine.

use toji_value::Value;

use crate::db::Pool;
use crate::outbox::Pending;
use crate::row::FromColumn;
use crate::{Db, Engine, Error, Param, Result, Row, Sql, postgres, sqlite};

/// A transaction; dropped without [`commit`](Tx::commit) it is rolled back, even in the middle of a
/// statement.
///
/// After a failed statement only [`rollback_to`](Tx::rollback_to) and [`rollback`](Tx::rollback)
/// are possible, on both engines.
pub struct Tx {
    db: Db,
    session: Session,
    wrote: bool,
    failed: bool,
    clash: Option<Clash>,
    /// Open savepoints. The database knows only of those before which something was done that a
    /// failure could spoil, so that calls that only read cost no extra round trips.
    savepoints: Vec<Mark>,
    next_savepoint: u32,
    pub(crate) outbox: Vec<Pending>,
    pub(crate) event: Option<i64>,
    /// Objects whose rows are locked until the end of the transaction: table and id.
    pub(crate) held: Vec<(&'static str, i64)>,
}

/// A savepoint: how long the outbox was, what was held, the event, and whether the database knows of it.
struct Mark {
    number: u32,
    outbox: usize,
    held: usize,
    event: Option<i64>,
    set: bool,
}

enum Session {
    None,
    Sqlite(sqlite::Session),
    Postgres(postgres::Session),
}

/// How a transaction met another one; it stays known when the failure is taken back to a savepoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Clash {
    /// A row with the same key was there: perhaps another transaction was faster.
    Key,
    /// The database or a check of versioned rows found a conflict: the transaction must begin anew.
    Conflict,
}

/// A savepoint of a [`Tx`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Savepoint(u32);

impl Tx {
    pub(crate) fn new(db: Db) -> Tx {
        Tx {
            db,
            session: Session::None,
            wrote: false,
            failed: false,
            clash: None,
            savepoints: Vec::new(),
            next_savepoint: 0,
            outbox: Vec::new(),
            event: None,
            held: Vec::new(),
        }
    }

    /// The database this belongs to.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// Which engine this runs on.
    pub fn engine(&self) -> Engine {
        self.db.engine()
    }

    /// Whether a statement so far changed or locked anything, or an outbox entry waits.
    pub fn has_writes(&self) -> bool {
        self.wrote || !self.outbox.is_empty()
    }

    /// Whether, and how, the transaction met another one.
    pub fn clash(&self) -> Option<Clash> {
        self.clash
    }

    /// Fails the transaction because of what another one did.
    pub(crate) fn conflict(&mut self) -> Error {
        self.failed = true;
        self.clash = Some(Clash::Conflict);
        Error::Conflict
    }

    /// The rows of a statement.
    pub async fn query(&mut self, sql: impl Into<Sql>, params: &[Param]) -> Result<Vec<Row>> {
        let plan = self.ready(sql.into().as_str()).await?;
        #[cfg(debug_assertions)]
        plan.sample.get_or_init(|| params.to_vec());
        let out = match &mut self.session {
            Session::Sqlite(s) => s.query(plan, params).await,
            Session::Postgres(s) => s.query(&plan, params).await,
            Session::None => Err(Error::Aborted),
        };
        self.note(out)
    }

    /// The only row of a statement, or nothing; several rows are an error.
    pub async fn query_opt(
        &mut self,
        sql: impl Into<Sql>,
        params: &[Param],
    ) -> Result<Option<Row>> {
        let mut rows = self.query(sql, params).await?;
        match rows.len() {
            0 | 1 => Ok(rows.pop()),
            _ => Err(Error::ManyRows),
        }
    }

    /// The only row of a statement.
    pub async fn query_one(&mut self, sql: impl Into<Sql>, params: &[Param]) -> Result<Row> {
        self.query_opt(sql, params).await?.ok_or(Error::NoRows)
    }

    /// The first column of the only row.
    pub async fn scalar<T: FromColumn>(
        &mut self,
        sql: impl Into<Sql>,
        params: &[Param],
    ) -> Result<T> {
        self.query_one(sql, params).await?.get_at(0)
    }

    /// The first column of the only row, or nothing if there is no row.
    pub async fn scalar_opt<T: FromColumn>(
        &mut self,
        sql: impl Into<Sql>,
        params: &[Param],
    ) -> Result<Option<T>> {
        self.query_opt(sql, params).await?.map(|row| row.get_at(0)).transpose()
    }

    /// The rows as mappings, ready to be an answer.
    pub async fn maps(&mut self, sql: impl Into<Sql>, params: &[Param]) -> Result<Vec<Value>> {
        let rows = self.query(sql, params).await?;
        Ok(rows.into_iter().map(|row| Value::Struct(row.into_map())).collect())
    }

    /// Runs a statement; gives the number of rows changed (or returned).
    pub async fn execute(&mut self, sql: impl Into<Sql>, params: &[Param]) -> Result<u64> {
        let plan = self.ready(sql.into().as_str()).await?;
        #[cfg(debug_assertions)]
        plan.sample.get_or_init(|| params.to_vec());
        let out = match &mut self.session {
            Session::Sqlite(s) => s.execute(plan, params).await,
            Session::Postgres(s) => s.execute(&plan, params).await,
            Session::None => Err(Error::Aborted),
        };
        self.note(out)
    }

    /// Runs several statements in one text, in the engine's own dialect.
    pub(crate) async fn batch(&mut self, sql: String) -> Result<()> {
        self.connect(true).await?;
        self.set_savepoints().await?;
        self.wrote = true;
        let out = self.session_batch(sql).await;
        self.note(out)
    }

    /// Adds rows from CSV; gives their number.
    pub(crate) async fn copy_csv(
        &mut self,
        table: &str,
        columns: &str,
        csv: Vec<u8>,
    ) -> Result<u64> {
        self.connect(true).await?;
        self.set_savepoints().await?;
        self.wrote = true;
        let out = match &mut self.session {
            Session::Sqlite(s) => s.copy_csv(table, columns, csv).await,
            Session::Postgres(s) => s.copy_csv(table, columns, csv.into()).await,
            Session::None => Err(Error::Aborted),
        };
        self.note(out)
    }

    /// Marks a point to which the transaction can be taken back.
    pub async fn savepoint(&mut self) -> Result<Savepoint> {
        if self.failed {
            return Err(Error::Aborted);
        }
        self.next_savepoint += 1;
        let number = self.next_savepoint;
        self.savepoints.push(Mark {
            number,
            outbox: self.outbox.len(),
            held: self.held.len(),
            event: self.event,
            set: false,
        });
        Ok(Savepoint(number))
    }

    /// Forgets a savepoint and those after it; what was done since then stays.
    pub async fn release(&mut self, savepoint: Savepoint) -> Result<()> {
        if self.failed {
            return Err(Error::Aborted);
        }
        let at = self.find(savepoint)?;
        if self.savepoints[at].set {
            let out = self.session_batch(format!("RELEASE SAVEPOINT sp{}", savepoint.0)).await;
            self.note(out)?;
        }
        self.savepoints.truncate(at);
        Ok(())
    }

    /// Undoes everything since the savepoint, and a failure with it; the savepoint stays.
    pub async fn rollback_to(&mut self, savepoint: Savepoint) -> Result<()> {
        let at = self.find(savepoint)?;
        if self.savepoints[at].set {
            match &mut self.session {
                Session::Sqlite(s) => s.roll_back_to(savepoint.0).await?,
                Session::Postgres(s) => {
                    s.batch(&format!("ROLLBACK TO SAVEPOINT sp{}", savepoint.0)).await?;
                }
                Session::None => {}
            }
        }
        self.failed = false;
        self.savepoints.truncate(at + 1);
        self.outbox.truncate(self.savepoints[at].outbox);
        self.held.truncate(self.savepoints[at].held);
        self.event = self.savepoints[at].event;
        Ok(())
    }

    /// Makes everything permanent and wakes those who wait for the outbox.
    pub async fn commit(mut self) -> Result<()> {
        if self.failed {
            return Err(Error::Aborted);
        }
        let signal = !self.outbox.is_empty();
        crate::outbox::write(&mut self).await?;
        if self.wrote {
            // its beginning and its end
            self.counted();
            self.counted();
        }
        match &mut self.session {
            Session::None => {}
            // Only the end of a snapshot, which the connection does when it is returned.
            Session::Sqlite(s) if !s.is_writer() => {}
            Session::Sqlite(s) => s.commit().await?,
            Session::Postgres(s) => s.commit(self.wrote).await?,
        }
        if signal {
            self.db.inner.outbox.send_modify(|n| *n += 1);
        }
        Ok(())
    }

    /// Gives the connection back as long as nothing was written or locked: what follows sees the database as it is
    /// then. Whether it did so.
    pub fn rest(&mut self) -> bool {
        let used = self.failed || self.has_writes() || !self.held.is_empty();
        if used || self.savepoints.iter().any(|mark| mark.set) {
            return false;
        }
        self.session = Session::None;
        true
    }

    /// Undoes everything.
    pub async fn rollback(self) -> Result<()> {
        Ok(())
    }

    /// Makes every further statement, and the commit, fail.
    pub fn abandon(&mut self) {
        self.failed = true;
    }

    /// Takes the named lock of the `locks` table until the end of the transaction, waiting for it.
    pub async fn lock(&mut self, name: &str) -> Result<()> {
        let sql = "SELECT name FROM locks WHERE name = $1 FOR UPDATE";
        let found = self.scalar_opt::<String>(sql, &[name.into()]).await?;
        found.map(drop).ok_or_else(|| Error::NoLock(name.to_owned()))
    }

    /// Takes the named lock if nobody holds it; tells whether it did.
    ///
    /// On SQLite any other writing transaction counts as the holder.
    pub async fn try_lock(&mut self, name: &str) -> Result<bool> {
        if !self.try_writer().await? {
            return Ok(false);
        }
        let sql = "SELECT name FROM locks WHERE name = $1 FOR UPDATE SKIP LOCKED";
        if self.scalar_opt::<String>(sql, &[name.into()]).await?.is_some() {
            return Ok(true);
        }
        let known = self
            .scalar_opt::<String>("SELECT name FROM locks WHERE name = $1", &[name.into()])
            .await?;
        known.map(|_| false).ok_or_else(|| Error::NoLock(name.to_owned()))
    }

    /// Forgets the transaction's event, so that the next call of a multicall makes its own.
    pub fn reset_event(&mut self) {
        self.event = None;
    }

    /// Takes SQLite's writer now.
    pub(crate) async fn take_writer(&mut self) -> Result<()> {
        if self.engine() == Engine::Sqlite {
            self.connect(true).await?;
            // An empty batch begins the transaction.
            let out = self.session_batch(String::new()).await;
            self.note(out)?;
        }
        Ok(())
    }

    async fn try_writer(&mut self) -> Result<bool> {
        let Pool::Sqlite(pool) = &self.db.inner.pool else { return Ok(true) };
        if matches!(&self.session, Session::Sqlite(s) if s.is_writer()) {
            return Ok(true);
        }
        let Some(writer) = pool.try_writer() else { return Ok(false) };
        self.session = Session::Sqlite(writer);
        Ok(true)
    }

    /// A connection fit for the statement, and the statement's plan.
    async fn ready(&mut self, sql: &str) -> Result<std::sync::Arc<crate::dialect::Plan>> {
        if self.failed {
            return Err(Error::Aborted);
        }
        self.counted();
        let plan = self.db.inner.plans.plan(sql);
        self.connect(plan.writes).await?;
        let spoils = match &self.session {
            Session::Postgres(s) => s.begun() || plan.transactional,
            _ => plan.writes,
        };
        if spoils {
            self.set_savepoints().await?;
        }
        self.wrote |= plan.writes;
        Ok(plan)
    }

    /// Tells the database of the open savepoints.
    async fn set_savepoints(&mut self) -> Result<()> {
        let new = self.savepoints.iter_mut().filter(|m| !m.set);
        let sql: String = new
            .map(|m| {
                m.set = true;
                format!("SAVEPOINT sp{};", m.number)
            })
            .collect();
        if sql.is_empty() {
            return Ok(());
        }
        let out = self.session_batch(sql).await;
        self.note(out)
    }

    async fn connect(&mut self, writes: bool) -> Result<()> {
        match (&self.session, &self.db.inner.pool) {
            (Session::None, Pool::Postgres(pool)) => {
                self.session = Session::Postgres(pool.session().await?);
            }
            (Session::None, Pool::Sqlite(pool)) => {
                self.session = Session::Sqlite(pool.session(writes).await?);
            }
            (Session::Sqlite(s), Pool::Sqlite(pool)) if writes && !s.is_writer() => {
                let pool = pool.clone();
                // The snapshot ends first: nobody waits for the writer with a reader in hand.
                self.session = Session::None;
                self.session = Session::Sqlite(pool.session(true).await?);
            }
            _ => {}
        }
        Ok(())
    }

    fn counted(&self) {
        self.db.inner.count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }

    async fn session_batch(&mut self, sql: String) -> Result<()> {
        self.counted();
        match &mut self.session {
            Session::Sqlite(s) => s.batch(sql).await,
            Session::Postgres(s) => s.batch(&sql).await,
            Session::None => Ok(()),
        }
    }

    fn find(&self, savepoint: Savepoint) -> Result<usize> {
        let at = self.savepoints.iter().position(|m| m.number == savepoint.0);
        at.ok_or_else(|| Error::Statement("savepoint already released".into()))
    }

    /// Remembers that a statement failed.
    fn note<T>(&mut self, out: Result<T>) -> Result<T> {
        self.failed |= out.is_err();
        let clash = match &out {
            Err(Error::Conflict) => Some(Clash::Conflict),
            Err(Error::Unique { .. }) => Some(Clash::Key),
            _ => None,
        };
        self.clash = self.clash.max(clash);
        out
    }
}

impl std::fmt::Debug for Tx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tx({:?}, wrote: {}, failed: {})", self.engine(), self.wrote, self.failed)
    }
}
