//! How the database would run a statement, and where it would read a whole table.

use std::collections::HashMap;

#[cfg(debug_assertions)]
use crate::Db;
use crate::db::Engine;
use crate::{Param, Result, Sql, Tx, sql};

#[cfg(debug_assertions)]
impl Db {
    /// All statements that were run through this handle, with the values of their first run.
    pub fn statements(&self) -> Vec<(Sql, Vec<Param>)> {
        let samples = self.inner.plans.samples().into_iter();
        samples.map(|(text, params)| (Sql::unchecked(text), params)).collect()
    }
}

/// The plan of a statement, as the engine words it.
///
/// PostgreSQL is kept from what it does with small tables, reading them as a whole for a hash: what then still
/// reads a whole table has no index.
pub async fn plan(tx: &mut Tx, sql: impl Into<Sql>, values: &[Param]) -> Result<Vec<String>> {
    let sql = sql.into();
    if tx.engine() == Engine::Sqlite {
        let rows = tx.query(sql!["EXPLAIN QUERY PLAN ", sql], values).await?;
        return rows.iter().map(|row| row.get("detail")).collect();
    }
    let settings = "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off;
                    SET LOCAL enable_mergejoin = off";
    tx.batch(settings.to_owned()).await?;
    let rows = tx.query(sql!["EXPLAIN ", sql], values).await?;
    rows.iter().map(|row| row.get_at(0)).collect()
}

/// The tables among `large` that a plan reads as a whole.
///
/// Going through a whole index counts too, but for indexes of a table's few rows of interest, and for statements with a limit that need no sorting: they stop in time.
pub fn whole_reads(engine: Engine, sql: &str, plan: &[String], large: &[&str]) -> Vec<String> {
    let limited = sql.contains("LIMIT");
    let few = crate::migrate::partial_indexes();
    let names = aliases(sql);
    let is_large = |name: &str| {
        let table = names.get(name).map_or(name, String::as_str);
        large.contains(&table)
    };
    let mut out = Vec::new();
    for (at, line) in plan.iter().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.iter().any(|word| few.contains(word)) {
            continue;
        }
        let after = |word: &str| {
            let at = words.iter().position(|w| *w == word)?;
            words.get(at + 1).copied()
        };
        let found = match engine {
            Engine::Sqlite if line.starts_with("SCAN ") => {
                let stops = limited && !plan.iter().any(|l| l.contains("TEMP B-TREE"));
                words.get(1).filter(|name| is_large(name) && !stops).is_some()
            }
            Engine::Sqlite => false,
            Engine::Postgres => {
                let table = after("on").is_some_and(is_large);
                let index = line.contains("Index Scan") || line.contains("Index Only Scan");
                let bounded = plan.get(at + 1).is_some_and(|l| l.contains("Index Cond:"));
                table && (line.contains("Seq Scan") || index && !bounded && !limited)
            }
        };
        if found {
            out.push(line.trim().to_owned());
        }
    }
    out
}

/// Tables by the names that a statement gives them.
fn aliases(sql: &str) -> HashMap<String, String> {
    let words: Vec<String> = sql
        .split(|c: char| c.is_whitespace() || "(),".contains(c))
        .filter(|w| !w.is_empty())
        .map(str::to_owned)
        .collect();
    let mut out = HashMap::new();
    for (at, word) in words.iter().enumerate() {
        if !["FROM", "JOIN"].iter().any(|w| word.eq_ignore_ascii_case(w)) {
            continue;
        }
        let Some(table) = words.get(at + 1) else { continue };
        let next = words.get(at + 2).map(String::as_str);
        let alias = if next.is_some_and(|w| w.eq_ignore_ascii_case("AS")) {
            words.get(at + 3).map(String::as_str)
        } else {
            next
        };
        if let Some(alias) = alias {
            out.insert(alias.to_owned(), table.clone());
        }
    }
    out
}
