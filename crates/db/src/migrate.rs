//! Brings the schema up to date from the numbered files of `schema/`.

mod adopt;

use crate::db::Engine;
use crate::dialect::schema_text;
use crate::{Db, Error, Result, Tx, params};
use adopt::adopt;

/// A schema file.
struct File {
    number: i64,
    name: &'static str,
    text: &'static str,
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
static FILES: [File; 5] = files! {
    1 "0001_people_and_work",
    2 "0002_builds_and_tags",
    3 "0003_files_and_buildroots",
    4 "0004_first_rows",
    5 "0005_toji",
};

/// An arbitrary number that all programs of the project agree on.
const ADVISORY_LOCK: i64 = 0x746f_6a69;

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

/// Runs the files that the database has not seen.
pub(crate) async fn run(db: &Db) -> Result<()> {
    let mut tx = db.begin_write().await?;
    if db.engine() == Engine::Postgres {
        tx.execute("SELECT pg_advisory_xact_lock($1)", params![ADVISORY_LOCK]).await?;
    }
    let done = applied(&mut tx).await?;
    if let Some(newer) = done.iter().find(|n| FILES.iter().all(|f| f.number != **n)) {
        return Err(Error::Schema(format!(
            "the database has migration {newer}, newer than this program"
        )));
    }
    let mut changed = false;
    for file in FILES.iter().filter(|f| !done.contains(&f.number)) {
        tx.batch(schema_text(db.engine(), file.text))
            .await
            .map_err(|e| Error::Schema(format!("{}: {e}", file.name)))?;
        let sql = "INSERT INTO toji_migration (number, name) VALUES ($1, $2)";
        tx.execute(sql, params![file.number, file.name]).await?;
        changed = true;
    }
    tx.commit().await?;
    if changed {
        db.inner.plans.clear();
    }
    Ok(())
}

/// Numbers of the files run before.
async fn applied(tx: &mut Tx) -> Result<Vec<i64>> {
    let table = "CREATE TABLE IF NOT EXISTS toji_migration (
    number BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    applied TIMESTAMPTZ NOT NULL DEFAULT NOW()
);";
    tx.batch(schema_text(tx.engine(), table)).await?;
    let rows = tx.query("SELECT number FROM toji_migration ORDER BY number", &[]).await?;
    let done: Vec<i64> = rows.iter().map(|r| r.get("number")).collect::<Result<_>>()?;
    if done.is_empty() { adopt(tx).await } else { Ok(done) }
}
