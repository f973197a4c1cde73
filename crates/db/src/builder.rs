//! Builders: tokens with which they enrol, credentials with which they log in.

use crate::{Result, Row, Time, Tx, params};

/// What a builder that enrols with a token gets.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// The name that it must have; any if absent.
    pub name: Option<String>,
    /// Arches, separated by spaces.
    pub arches: String,
    /// Names of channels, separated by spaces.
    pub channels: String,
    /// Load that it takes.
    pub capacity: f64,
}

/// Keeps the digest of a new token with what it is good for; gives its number.
pub async fn add_token(
    tx: &mut Tx,
    hash: &str,
    by: i64,
    expires: Time,
    offer: &Offer,
) -> Result<i64> {
    let sql =
        "INSERT INTO toji_builder_token (hash, created_by, expires, name, arches, channels, capacity)
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id";
    let (name, arches) = (offer.name.clone(), offer.arches.as_str());
    tx.scalar(
        sql,
        params![hash, by, expires, name, arches, offer.channels.as_str(), offer.capacity],
    )
    .await
}

/// Uses up a token that is still good: its number, what it is good for and who made it.
pub async fn use_token(tx: &mut Tx, hash: &str) -> Result<Option<(i64, Offer, i64)>> {
    let sql = "UPDATE toji_builder_token SET used = NOW()
                WHERE hash = $1 AND used IS NULL AND expires > NOW()
               RETURNING id, name, arches, channels, capacity, created_by";
    let row = tx.query_opt(sql, params![hash]).await?;
    row.map(|row| {
        let offer = Offer {
            name: row.get("name")?,
            arches: row.get("arches")?,
            channels: row.get("channels")?,
            capacity: row.get("capacity")?,
        };
        Ok((row.get("id")?, offer, row.get("created_by")?))
    })
    .transpose()
}

/// Notes which host a token made.
pub async fn set_token_host(tx: &mut Tx, id: i64, host_id: i64) -> Result<()> {
    let sql = "UPDATE toji_builder_token SET host_id = $2 WHERE id = $1";
    tx.execute(sql, params![id, host_id]).await.map(drop)
}

/// All tokens, without their digests, the newest first.
pub async fn tokens(tx: &mut Tx) -> Result<Vec<Row>> {
    let sql = "SELECT t.id AS id, t.name AS name, t.arches AS arches, t.channels AS channels,
                      t.capacity AS capacity, date_part('epoch', t.created) AS create_ts,
                      date_part('epoch', t.expires) AS expire_ts, date_part('epoch', t.used) AS used_ts,
                      t.host_id AS host_id, u.name AS created_by
                 FROM toji_builder_token t JOIN users u ON u.id = t.created_by
                ORDER BY t.id DESC LIMIT 1000";
    tx.query(sql, params![]).await
}

/// Takes back a token that nobody has used; tells whether there was one.
pub async fn drop_token(tx: &mut Tx, id: i64) -> Result<bool> {
    let sql = "DELETE FROM toji_builder_token WHERE id = $1 AND used IS NULL";
    Ok(tx.execute(sql, params![id]).await? > 0)
}

/// Keeps the digest of a new credential of a user.
pub async fn add_credential(tx: &mut Tx, user_id: i64, hash: &str, expires: Time) -> Result<()> {
    let sql = "INSERT INTO toji_builder_credential (user_id, hash, expires) VALUES ($1, $2, $3)";
    tx.execute(sql, params![user_id, hash, expires]).await.map(drop)
}

/// The number of a user's credential that is still good.
pub async fn credential(tx: &mut Tx, user_id: i64, hash: &str) -> Result<Option<i64>> {
    let sql = "SELECT id FROM toji_builder_credential
                WHERE user_id = $1 AND hash = $2 AND expires > NOW()";
    let row = tx.query_opt(sql, params![user_id, hash]).await?;
    row.map(|row| row.get("id")).transpose()
}

/// Has a user's credentials older than this one end by `latest`.
pub async fn end_older(tx: &mut Tx, user_id: i64, id: i64, latest: Time) -> Result<()> {
    let sql = "UPDATE toji_builder_credential SET expires = $3
                WHERE user_id = $1 AND id < $2 AND expires > $3";
    tx.execute(sql, params![user_id, id, latest]).await.map(drop)
}

/// Forgets the credentials of a user.
pub async fn drop_credentials(tx: &mut Tx, user_id: i64) -> Result<()> {
    let sql = "DELETE FROM toji_builder_credential WHERE user_id = $1";
    tx.execute(sql, params![user_id]).await.map(drop)
}

/// Forgets everybody's credentials that have ended.
pub async fn drop_ended(tx: &mut Tx) -> Result<()> {
    let sql = "DELETE FROM toji_builder_credential WHERE expires <= NOW()";
    tx.execute(sql, params![]).await.map(drop)
}

/// The unfinished tasks of a host, in one of these states.
pub async fn tasks_of(tx: &mut Tx, host_id: i64, states: &[i64]) -> Result<Vec<i64>> {
    let sql = "SELECT id FROM task WHERE host_id = $1 AND state = ANY($2) ORDER BY id";
    let rows = tx.query(sql, params![host_id, states.to_vec()]).await?;
    rows.iter().map(|row| row.get("id")).collect()
}

/// Says that a host takes no tasks now.
pub async fn set_not_ready(tx: &mut Tx, host_id: i64) -> Result<()> {
    let sql = "UPDATE host SET ready = FALSE, task_load = 0.0 WHERE id = $1";
    tx.execute(sql, params![host_id]).await.map(drop)
}

/// A key that all hubs of this database share; `make` gives one if there is none yet.
pub async fn secret(tx: &mut Tx, name: &str, make: impl FnOnce() -> String) -> Result<String> {
    let find = "SELECT value FROM toji_secret WHERE name = $1";
    if let Some(row) = tx.query_opt(find, params![name]).await? {
        return row.get("value");
    }
    let add = "INSERT INTO toji_secret (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
    tx.execute(add, params![name, make()]).await?;
    tx.scalar(find, params![name]).await
}
