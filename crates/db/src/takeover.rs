//! Taking over a Koji database in place, and handing it back.
//!
//! A take-over adds: tables, nullable columns, indexes, rows to lock. It changes nothing that is there. What was
//! there before, and each thing added, is written down in `toji_takeover`; handing back removes exactly that, and
//! compares the catalog with the one written down.
//!
//! Indexes are made one by one without holding up another hub on the same database, after everything else was
//! committed: an interrupted run goes on where it stopped.

mod catalog;
mod expected;
mod index;
mod plan;
mod revert;
mod verify;

use std::time::Duration;

use crate::db::Engine;
use crate::migrate::{self, FILES};
use crate::{Db, Error, Result, Tx, params};

pub use revert::revert;

/// What was written down; only a database that was taken over has it.
const RECORD: &str = "CREATE TABLE toji_takeover (
    seq SERIAL PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    detail TEXT NOT NULL
);";
/// How long a change of a table waits for a running hub before it steps back.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '10s'";
/// How often it steps back.
const ATTEMPTS: u32 = 10;

/// What a database is to this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// No tables: a new one can be made.
    Empty,
    /// A Koji database of this version (`1.33` to `1.36`, `1.36` standing for newer ones too).
    Koji(String),
    /// A Koji database of this version that was taken over; `false` while indexes are missing.
    TakenOver(String, bool),
    /// Made by this program.
    Own,
    /// Tables, but not those of a Koji database that can be taken over.
    Unfit,
}

/// What a look at a database found.
#[derive(Clone, Debug)]
pub struct Report {
    /// What the database is.
    pub state: State,
    /// What a take-over would do, each step in words.
    pub steps: Vec<String>,
    /// What an administrator should know; nothing of it prevents anything.
    pub notes: Vec<String>,
    /// Why it cannot be done.
    pub problems: Vec<String>,
}

/// Looks at a database and changes nothing.
pub async fn check(db: &Db) -> Result<Report> {
    let mut tx = db.begin();
    let report = look(&mut tx).await;
    tx.rollback().await?;
    report
}

async fn look(tx: &mut Tx) -> Result<Report> {
    let plain = |state| Report { state, steps: vec![], notes: vec![], problems: vec![] };
    match kind(tx).await? {
        Kind::Empty => Ok(plain(State::Empty)),
        Kind::Own => Ok(plain(State::Own)),
        Kind::TakenOver => {
            let version = recorded(tx, "version").await?.unwrap_or_default();
            let missing = index::missing(tx).await?;
            let mut report = plain(State::TakenOver(version, missing.is_empty()));
            report.steps = missing.iter().map(|i| format!("make the index {}", i.name)).collect();
            report.notes = verify::all(tx).await?;
            Ok(report)
        }
        Kind::Koji => {
            let plan = plan::make(tx).await?;
            let state = plan.version.clone().map_or(State::Unfit, State::Koji);
            Ok(Report { state, steps: plan.words(), notes: plan.notes, problems: plan.problems })
        }
    }
}

/// Which of the cases a database is, without a closer look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Empty,
    Koji,
    TakenOver,
    Own,
}

pub(crate) async fn kind(tx: &mut Tx) -> Result<Kind> {
    if tx.engine() == Engine::Sqlite {
        let sql = "SELECT count(*) FROM sqlite_master WHERE name = 'events'";
        let known: i64 = tx.scalar(sql, &[]).await?;
        return Ok(if known == 0 { Kind::Empty } else { Kind::Own });
    }
    let sql = "SELECT to_regclass('events') IS NOT NULL AS events,
                      to_regclass('toji_migration') IS NOT NULL AS ours,
                      to_regclass('toji_takeover') IS NOT NULL AS taken";
    let row = tx.query_one(sql, &[]).await?;
    Ok(match (row.get("events")?, row.get("ours")?, row.get("taken")?) {
        (_, _, true) => Kind::TakenOver,
        (_, true, _) => Kind::Own,
        (true, _, _) => Kind::Koji,
        (false, _, _) => Kind::Empty,
    })
}

/// Takes a Koji database over, or goes on with an interrupted run; `tell` hears of each step.
///
/// # Errors
/// `Schema` with the reasons when it cannot be done; nothing is changed then.
pub async fn run(db: &Db, tell: &(dyn Fn(&str) + Sync)) -> Result<()> {
    let mut attempt = 1;
    loop {
        match begin(db, tell).await {
            Err(Error::Busy | Error::Conflict) if attempt < ATTEMPTS => {
                tell("a table is in use for long; stepping back for a moment");
                tokio::time::sleep(Duration::from_secs(u64::from(attempt))).await;
                attempt += 1;
            }
            done => break done?,
        }
    }
    db.inner.plans.clear();
    index::make(db, tell).await?;
    let mut tx = db.begin();
    let faults = verify::lost(&mut tx).await?;
    if !faults.is_empty() {
        return Err(Error::Schema(format!("verification failed: {}", faults.join("; "))));
    }
    for note in verify::all(&mut tx).await? {
        tell(&note);
    }
    tx.rollback().await
}

/// Everything but the indexes, in one transaction.
async fn begin(db: &Db, tell: &(dyn Fn(&str) + Sync)) -> Result<()> {
    let mut tx = db.begin_write().await?;
    migrate::take_lock(&mut tx).await?;
    match kind(&mut tx).await? {
        Kind::Koji => {}
        Kind::TakenOver => return Ok(()),
        Kind::Empty | Kind::Own => return Err(Error::Schema("not a Koji database".into())),
    }
    let plan = plan::make(&mut tx).await?;
    if !plan.problems.is_empty() {
        return Err(Error::Schema(plan.problems.join("; ")));
    }
    plan.notes.iter().for_each(|note| tell(note));
    let before = catalog::read(&mut tx).await?;
    let counts = verify::counts(&mut tx).await?;
    let locks = locks(&mut tx).await?;
    tx.batch(RECORD.to_owned()).await?;
    tx.batch(LOCK_TIMEOUT.to_owned()).await?;
    note(&mut tx, "version", &plan.version.clone().unwrap_or_default(), "").await?;
    let lines: Vec<(String, String)> = before.iter().map(|o| (o.key(), o.text.clone())).collect();
    note_all(&mut tx, "before", &lines).await?;
    note_all(&mut tx, "count", &counts).await?;
    for step in plan.steps.iter().filter(|step| !step.is_index()) {
        tell(&step.words);
        tx.batch(step.sql.clone()).await.map_err(|e| step.failed(e))?;
    }
    let indexes: Vec<(String, String)> = plan
        .steps
        .iter()
        .filter_map(|s| s.index.clone().map(|name| (name, s.sql.clone())))
        .collect();
    note_all(&mut tx, "index", &indexes).await?;
    record_additions(&mut tx, &before).await?;
    let new = self::locks(&mut tx).await?.into_iter().filter(|name| !locks.contains(name));
    let new: Vec<(String, String)> = new.map(|name| (name, String::new())).collect();
    note_all(&mut tx, "lock", &new).await?;
    migrate::create_record(&mut tx).await?;
    for file in &FILES {
        migrate::record(&mut tx, file).await?;
    }
    tx.commit().await
}

/// The names of the rows to lock.
async fn locks(tx: &mut Tx) -> Result<Vec<String>> {
    let rows = tx.query("SELECT name FROM locks ORDER BY name", &[]).await?;
    rows.iter().map(|row| row.get("name")).collect()
}

/// Writes down what the catalog has beyond `before`, so that it can be taken away again.
pub(crate) async fn record_additions(tx: &mut Tx, before: &[catalog::Object]) -> Result<()> {
    let after = catalog::read(tx).await?;
    let new: Vec<(String, String)> = catalog::added(before, &after)
        .into_iter()
        .map(|object| (object.key(), object.text.clone()))
        .collect();
    note_all(tx, "added", &new).await
}

pub(crate) use catalog::read as read_catalog;

async fn note(tx: &mut Tx, kind: &str, name: &str, detail: &str) -> Result<()> {
    note_all(tx, kind, &[(name.to_owned(), detail.to_owned())]).await
}

async fn note_all(tx: &mut Tx, kind: &str, lines: &[(String, String)]) -> Result<()> {
    let (names, details): (Vec<String>, Vec<String>) = lines.iter().cloned().unzip();
    let sql = "INSERT INTO toji_takeover (kind, name, detail)
               SELECT $1::text, n, d FROM unnest($2::text[], $3::text[]) AS line(n, d)";
    tx.execute(sql, params![kind, names, details]).await.map(drop)
}

/// The name that was written down under a kind of which there is one.
async fn recorded(tx: &mut Tx, kind: &str) -> Result<Option<String>> {
    tx.scalar_opt("SELECT name FROM toji_takeover WHERE kind = $1", params![kind]).await
}

/// All that was written down under a kind: name and detail.
async fn recorded_all(tx: &mut Tx, kind: &str) -> Result<Vec<(String, String)>> {
    let sql = "SELECT name, detail FROM toji_takeover WHERE kind = $1 ORDER BY seq";
    let rows = tx.query(sql, params![kind]).await?;
    rows.iter().map(|row| Ok((row.get("name")?, row.get("detail")?))).collect()
}
