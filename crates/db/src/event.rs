//! Reading the event table.

use crate::{Engine, Result, Row, Tx, params};

/// The newest event at or before a moment, or of all: `id`, `ts`.
pub async fn last(tx: &mut Tx, before: Option<f64>) -> Result<Option<Row>> {
    match before {
        None => {
            let sql = "SELECT id, date_part('epoch', time) AS ts FROM events
                        ORDER BY id DESC LIMIT 1";
            tx.query_opt(sql, params![]).await
        }
        Some(before) => {
            let sql = "SELECT id, date_part('epoch', time) AS ts FROM events
                        WHERE time < $1::timestamptz ORDER BY id DESC LIMIT 1";
            tx.query_opt(sql, params![before]).await
        }
    }
}

/// One event: `id`, `ts`.
pub async fn get(tx: &mut Tx, id: i64) -> Result<Option<Row>> {
    let sql = "SELECT id, date_part('epoch', time) AS ts FROM events WHERE id = $1";
    tx.query_opt(sql, params![id]).await
}

/// Transactions of others that made an event and have not ended: whoever adds one holds a lock on the table
/// until then, Koji's hubs too. The number of an event in progress is larger than that of every event that was
/// made before the transaction began.
macro_rules! in_progress {
    ($columns:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM pg_locks JOIN pg_stat_activity AS at_work ON at_work.pid = pg_locks.pid
               WHERE pg_locks.locktype = 'relation' AND pg_locks.relation = 'events'::regclass
                 AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                 AND pg_locks.mode = 'RowExclusiveLock' AND pg_locks.granted
                 AND pg_locks.pid <> pg_backend_pid()"
        )
    };
}

/// Whether an event older than this one may still be committed, so that what is read now is not all that
/// happened until it. Never on SQLite, where events are made and committed one after the other.
pub async fn is_unsettled(tx: &mut Tx, id: i64) -> Result<bool> {
    if tx.engine() == Engine::Sqlite {
        return Ok(false);
    }
    let sql = concat!(
        "SELECT EXISTS (",
        in_progress!("1"),
        " AND COALESCE(at_work.xact_start <= (SELECT time FROM events WHERE id = $1), TRUE)) AS found"
    );
    tx.scalar(sql, params![id]).await
}

/// The newest event that no older one can follow any more; nothing when that is not known.
pub async fn newest_settled(tx: &mut Tx) -> Result<Option<i64>> {
    if tx.engine() == Engine::Sqlite {
        return tx.scalar_opt("SELECT id FROM events ORDER BY id DESC LIMIT 1", params![]).await;
    }
    // The newest event is read before the transactions in progress: one that ends in between was seen.
    let newest: Option<i64> =
        tx.scalar_opt("SELECT id FROM events ORDER BY id DESC LIMIT 1", params![]).await?;
    let sql = in_progress!(
        "min(at_work.xact_start) AS oldest, COALESCE(bool_or(at_work.xact_start IS NULL), FALSE) AS hidden"
    );
    let row = tx.query_one(sql, params![]).await?;
    let oldest: Option<String> = row.get("oldest")?;
    match (row.get::<bool>("hidden")?, oldest) {
        // The server does not tell this role about other roles' transactions.
        (true, _) => Ok(None),
        (false, None) => Ok(newest),
        (false, Some(oldest)) => {
            let sql = "SELECT id FROM events WHERE time < $1::timestamptz AND id <= $2
                        ORDER BY id DESC LIMIT 1";
            tx.scalar_opt(sql, params![oldest, newest]).await
        }
    }
}
