//! Checks of a database that was taken over: nothing lost, nothing changed, numbers in order.

use std::collections::HashMap;

use super::{catalog, recorded_all};
use crate::{Result, Sql, Tx, sql};

/// Rows of tables up to this size are counted; of larger ones the server's estimate is told.
const COUNTED: i64 = 5_000_000;

/// Tables with their numbers of rows, `~N` where it is an estimate.
pub(super) async fn counts(tx: &mut Tx) -> Result<Vec<(String, String)>> {
    let sql = "SELECT relname::text AS name, reltuples::bigint AS rows FROM pg_class
                WHERE relnamespace = current_schema()::text::regnamespace AND relkind = 'r'
                  AND relname NOT LIKE 'toji@_%' ESCAPE '@' ORDER BY relname";
    let mut out = Vec::new();
    let mut parts = Vec::new();
    for row in tx.query(sql, &[]).await? {
        let (name, rows): (String, i64) = (row.get("name")?, row.get("rows")?);
        if rows > COUNTED {
            out.push((name, format!("~{rows}")));
        } else {
            let table = quoted(&name);
            parts.push(sql!["SELECT ", literal(&name), " AS name, count(*) AS rows FROM ", table]);
        }
    }
    for row in tx.query(Sql::join(parts, " UNION ALL "), &[]).await? {
        out.push((row.get("name")?, row.get::<i64>("rows")?.to_string()));
    }
    Ok(out)
}

/// A name from the catalog as a statement has it.
fn quoted(name: &str) -> Sql {
    Sql::unchecked(format!("\"{}\"", name.replace('"', "\"\"")))
}

/// A name from the catalog as a text.
fn literal(name: &str) -> Sql {
    Sql::unchecked(format!("'{}'", name.replace('\'', "''")))
}

/// What was there before the take-over and is not there now, or not as it was.
pub(super) async fn lost(tx: &mut Tx) -> Result<Vec<String>> {
    let now: HashMap<String, String> =
        catalog::read(tx).await?.into_iter().map(|o| (o.key(), o.text)).collect();
    let before = recorded_all(tx, "before").await?;
    let faults = before.into_iter().filter_map(|(key, text)| match now.get(&key) {
        None => Some(format!("the {key} is gone")),
        Some(have) if *have != text => Some(format!("the {key} is {have}, it was {text}")),
        Some(_) => None,
    });
    Ok(faults.collect())
}

/// What the checks found, in words: one line for each kind of check, and one for each fault.
pub(super) async fn all(tx: &mut Tx) -> Result<Vec<String>> {
    let mut out = lost(tx).await?;
    let objects = recorded_all(tx, "before").await?.len();
    out.push(format!(
        "of {objects} tables, columns, constraints and indexes {} changed",
        out.len()
    ));
    out.extend(rows(tx).await?);
    out.extend(sequences(tx).await?);
    out.extend(seeds(tx).await?);
    Ok(out)
}

/// Compares numbers of rows; a hub at work adds some, only sessions and refusals are ever deleted.
async fn rows(tx: &mut Tx) -> Result<Vec<String>> {
    let now: HashMap<String, String> = counts(tx).await?.into_iter().collect();
    let before = recorded_all(tx, "count").await?;
    let mut out = Vec::new();
    for (table, had) in &before {
        let exact = |text: &str| text.parse::<i64>().ok();
        let have = now.get(table).and_then(|n| exact(n));
        if let (Some(had), Some(have)) = (exact(had), have)
            && have < had
        {
            out.push(format!(
                "{table} has {have} rows, it had {had}: another hub may have deleted them"
            ));
        }
    }
    let total: i64 =
        before.iter().filter_map(|(_, n)| n.trim_start_matches('~').parse::<i64>().ok()).sum();
    out.push(format!(
        "rows of {} tables ({total} in all) compared, {} have fewer",
        before.len(),
        out.len()
    ));
    Ok(out)
}

/// Numbers are given by sequences: each must be ahead of its table.
async fn sequences(tx: &mut Tx) -> Result<Vec<String>> {
    let sql = "SELECT t.relname::text AS name, a.attname::text AS part, s.relname::text AS sequence
                 FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
                 JOIN pg_class t ON t.oid = d.refobjid
                 JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
                WHERE d.deptype = 'a' AND t.relnamespace = current_schema()::text::regnamespace
                ORDER BY t.relname";
    let mut parts = Vec::new();
    for row in tx.query(sql, &[]).await? {
        let get = |column| row.get::<String>(column);
        let (table, part, sequence) = (get("name")?, get("part")?, get("sequence")?);
        parts.push(sql![
            "SELECT ",
            literal(&sequence),
            " AS name, (SELECT COALESCE(max(",
            quoted(&part),
            "), 0) FROM ",
            quoted(&table),
            ")::bigint AS used, last_value FROM ",
            quoted(&sequence)
        ]);
    }
    let number = parts.len();
    let parts = Sql::join(parts, " UNION ALL ");
    let sql = sql!["SELECT name, used, last_value FROM (", parts, ") seen WHERE used > last_value"];
    let mut out = Vec::new();
    for row in tx.query(sql, &[]).await? {
        let (name, used, last): (String, i64, i64) =
            (row.get("name")?, row.get("used")?, row.get("last_value")?);
        out.push(format!("the sequence {name} is at {last}, but {used} is in use"));
    }
    out.push(format!("{number} sequences checked, {} behind their tables", out.len()));
    Ok(out)
}

/// Rows without which no hub works.
async fn seeds(tx: &mut Tx) -> Result<Vec<String>> {
    let sql = "SELECT (SELECT count(*) FROM locks WHERE name IN ('scheduler', 'repo-queue', 'protonmsg-plugin'))
                    + (SELECT count(*) FROM volume WHERE id = 0)
                    + (SELECT count(*) FROM external_repo WHERE id = 0) AS found";
    let found: i64 = tx.scalar(sql, &[]).await?;
    Ok(vec![format!(
        "{found} of 5 rows found that every hub needs (locks, volume 0, external repository 0)"
    )])
}
