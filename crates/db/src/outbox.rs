//! What is to be told to others, written with the transaction that it tells of.
//!
//! Entries wait in the [`Tx`] and are numbered when it commits, so that their order is the order of
//! the commits and the numbers have no gaps.

use toji_value::Value;

use crate::{Engine, Param, Result, Time, Tx, params};

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

/// The numbers of the oldest entry that is kept and of the newest one; without any, the oldest is the next that will come.
pub async fn bounds(tx: &mut Tx) -> Result<(i64, i64)> {
    let sql = "SELECT last, (SELECT min(seq) FROM toji_outbox) AS oldest
                 FROM toji_sequence WHERE name = 'outbox'";
    let row = tx.query_one(sql, &[]).await?;
    let last: i64 = row.get("last")?;
    Ok((row.get::<Option<i64>>("oldest")?.unwrap_or(last + 1), last))
}

/// The last of the `limit` oldest entries that was written before a moment; nothing if there is none.
pub async fn last_before(tx: &mut Tx, before: Time, limit: i64) -> Result<Option<i64>> {
    let sql = "SELECT max(seq) AS seq FROM
                 (SELECT seq, created FROM toji_outbox ORDER BY seq LIMIT $2) oldest
                WHERE created < $1";
    tx.query_one(sql, params![before, limit]).await?.get("seq")
}

/// Removes entries up to number `seq`; gives how many.
pub async fn trim(tx: &mut Tx, seq: i64) -> Result<u64> {
    tx.execute("DELETE FROM toji_outbox WHERE seq <= $1", params![seq]).await
}

/// How far the slowest named reader has come; those that have not moved since a moment do not count.
pub async fn slowest_reader(tx: &mut Tx, since: Time) -> Result<Option<i64>> {
    let sql = "SELECT min(seq) AS seq FROM toji_outbox_reader WHERE updated >= $1";
    tx.query_one(sql, params![since]).await?.get("seq")
}

/// How far a named reader is behind.
#[derive(Clone, Debug, PartialEq)]
pub struct Lag {
    /// Its name.
    pub name: String,
    /// Entries that it has not taken.
    pub entries: i64,
    /// When the oldest of them was written, in seconds since 1970.
    pub since: Option<f64>,
}

/// How far each named reader is behind, by name.
pub async fn lags(tx: &mut Tx) -> Result<Vec<Lag>> {
    let sql =
        "SELECT r.name AS name, s.last - r.seq AS entries, date_part('epoch', o.created) AS since
                 FROM toji_outbox_reader r
                 JOIN toji_sequence s ON s.name = 'outbox'
                 LEFT JOIN toji_outbox o ON o.seq = r.seq + 1
                ORDER BY r.name";
    let rows = tx.query(sql, &[]).await?;
    rows.iter()
        .map(|row| {
            let (name, entries) = (row.get("name")?, row.get("entries")?);
            Ok(Lag { name, entries, since: row.get("since")? })
        })
        .collect()
}

/// How far a named reader has come, held against others until the end of the transaction (PostgreSQL; an embedded
/// database has one hub). Nothing if another has it.
pub async fn hold_reader(tx: &mut Tx, name: &str) -> Result<Option<i64>> {
    let sql = match tx.engine() {
        Engine::Postgres => {
            "SELECT seq FROM toji_outbox_reader WHERE name = $1 FOR UPDATE SKIP LOCKED"
        }
        Engine::Sqlite => "SELECT seq FROM toji_outbox_reader WHERE name = $1",
    };
    tx.scalar_opt(sql, params![name]).await
}

/// Makes a named reader that begins with what comes next; false if there is one of this name.
pub async fn add_reader(tx: &mut Tx, name: &str) -> Result<bool> {
    let sql = "INSERT INTO toji_outbox_reader (name, seq)
               SELECT $1, last FROM toji_sequence WHERE name = 'outbox' ON CONFLICT DO NOTHING";
    Ok(tx.execute(sql, params![name]).await? > 0)
}

/// Notes that a named reader has come to number `seq`; it never goes back.
pub async fn advance_reader(tx: &mut Tx, name: &str, seq: i64) -> Result<()> {
    let sql =
        "UPDATE toji_outbox_reader SET seq = $2, updated = NOW() WHERE name = $1 AND seq <= $2";
    tx.execute(sql, params![name, seq]).await.map(drop)
}
