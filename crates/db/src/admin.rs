//! Making and removing whole databases on a PostgreSQL server.

use crate::{Result, postgres};

/// A connection to a server, outside of any [`Db`](crate::Db).
pub struct Server {
    client: tokio_postgres::Client,
}

impl Server {
    /// Connects to the database that `url` names (`postgres` is always there).
    pub async fn connect(url: &str) -> Result<Server> {
        let postgres::Target { config, tls, .. } = postgres::target(url)?;
        let (client, connection) = config.connect(tls).await.map_err(postgres::error)?;
        tokio::spawn(connection);
        Ok(Server { client })
    }

    /// Whether the database exists.
    pub async fn exists(&self, name: &str) -> Result<bool> {
        let rows =
            self.client.query("SELECT 1 FROM pg_database WHERE datname = $1", &[&name]).await;
        Ok(!rows.map_err(postgres::error)?.is_empty())
    }

    /// Makes a database, empty or as a copy of `template`.
    ///
    /// Text sorts by code point, as on SQLite.
    pub async fn create(&self, name: &str, template: Option<&str>) -> Result<()> {
        let template = template.unwrap_or("template0");
        let sql = format!(
            "CREATE DATABASE {} TEMPLATE {} ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'",
            quoted(name),
            quoted(template),
        );
        self.client.batch_execute(&sql).await.map_err(postgres::error)
    }

    /// Removes a database, ending its connections.
    pub async fn drop(&self, name: &str) -> Result<()> {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(name));
        self.client.batch_execute(&sql).await.map_err(postgres::error)
    }

    /// Gives a database another name, ending its connections.
    pub async fn rename(&self, from: &str, to: &str) -> Result<()> {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
        self.client.execute(end, &[&from]).await.map_err(postgres::error)?;
        let sql = format!("ALTER DATABASE {} RENAME TO {}", quoted(from), quoted(to));
        self.client.batch_execute(&sql).await.map_err(postgres::error)
    }

    /// Runs statements outside of a transaction.
    pub async fn batch(&self, sql: &str) -> Result<()> {
        self.client.batch_execute(sql).await.map_err(postgres::error)
    }

    /// Takes an advisory lock until the connection ends; tells whether it was free.
    pub(crate) async fn try_lock(&self, number: i64) -> Result<bool> {
        let row = self.client.query_one("SELECT pg_try_advisory_lock($1)", &[&number]).await;
        row.and_then(|row| row.try_get(0)).map_err(postgres::error)
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
