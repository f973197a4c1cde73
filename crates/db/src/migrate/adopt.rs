//! Taking over a Koji database in place: its tables are the first schema files' already.

use super::{FILES, table_names};
use crate::{Engine, Error, Result, Tx, params};

/// The last schema file whose content a Koji database has.
const KOJI: i64 = 4;

/// What Koji 1.36 added without a new table; harmless where it is there.
const ADDITIONS: &str = "
    ALTER TABLE rpminfo ADD COLUMN IF NOT EXISTS sigmd5 TEXT;
    ALTER TABLE rpminfo ADD COLUMN IF NOT EXISTS sha1header TEXT;
    ALTER TABLE rpminfo ADD COLUMN IF NOT EXISTS sha256header TEXT;
    ALTER TABLE rpminfo ADD COLUMN IF NOT EXISTS sha3_256header TEXT;
    CREATE INDEX IF NOT EXISTS rpminfo_sigmd5 ON rpminfo (sigmd5);
    CREATE INDEX IF NOT EXISTS rpminfo_sha1header ON rpminfo (sha1header);
    CREATE INDEX IF NOT EXISTS rpminfo_sha256header ON rpminfo (sha256header);
    CREATE INDEX IF NOT EXISTS rpminfo_sha3_256header ON rpminfo (sha3_256header);";

/// Records the first files as done when the database is a Koji hub's of a recent version.
///
/// Gives the numbers of those files; none for an empty database. Nothing of Koji's is changed but
/// for added nullable columns, so that the database can be handed back.
pub(super) async fn adopt(tx: &mut Tx) -> Result<Vec<i64>> {
    if tx.engine() == Engine::Sqlite || !has_table(tx, "events").await? {
        return Ok(Vec::new());
    }
    for table in table_names().into_iter().filter(|t| !t.starts_with("toji_")) {
        if !has_table(tx, table).await? {
            let text = format!(
                "a Koji database older than 1.35 (no table {table}): bring it up to date first"
            );
            return Err(Error::Schema(text));
        }
    }
    tx.batch(ADDITIONS.to_owned()).await?;
    let mut done = Vec::new();
    for file in FILES.iter().filter(|f| f.number <= KOJI) {
        let sql = "INSERT INTO toji_migration (number, name) VALUES ($1, $2)";
        tx.execute(sql, params![file.number, file.name]).await?;
        done.push(file.number);
    }
    tracing::info!("took over a Koji database");
    Ok(done)
}

async fn has_table(tx: &mut Tx, name: &str) -> Result<bool> {
    tx.scalar("SELECT to_regclass($1::text) IS NOT NULL AS found", params![name]).await
}
