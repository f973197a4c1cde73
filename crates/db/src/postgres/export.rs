//! A moment that one transaction holds, for others to read.

use super::{Target, error, tuned};
use crate::Result;

/// An open transaction whose moment others can read; it ends when this is dropped.
pub(crate) struct Exported {
    name: String,
    /// The transaction is its connection's.
    _client: tokio_postgres::Client,
}

impl Exported {
    pub(crate) async fn new(url: &str) -> Result<Exported> {
        let Target { config, tls, .. } = tuned(url)?;
        let (client, connection) = config.connect(tls).await.map_err(error)?;
        tokio::spawn(connection);
        // It waits for programs that may take hours.
        for statement in [
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            "SET LOCAL idle_in_transaction_session_timeout = 0",
        ] {
            client.execute(statement, &[]).await.map_err(error)?;
        }
        let row = client.query_one("SELECT pg_export_snapshot()", &[]).await.map_err(error)?;
        Ok(Exported { name: row.try_get(0).map_err(error)?, _client: client })
    }

    /// What others call it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// The beginning of a transaction at such a moment.
pub(super) fn begin_at(name: &str) -> String {
    let name = name.replace('\'', "''");
    format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '{name}'")
}
