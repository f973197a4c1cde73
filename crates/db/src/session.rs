//! Sessions, accounts and permissions.

use toji_types::UserType;

use crate::{Db, Result, Row, Tx, params};

/// The open session with this number, key and address, together with its user.
///
/// Beside the session's columns the row has `user_name`, `user_status` and `holder`: the user's
/// exclusive session, whoever it belongs to.
pub async fn find(tx: &mut Tx, id: i64, key: &str, address: &str) -> Result<Option<Row>> {
    tx.query_opt(
        "SELECT s.user_id AS user_id, s.expired AS expired, s.master AS master,
                s.authtype AS authtype, s.callnum AS callnum,
                s.start_time AS start_time, date_part('epoch', s.start_time) AS start_ts,
                s.update_time AS update_time, date_part('epoch', s.update_time) AS update_ts,
                s.renew_time AS renew_time, date_part('epoch', s.renew_time) AS renew_ts,
                s.exclusive AS exclusive, u.name AS user_name, u.status AS user_status,
                (SELECT e.id FROM sessions e
                  WHERE e.user_id = s.user_id AND e.exclusive = TRUE AND e.closed = FALSE) AS holder
           FROM sessions s JOIN users u ON u.id = s.user_id
          WHERE s.id = $1 AND s.key = $2 AND s.hostip = $3 AND s.closed IS FALSE",
        params![id, key, address],
    )
    .await
}

/// Sets the session's time of use, in a transaction of its own: it must survive a failing call.
pub async fn touch(db: &Db, id: i64) -> Result<()> {
    let mut tx = db.begin_write().await?;
    tx.execute("UPDATE sessions SET update_time = NOW() WHERE id = $1", params![id]).await?;
    tx.commit().await
}

/// Marks a session and its children expired.
pub async fn expire(tx: &mut Tx, id: i64) -> Result<()> {
    let sql = "UPDATE sessions SET expired = TRUE WHERE id = $1 OR master = $1";
    tx.execute(sql, params![id]).await.map(drop)
}

/// Stores the number of the last call that changed something.
pub async fn set_callnum(tx: &mut Tx, id: i64, callnum: i64) -> Result<()> {
    let sql = "UPDATE sessions SET callnum = $2, update_time = NOW() WHERE id = $1";
    tx.execute(sql, params![id, callnum]).await.map(drop)
}

/// Keeps the answer of a session's call, in the place of the one before.
pub async fn keep_answer(tx: &mut Tx, id: i64, callnum: i64, answer: &str) -> Result<()> {
    let sql = "INSERT INTO toji_answer (session_id, callnum, answer) VALUES ($1, $2, $3)
               ON CONFLICT (session_id) DO UPDATE SET callnum = excluded.callnum, answer = excluded.answer";
    tx.execute(sql, params![id, callnum, answer]).await.map(drop)
}

/// The answer of a session's call, if it was kept.
pub async fn answer(tx: &mut Tx, id: i64, callnum: i64) -> Result<Option<String>> {
    let sql = "SELECT answer FROM toji_answer WHERE session_id = $1 AND callnum = $2";
    tx.scalar_opt(sql, params![id, callnum]).await
}

/// Forgets the answers of sessions that have ended.
pub async fn drop_answers(tx: &mut Tx) -> Result<u64> {
    let sql = "DELETE FROM toji_answer WHERE session_id IN
               (SELECT a.session_id FROM toji_answer a JOIN sessions s ON s.id = a.session_id WHERE s.closed IS TRUE)";
    tx.execute(sql, params![]).await
}

/// The account of this name: `id`, `password`, `status`, `usertype`.
pub async fn account(tx: &mut Tx, name: &str) -> Result<Option<Row>> {
    let sql = "SELECT id, password, status, usertype FROM users WHERE name = $1";
    tx.query_opt(sql, params![name]).await
}

/// Makes a session and returns its number.
pub async fn insert(
    tx: &mut Tx,
    user_id: i64,
    key: &str,
    address: &str,
    authtype: i64,
    master: Option<i64>,
) -> Result<i64> {
    tx.scalar(
        "INSERT INTO sessions (user_id, key, hostip, authtype, master)
         VALUES ($1, $2, $3, $4, $5) RETURNING id",
        params![user_id, key, address, authtype, master],
    )
    .await
}

/// Gives an open session of this user a new key and a new life; the call numbers start again.
///
/// Tells whether there is such a session, with an open parent if it has one.
pub async fn renew(tx: &mut Tx, id: i64, user_id: i64, key: &str) -> Result<bool> {
    let renewed = tx
        .execute(
            "UPDATE sessions SET key = $3, expired = FALSE, callnum = NULL,
                update_time = NOW(), renew_time = NOW()
          WHERE id = $1 AND user_id = $2 AND closed IS FALSE
            AND (master IS NULL OR EXISTS (SELECT 1 FROM sessions m
                  WHERE m.id = sessions.master AND m.closed IS FALSE))",
            params![id, user_id, key],
        )
        .await?;
    tx.execute("DELETE FROM toji_answer WHERE session_id = $1", params![id]).await?;
    Ok(renewed > 0)
}

/// Ends a session and its children.
pub async fn close(tx: &mut Tx, id: i64) -> Result<()> {
    tx.execute(
        "UPDATE sessions SET expired = TRUE, exclusive = NULL, closed = TRUE
          WHERE id = $1 OR master = $1",
        params![id],
    )
    .await
    .map(drop)
}

/// Ends all sessions of a user; returns how many were open.
pub async fn close_all(tx: &mut Tx, user_id: i64) -> Result<u64> {
    tx.execute(
        "UPDATE sessions SET expired = TRUE, exclusive = NULL, closed = TRUE
          WHERE user_id = $1 AND closed IS FALSE",
        params![user_id],
    )
    .await
}

/// Ends a child of a session.
pub async fn close_child(tx: &mut Tx, id: i64, master: i64) -> Result<()> {
    tx.execute(
        "UPDATE sessions SET expired = TRUE, exclusive = NULL, closed = TRUE
          WHERE id = $1 AND master = $2",
        params![id, master],
    )
    .await
    .map(drop)
}

/// Whether the session belongs to the user.
pub async fn belongs_to(tx: &mut Tx, id: i64, user_id: i64) -> Result<bool> {
    let sql = "SELECT id FROM sessions WHERE id = $1 AND user_id = $2";
    Ok(tx.query_opt(sql, params![id, user_id]).await?.is_some())
}

/// The user's exclusive session; the user's row is locked until the end of the transaction.
pub async fn exclusive_holder(tx: &mut Tx, user_id: i64) -> Result<Option<i64>> {
    tx.query("SELECT id FROM users WHERE id = $1 FOR UPDATE", params![user_id]).await?;
    let sql = "SELECT id FROM sessions
                WHERE user_id = $1 AND closed = FALSE AND exclusive = TRUE";
    tx.query_opt(sql, params![user_id]).await?.map(|row| row.get("id")).transpose()
}

/// Makes a session exclusive, or shared again.
pub async fn set_exclusive(tx: &mut Tx, id: i64, exclusive: bool) -> Result<()> {
    let sql = "UPDATE sessions SET exclusive = $2 WHERE id = $1";
    tx.execute(sql, params![id, exclusive.then_some(true)]).await.map(drop)
}

/// The sessions of a user that have not expired, with address and number.
pub async fn of_user(tx: &mut Tx, user_id: i64) -> Result<Vec<Row>> {
    tx.query(
        "SELECT user_id, expired, master, authtype, callnum,
                start_time, date_part('epoch', start_time) AS start_ts,
                update_time, date_part('epoch', update_time) AS update_ts,
                renew_time, date_part('epoch', renew_time) AS renew_ts,
                exclusive, hostip, id
           FROM sessions WHERE user_id = $1 AND expired IS FALSE",
        params![user_id],
    )
    .await
}

/// Names of the user's permissions, those of the user's groups included.
pub async fn perms(tx: &mut Tx, user_id: i64) -> Result<Vec<String>> {
    let rows = tx
        .query(
            "SELECT p.name AS name FROM user_perms up JOIN permissions p ON p.id = up.perm_id
              WHERE up.active IS TRUE AND up.user_id = $1
              UNION
             SELECT p.name AS name FROM user_groups ug
               JOIN user_perms up ON up.user_id = ug.group_id
               JOIN permissions p ON p.id = up.perm_id
              WHERE ug.active IS TRUE AND up.active IS TRUE AND ug.user_id = $1",
            params![user_id],
        )
        .await?;
    rows.iter().map(|row| row.get("name")).collect()
}

/// The groups of a user: id and name.
pub async fn groups(tx: &mut Tx, user_id: i64) -> Result<Vec<(i64, String)>> {
    let rows = tx
        .query(
            "SELECT g.group_id AS id, u.name AS name
               FROM user_groups g JOIN users u ON u.id = g.group_id
              WHERE g.active IS TRUE AND u.usertype = $2 AND g.user_id = $1",
            params![user_id, UserType::Group as i64],
        )
        .await?;
    rows.iter().map(|row| Ok((row.get("id")?, row.get("name")?))).collect()
}

/// The host that belongs to a user.
pub async fn host_id(tx: &mut Tx, user_id: i64) -> Result<Option<i64>> {
    let row = tx.query_opt("SELECT id FROM host WHERE user_id = $1", params![user_id]).await?;
    row.map(|row| row.get("id")).transpose()
}
