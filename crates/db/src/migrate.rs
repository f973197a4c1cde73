//! Brings the schema up to date from the numbered files of `schema/`.

use std::sync::LazyLock;

use crate::db::Engine;
use crate::dialect::schema_text;
use crate::takeover::{self, Kind};
use crate::{Db, Error, Result, Tx, params};

/// A schema file.
pub(crate) struct File {
    pub(crate) number: i64,
    name: &'static str,
    pub(crate) text: &'static str,
}

macro_rules! files {
    ($($number:literal $name:literal,)+) => {
        [$(File {
            number: $number,
            name: $name,
            text: include_str!(concat!("../../../schema/", $name, ".sql")),
        }),+]
    };
}

/// In order; a file that was released never changes.
pub(crate) static FILES: [File; 17] = files! {
    1 "0001_people_and_work",
    2 "0002_builds_and_tags",
    3 "0003_files_and_buildroots",
    4 "0004_first_rows",
    5 "0005_toji",
    6 "0006_listings",
    7 "0007_dispatch",
    8 "0008_jobs",
    9 "0009_builders",
    10 "0010_answers",
    11 "0011_lockfiles",
    12 "0012_statements",
    13 "0013_repositories",
    14 "0014_scans",
    15 "0015_sums",
    16 "0016_signatures",
    17 "0017_journal",
};

/// The file with the first rows: it and those before it are what a Koji database has.
pub(crate) const KOJI: i64 = 4;

/// An arbitrary number that all programs of the project agree on.
pub(crate) const ADVISORY_LOCK: i64 = 0x746f_6a69;

/// A digest of all schema texts, which names what a database made from them can be reused for.
pub fn schema_digest() -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    FILES.iter().for_each(|f| (f.number, f.text).hash(&mut hasher));
    hasher.finish()
}

/// All tables in the order of their making: what is referred to comes first.
pub(crate) fn table_names() -> Vec<&'static str> {
    let lines = FILES.iter().flat_map(|f| f.text.lines());
    lines.filter_map(|l| l.strip_prefix("CREATE TABLE ")?.split([' ', '(']).next()).collect()
}

/// The versioned tables with the columns that name an object in them.
pub(crate) fn versioned_tables() -> &'static [(&'static str, Vec<&'static str>)] {
    static TABLES: LazyLock<Vec<(&str, Vec<&str>)>> = LazyLock::new(|| {
        let (mut all, mut table) = (Vec::new(), "");
        for line in FILES.iter().flat_map(|f| f.text.lines()) {
            if let Some(rest) = line.strip_prefix("CREATE TABLE ") {
                table = rest.split([' ', '(']).next().unwrap_or_default();
            } else if let Some(keys) = line.strip_prefix("--:versioned ") {
                let keys = keys.trim_end_matches(',').split(',').map(str::trim);
                all.push((table, keys.collect()));
            }
        }
        all
    });
    &TABLES
}

/// Indexes that hold only some rows of their tables.
pub(crate) fn partial_indexes() -> Vec<&'static str> {
    let lines = FILES.iter().flat_map(|f| f.text.lines());
    let lines =
        lines.filter_map(|l| l.strip_prefix("CREATE INDEX ").filter(|l| l.contains(" WHERE ")));
    lines.filter_map(|l| l.split(' ').next()).collect()
}

/// The columns that name an object in a versioned table; empty for other tables.
pub(crate) fn versioned_keys(table: &str) -> &'static [&'static str] {
    let found = versioned_tables().iter().find(|(name, _)| *name == table);
    found.map_or(&[], |(_, keys)| keys.as_slice())
}

/// Runs the files that the database has not seen; takes a Koji database over first.
pub(crate) async fn run(db: &Db) -> Result<()> {
    let kind = takeover::kind(&mut db.begin()).await?;
    if kind == Kind::Koji {
        return takeover::run(db, &|words| tracing::info!("taking over a Koji database: {words}"))
            .await;
    }
    let mut tx = db.begin_write().await?;
    take_lock(&mut tx).await?;
    let done = applied(&mut tx).await?;
    if let Some(newer) = done.iter().find(|n| FILES.iter().all(|f| f.number != **n)) {
        return Err(Error::Schema(format!(
            "the database has migration {newer}, newer than this program"
        )));
    }
    let new: Vec<&File> = FILES.iter().filter(|f| !done.contains(&f.number)).collect();
    if new.is_empty() {
        return tx.commit().await;
    }
    let before = match kind {
        Kind::TakenOver => Some(takeover::read_catalog(&mut tx).await?),
        _ => None,
    };
    for file in new {
        tx.batch(schema_text(db.engine(), file.text))
            .await
            .map_err(|e| Error::Schema(format!("{}: {e}", file.name)))?;
        record(&mut tx, file).await?;
    }
    if let Some(before) = before {
        takeover::record_additions(&mut tx, &before).await?;
    }
    tx.commit().await?;
    db.inner.plans.clear();
    Ok(())
}

/// Keeps other programs from changing the schema until the end of the transaction.
pub(crate) async fn take_lock(tx: &mut Tx) -> Result<()> {
    if tx.engine() == Engine::Postgres {
        tx.execute("SELECT pg_advisory_xact_lock($1)", params![ADVISORY_LOCK]).await?;
    }
    Ok(())
}

/// Writes down that a file was run.
pub(crate) async fn record(tx: &mut Tx, file: &File) -> Result<()> {
    let sql = "INSERT INTO toji_migration (number, name) VALUES ($1, $2)";
    tx.execute(sql, params![file.number, file.name]).await.map(drop)
}

/// Makes the table of files that were run, unless it is there.
pub(crate) async fn create_record(tx: &mut Tx) -> Result<()> {
    let table = "CREATE TABLE IF NOT EXISTS toji_migration (
    number BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    applied TIMESTAMPTZ NOT NULL DEFAULT NOW()
);";
    tx.batch(schema_text(tx.engine(), table)).await
}

/// Numbers of the files run before.
async fn applied(tx: &mut Tx) -> Result<Vec<i64>> {
    create_record(tx).await?;
    let rows = tx.query("SELECT number FROM toji_migration ORDER BY number", &[]).await?;
    rows.iter().map(|r| r.get("number")).collect()
}
