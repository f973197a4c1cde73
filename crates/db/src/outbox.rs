//! What is to be told to others, written with the transaction that it tells of.
//!
//! Entries wait in the [`Tx`] and are numbered when it commits, so that their order is the order of
//! the commits and the numbers have no gaps.

use toji_value::Value;

use crate::{Engine, Param, Result, Tx, params};

/// An entry that waits for the commit.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    kind: String,
    key: String,
    body: Value,
}

/// A delivered entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Number; consecutive.
    pub seq: i64,
    /// When it was written, in the text form of rows.
    pub created: String,
    /// What it tells of.
    pub kind: String,
    /// The object: entries of one key are in order.
    pub key: String,
    /// The content.
    pub body: Value,
}

/// Adds an entry to the transaction.
pub fn push(tx: &mut Tx, kind: &str, key: &str, body: &Value) {
    tx.outbox.push(Pending { kind: kind.to_owned(), key: key.to_owned(), body: body.clone() });
}

/// Writes the waiting entries; the last thing before the commit, because it orders committers.
pub(crate) async fn write(tx: &mut Tx) -> Result<()> {
    let pending = std::mem::take(&mut tx.outbox);
    if pending.is_empty() {
        return Ok(());
    }
    let count = pending.len() as i64;
    let sql = "UPDATE toji_sequence SET last = last + $1 WHERE name = 'outbox' RETURNING last";
    let last: i64 = tx.scalar(sql, params![count]).await?;
    let first = last - count + 1;
    if tx.engine() == Engine::Postgres {
        return write_at_once(tx, pending, first).await;
    }
    for (entry, seq) in pending.into_iter().zip(first..) {
        let sql = "INSERT INTO toji_outbox (seq, kind, key, body) VALUES ($1, $2, $3, $4)";
        tx.execute(sql, params![seq, entry.kind, entry.key, entry.body]).await?;
    }
    Ok(())
}

/// All entries, and the word of them, in one round trip; the notification goes out with the commit.
async fn write_at_once(tx: &mut Tx, pending: Vec<Pending>, first: i64) -> Result<()> {
    let sql = "WITH told AS (SELECT pg_notify('toji_outbox', ''))
               INSERT INTO toji_outbox (seq, kind, key, body)
               SELECT $1::bigint + entry.n - 1, entry.kind, entry.key, entry.body::jsonb
                 FROM told, unnest($2::text[], $3::text[], $4::text[])
                      WITH ORDINALITY AS entry(kind, key, body, n)";
    let bodies: Vec<String> = pending.iter().map(|p| p.body.to_json().to_string()).collect();
    let (kinds, keys): (Vec<String>, Vec<String>) =
        pending.into_iter().map(|p| (p.kind, p.key)).unzip();
    tx.execute(sql, params![first, kinds, keys, bodies]).await.map(drop)
}

/// The keys of the entries after number `seq` up to `last`, in order.
pub async fn keys(tx: &mut Tx, seq: i64, last: i64) -> Result<Vec<String>> {
    let sql = "SELECT key FROM toji_outbox WHERE seq > $1 AND seq <= $2 ORDER BY seq";
    let rows = tx.query(sql, params![seq, last]).await?;
    rows.iter().map(|row| row.get("key")).collect()
}

/// At most `limit` entries after number `seq`, in order.
pub async fn after(tx: &mut Tx, seq: i64, limit: i64) -> Result<Vec<Entry>> {
    let sql = "SELECT seq, created, kind, key, body FROM toji_outbox WHERE seq > $1 ORDER BY seq LIMIT $2";
    let rows = tx.query(sql, &[Param::Int(seq), Param::Int(limit)]).await?;
    rows.into_iter()
        .map(|row| {
            Ok(Entry {
                seq: row.get("seq")?,
                created: row.get("created")?,
                kind: row.get("kind")?,
                key: row.get("key")?,
                body: row.get("body")?,
            })
        })
        .collect()
}

/// The number of the newest entry; zero before the first.
pub async fn last(tx: &mut Tx) -> Result<i64> {
    tx.scalar("SELECT last FROM toji_sequence WHERE name = 'outbox'", &[]).await
}

/// Removes entries up to number `seq`; gives how many.
pub async fn trim(tx: &mut Tx, seq: i64) -> Result<u64> {
    tx.execute("DELETE FROM toji_outbox WHERE seq <= $1", params![seq]).await
}
