//! Loading recorded data: whole tables as CSV into a fresh database.
//!
//! The form is that of PostgreSQL's `COPY … CSV HEADER NULL '\N'`: texts of values as the server writes
//! them, times with an offset, `t` and `f`.

use crate::db::Engine;
use crate::{Db, Error, Result, Tx, migrate, sql};

/// One table's content.
pub struct Table {
    /// Name.
    pub name: String,
    /// CSV with a header of column names.
    pub csv: Vec<u8>,
}

/// Replaces the content of all of Koji's tables, in one transaction; gives the number of rows.
///
/// `sequences` holds the last id given for each `TABLE_id_seq`.
pub async fn tables(db: &Db, mut tables: Vec<Table>, sequences: &[(String, i64)]) -> Result<u64> {
    let order = migrate::table_names();
    if let Some(unknown) = tables.iter().find(|t| !order.contains(&t.name.as_str())) {
        return Err(Error::Schema(format!("no table {}", unknown.name)));
    }
    // Referred-to tables come first, as in the schema.
    tables.sort_by_key(|t| order.iter().position(|name| *name == t.name));
    let mut tx = db.begin_write().await?;
    if db.engine() == Engine::Sqlite {
        tx.batch("PRAGMA defer_foreign_keys = ON".into()).await?;
    }
    // A table that is not among them has no rows; Toji's own stay.
    for table in order.iter().rev().filter(|name| !name.starts_with("toji_")) {
        tx.batch(format!("DELETE FROM {table}")).await?;
    }
    let mut rows = 0;
    for table in tables {
        let header = table.csv.split(|b| *b == b'\n').next().unwrap_or_default();
        let columns = String::from_utf8_lossy(header).trim().to_owned();
        if !columns.bytes().all(|b| b.is_ascii_alphanumeric() || b"_, ".contains(&b)) {
            return Err(Error::Schema(format!("{}: unusable column names", table.name)));
        }
        rows += tx.copy_csv(&table.name, &columns, table.csv).await?;
        if db.engine() == Engine::Postgres && columns.split(',').any(|c| c == "id") {
            // SQLite does this by itself.
            let name = order.iter().find(|name| **name == table.name).copied().unwrap_or_default();
            let sql = sql![
                "SELECT setval('",
                name,
                "_id_seq', GREATEST(max(id), 1)) AS last FROM ",
                name
            ];
            tx.execute(sql, &[]).await?;
        }
    }
    for (name, last) in sequences {
        set_sequence(&mut tx, name, *last).await?;
    }
    tx.batch("ANALYZE".into()).await?;
    tx.commit().await?;
    Ok(rows)
}

async fn set_sequence(tx: &mut Tx, name: &str, last: i64) -> Result<()> {
    if tx.engine() == Engine::Postgres {
        let sql = "SELECT setval($1::text::regclass, $2::bigint)";
        return tx.execute(sql, &[name.into(), last.into()]).await.map(drop);
    }
    let table = name.strip_suffix("_id_seq").unwrap_or(name);
    let sql = "UPDATE sqlite_sequence SET seq = $2 WHERE name = $1";
    if tx.execute(sql, &[table.into(), last.into()]).await? == 0 {
        let sql = "INSERT INTO sqlite_sequence (name, seq) VALUES ($1, $2)";
        tx.execute(sql, &[table.into(), last.into()]).await?;
    }
    Ok(())
}

/// The records of a CSV text, header included; an unquoted `\N` is nothing.
pub(crate) fn records(csv: &[u8]) -> Records<'_> {
    Records { rest: csv }
}

/// See [`records`].
pub(crate) struct Records<'a> {
    rest: &'a [u8],
}

impl Iterator for Records<'_> {
    type Item = Result<Vec<Option<String>>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let mut record = Vec::new();
        loop {
            match self.field() {
                Ok(field) => record.push(field),
                Err(error) => return Some(Err(error)),
            }
            let end = self.rest.split_first();
            self.rest = end.map_or(&[], |(_, rest)| rest);
            if end.is_none_or(|(b, _)| *b == b'\n') {
                return Some(Ok(record));
            }
        }
    }
}

impl Records<'_> {
    /// One field; what follows begins with a comma or the end of the line.
    fn field(&mut self) -> Result<Option<String>> {
        let Some(quoted) = self.rest.strip_prefix(b"\"") else {
            let len = self.rest.iter().position(|b| b",\n".contains(b)).unwrap_or(self.rest.len());
            let (field, rest) = self.rest.split_at(len);
            self.rest = rest;
            return if field == b"\\N" { Ok(None) } else { text(field.to_vec()).map(Some) };
        };
        self.rest = quoted;
        let mut out = Vec::new();
        loop {
            let len = self.rest.iter().position(|b| *b == b'"');
            let len = len.ok_or_else(|| Error::Type("CSV: a quote is not closed".into()))?;
            out.extend_from_slice(&self.rest[..len]);
            self.rest = &self.rest[len + 1..];
            match self.rest.strip_prefix(b"\"") {
                Some(rest) => self.rest = rest,
                None => return text(out).map(Some),
            }
            out.push(b'"');
        }
    }
}

fn text(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|e| Error::Type(format!("CSV: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_records() {
        let got: Vec<_> =
            records(b"a,b\n1,\\N\n\"x \"\"y\"\",\nz\",\"\\N\"\n,\n").map(|r| r.unwrap()).collect();
        let some = |s: &str| Some(s.to_owned());
        let want = [
            vec![some("a"), some("b")],
            vec![some("1"), None],
            vec![some("x \"y\",\nz"), some("\\N")],
            vec![some(""), some("")],
        ];
        assert_eq!(got, want);
        assert!(records(b"\"a").next().unwrap().is_err());
    }
}
