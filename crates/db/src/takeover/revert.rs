//! Handing a database back: what was added goes, and the catalog is compared with the one written down.

use std::collections::BTreeSet;

use super::{Kind, LOCK_TIMEOUT, catalog, kind, recorded_all};
use crate::migrate;
use crate::{Db, Error, Result, Tx};

/// Takes back everything that the take-over added, in one transaction; `tell` hears of each step.
///
/// # Errors
/// `Schema` with the reason when it cannot be done; nothing is changed then.
pub async fn revert(db: &Db, tell: &(dyn Fn(&str) + Sync)) -> Result<()> {
    let mut tx = db.begin_write().await?;
    migrate::take_lock(&mut tx).await?;
    if kind(&mut tx).await? != Kind::TakenOver {
        return Err(Error::Schema("not a Koji database that was taken over".into()));
    }
    let refusals = refusals(&mut tx).await?;
    if !refusals.is_empty() {
        return Err(Error::Schema(refusals.join("; ")));
    }
    let before = recorded_all(&mut tx, "before").await?;
    tx.batch(LOCK_TIMEOUT.to_owned()).await?;
    for (words, sql) in removals(&mut tx).await? {
        tell(&words);
        tx.batch(sql).await?;
    }
    let after: Vec<(String, String)> =
        catalog::read(&mut tx).await?.into_iter().map(|o| (o.key(), o.text)).collect();
    let changed: Vec<&str> =
        before.iter().filter(|o| !after.contains(o)).map(|(key, _)| key.as_str()).collect();
    if !changed.is_empty() {
        return Err(Error::Schema(format!(
            "the database would not be what it was: {} changed since the take-over",
            changed.join(", ")
        )));
    }
    let others: Vec<&str> =
        after.iter().filter(|o| !before.contains(o)).map(|(key, _)| key.as_str()).collect();
    if others.is_empty() {
        tell("every table, column, constraint, index and function is what it was");
    } else {
        tell(&format!("left alone, added by others since: {}", others.join(", ")));
    }
    tx.commit().await?;
    db.inner.plans.clear();
    Ok(())
}

/// Why the database cannot be handed back now.
async fn refusals(tx: &mut Tx) -> Result<Vec<String>> {
    let mut out = Vec::new();
    let hubs = connections(tx).await?;
    if hubs > 0 {
        out.push(format!("{hubs} connections of Toji hubs are open: stop them first"));
    }
    let imports: i64 = tx.scalar("SELECT count(*) FROM toji_import", &[]).await?;
    if imports > 0 {
        out.push(format!(
            "{imports} imports are unfinished: start a Toji hub once, it finishes them"
        ));
    }
    let added = recorded_all(tx, "added").await?;
    if added.iter().any(|(key, _)| key == "column build.draft") {
        let drafts: i64 = tx.scalar("SELECT count(*) FROM build WHERE draft", &[]).await?;
        if drafts > 0 {
            out.push(format!("{drafts} draft builds exist, which the older Koji does not know: promote or delete them first"));
        }
    }
    Ok(out)
}

/// What is removed, in words and as statements.
async fn removals(tx: &mut Tx) -> Result<Vec<(String, String)>> {
    let known = recorded_all(tx, "before").await?;
    let planned = recorded_all(tx, "index").await?;
    let mut indexes: BTreeSet<String> = planned.into_iter().map(|(name, _)| name).collect();
    let (mut tables, mut functions, mut columns) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut sort = |kind: &str, name: &str| {
        let (table, part) = name.split_once('.').unwrap_or((name, ""));
        match kind {
            "table" => tables.insert(name.to_owned()),
            "index" => indexes.insert(part.to_owned()),
            "function" => functions.insert(name.to_owned()),
            "column" => columns.insert((table.to_owned(), part.to_owned())),
            _ => false,
        };
    };
    for (key, _) in recorded_all(tx, "added").await? {
        if let Some((kind, name)) = key.split_once(' ') {
            sort(kind, name);
        }
    }
    // What later versions of this program added has its name; what they added to Koji's tables was written down.
    for object in catalog::read(tx).await? {
        let key = object.key();
        let own = object.table.starts_with("toji_") && object.part.is_empty()
            || object.kind == "index" && object.part.starts_with("toji_");
        if let Some((kind, name)) = key.split_once(' ')
            && own
            && !known.iter().any(|(before, _)| *before == key)
        {
            sort(kind, name);
        }
    }
    let mut out: Vec<(String, String)> = Vec::new();
    for name in indexes {
        out.push((format!("drop the index {name}"), format!("DROP INDEX IF EXISTS {name}")));
    }
    for (name, _) in recorded_all(tx, "lock").await? {
        let sql = format!("DELETE FROM locks WHERE name = '{name}'");
        out.push((format!("remove the row '{name}' from locks"), sql));
    }
    for name in functions {
        out.push((format!("drop the function {name}"), format!("DROP FUNCTION {name}")));
    }
    out.extend(columns.iter().map(|(table, column)| {
        let sql = format!("ALTER TABLE {table} DROP COLUMN {column}");
        (format!("drop the column {table}.{column}"), sql)
    }));
    // All at once: they refer to each other.
    let tables: Vec<String> = tables.into_iter().collect();
    let tables = tables.join(", ");
    out.push((format!("drop the tables {tables}"), format!("DROP TABLE {tables}")));
    Ok(out)
}

/// How many connections of Toji hubs are open.
///
/// A hub that has ended has closed its connections, but the server needs a moment to forget each: up to two seconds it is asked
/// again.
async fn connections(tx: &mut Tx) -> Result<i64> {
    let sql = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'toji' AND pid <> pg_backend_pid()";
    let mut hubs: i64 = tx.scalar(sql, &[]).await?;
    for _ in 0..20 {
        if hubs == 0 {
            break;
        }
        // Within a transaction the server shows what it has shown before, unless told otherwise.
        tx.batch("SELECT pg_sleep(0.1), pg_stat_clear_snapshot()".to_owned()).await?;
        hubs = tx.scalar(sql, &[]).await?;
    }
    Ok(hubs)
}
