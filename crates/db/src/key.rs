//! Public keys that signatures are verified with.

use crate::rpm::signer::Key;
use crate::{Param, Result, Row, Tx, params};

/// A certificate as it is kept.
#[derive(Clone, Debug)]
pub struct New {
    /// The fingerprint of its own key, in lower case.
    pub fingerprint: String,
    /// The first name on it.
    pub name: String,
    /// The certificate.
    pub data: Vec<u8>,
    /// Who brings it.
    pub user_id: i64,
    /// The keys of it that may sign: fingerprint, long id, algorithm.
    pub parts: Vec<(String, String, String)>,
}

/// Adds a certificate, or puts it in the place of an older state of it; gives its number.
pub async fn put(tx: &mut Tx, new: &New) -> Result<i64> {
    let sql = "INSERT INTO toji_key (fingerprint, name, data, user_id) VALUES ($1, $2, $3, $4)
               ON CONFLICT (fingerprint) DO UPDATE
                  SET name = excluded.name, data = excluded.data, user_id = excluded.user_id,
                      added = NOW()
               RETURNING id";
    let values = params![&new.fingerprint, &new.name, new.data.clone(), new.user_id];
    let id: i64 = tx.scalar(sql, values).await?;
    tx.execute("DELETE FROM toji_key_part WHERE key = $1", params![id]).await?;
    for (fingerprint, key_id, algorithm) in &new.parts {
        let sql = "INSERT INTO toji_key_part (key, fingerprint, key_id, algorithm)
                   VALUES ($1, $2, $3, $4)";
        tx.execute(sql, params![id, fingerprint, key_id, algorithm]).await?;
    }
    Ok(id)
}

/// Forgets a certificate; tells whether there was one.
pub async fn remove(tx: &mut Tx, fingerprint: &str) -> Result<bool> {
    let sql = "DELETE FROM toji_key_part
                WHERE key IN (SELECT id FROM toji_key WHERE fingerprint = $1)";
    tx.execute(sql, params![fingerprint]).await?;
    let sql = "DELETE FROM toji_key WHERE fingerprint = $1";
    Ok(tx.execute(sql, params![fingerprint]).await? > 0)
}

/// Certificates, all or those with a key that is named so (eight or sixteen digits of its id, or its fingerprint): `id`,
/// `fingerprint`, `name`, `added`, `added_by`, `data`.
pub async fn find(tx: &mut Tx, key: Option<&Key>) -> Result<Vec<Row>> {
    let (mut short, mut id, mut print) = (None, None, None);
    match key {
        None => {}
        Some(Key::Label(_)) => return Ok(Vec::new()),
        Some(Key::Short(text)) => short = Some(text.clone()),
        Some(Key::Id(text)) => id = Some(text.clone()),
        Some(Key::Fingerprint(text)) => print = Some(text.clone()),
    }
    let sql = "SELECT k.id AS id, k.fingerprint AS fingerprint, k.name AS name, k.added AS added,
                      users.name AS added_by, k.data AS data
                 FROM toji_key k JOIN users ON users.id = k.user_id
                WHERE k.id IN (SELECT p.key FROM toji_key_part p
                                WHERE ($1::text IS NULL OR substr(p.key_id, 9) = $1::text)
                                  AND ($2::text IS NULL OR p.key_id = $2::text)
                                  AND ($3::text IS NULL OR p.fingerprint = $3::text))
                   OR k.fingerprint = $3::text
                ORDER BY k.fingerprint";
    tx.query(sql, params![short, id, print]).await
}

/// The keys of certificates that may sign: `key` (the certificate's number), `fingerprint`, `key_id`, `algorithm`.
pub async fn parts(tx: &mut Tx, keys: &[i64]) -> Result<Vec<Row>> {
    let sql = "SELECT key, fingerprint, key_id, algorithm FROM toji_key_part
                WHERE key = ANY($1) ORDER BY key, fingerprint";
    tx.query(sql, params![keys]).await
}

/// The certificates that have keys with these long ids or fingerprints: `fingerprint`, `name`, `data`.
pub async fn named(tx: &mut Tx, ids: &[String], prints: &[String]) -> Result<Vec<Row>> {
    let sql = "SELECT fingerprint, name, data FROM toji_key
                WHERE id IN (SELECT key FROM toji_key_part WHERE key_id = ANY($1) OR fingerprint = ANY($2))
                ORDER BY fingerprint";
    tx.query(sql, &[Param::Texts(ids.to_vec()), Param::Texts(prints.to_vec())]).await
}
