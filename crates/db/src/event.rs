//! Reading the event table.

use crate::{Result, Row, Tx, params};

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
                        WHERE time <= $1::timestamptz ORDER BY id DESC LIMIT 1";
            tx.query_opt(sql, params![before]).await
        }
    }
}

/// One event: `id`, `ts`.
pub async fn get(tx: &mut Tx, id: i64) -> Result<Option<Row>> {
    let sql = "SELECT id, date_part('epoch', time) AS ts FROM events WHERE id = $1";
    tx.query_opt(sql, params![id]).await
}
