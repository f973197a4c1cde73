//! Which programs live: each has a lock of the database, which the server frees in the moment that its connection is gone.

use std::sync::atomic::Ordering;

use crate::{Db, Engine, Result, Tx, params, postgres};

/// What these locks have in common; the other half of each is a program's number.
pub(crate) const CLASS: i32 = 0x746f_6a69;

impl Db {
    /// Lets the others know, for as long as the handle lives, that this program does; `number` is above zero and nobody
    /// else's. Entries of the journal are told to be its work from now on.
    ///
    /// Returns when it is known, or when the first attempt has failed: it is tried again. SQLite's file is one program's.
    pub async fn be_present(&self, number: i32) {
        if self.engine() == Engine::Postgres {
            let mut known = None;
            self.inner.staying.call_once(|| known = Some(postgres::stay(&self.inner, number)));
            if let Some(known) = known {
                // Either way there is nothing to wait for any more.
                let _ = known.await;
            }
        }
    }

    /// This program's number, while the others know that it lives.
    pub fn present(&self) -> Option<i64> {
        let number = self.inner.present.load(Ordering::Relaxed);
        (number > 0).then_some(number.into())
    }
}

/// Programs that have left entries in the journal and do not live: of another one's than this.
pub async fn gone(tx: &mut Tx) -> Result<Vec<i64>> {
    if tx.engine() == Engine::Sqlite {
        return Ok(Vec::new());
    }
    let sql = "SELECT DISTINCT holder FROM toji_import
                WHERE holder IS NOT NULL AND holder <> $1
                  AND NOT EXISTS (
                      SELECT 1 FROM pg_locks
                       WHERE locktype = 'advisory' AND granted AND objsubid = 2
                         AND classid::bigint = $2 AND objid::bigint = toji_import.holder
                         AND database = (SELECT oid FROM pg_database
                                          WHERE datname = current_database()))";
    let own = tx.db().present().unwrap_or_default();
    let rows = tx.query(sql, params![own, i64::from(CLASS)]).await?;
    rows.iter().map(|row| row.get("holder")).collect()
}
