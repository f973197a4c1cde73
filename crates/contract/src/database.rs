//! A fresh database of either engine with the rows of a data set.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::ValueEnum;
use toji_db::admin::Server;
use toji_db::{Db, Durability, Options};

use crate::dataset::DataSet;

/// The engine to load into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// A file in the file root.
    Sqlite,
    /// A database of the throw-away server that the tests share.
    Postgres,
}

/// A database that [`Fresh::remove`] takes away.
pub(crate) struct Fresh {
    /// The handle.
    pub(crate) db: Db,
    /// Server and name of a PostgreSQL database.
    server: Option<(String, String)>,
}

impl Fresh {
    /// Makes an empty database; `file` is where an embedded one lies.
    pub(crate) async fn create(engine: Engine, file: &Path) -> anyhow::Result<Fresh> {
        let (url, server) = match engine {
            Engine::Sqlite => (format!("sqlite:{}", file.display()), None),
            Engine::Postgres => {
                let server = throw_away_server().await?;
                let name = format!("toji_contract_{}", std::process::id());
                let admin = Server::connect(&server).await?;
                admin.drop(&name).await?;
                admin.create(&name, None).await?;
                (toji_testkit::with_database(&server, &name), Some((server, name)))
            }
        };
        // Nobody keeps this database over a loss of power.
        let options = Options { durability: Durability::None, ..Options::default() };
        let db = Db::open(&url, &options).await.context("failed to open the database")?;
        db.migrate().await.context("failed to make the tables")?;
        Ok(Fresh { db, server })
    }

    /// Fills it with the rows of a data set.
    pub(crate) async fn load(&self, data: &DataSet) -> anyhow::Result<()> {
        let begin = Instant::now();
        let rows = toji_db::load::tables(&self.db, data.tables()?, &data.sequences()?).await;
        let rows =
            rows.context("failed to load the tables, of which those without a file are empty")?;
        tracing::info!("loaded {rows} rows in {:.1} s", begin.elapsed().as_secs_f64());
        Ok(())
    }

    /// Keeps the shared server from ending while nothing else uses it; never returns.
    pub(crate) async fn keep_alive(&self) {
        let mut often = tokio::time::interval(Duration::from_secs(120));
        loop {
            often.tick().await;
            if self.server.is_some() {
                let _ = throw_away_server().await;
            }
        }
    }

    /// Closes it and removes what lies outside of the file root.
    pub(crate) async fn remove(self) -> anyhow::Result<()> {
        self.db.close().await;
        if let Some((server, name)) = self.server {
            Server::connect(&server).await?.drop(&name).await?;
        }
        Ok(())
    }
}

async fn throw_away_server() -> anyhow::Result<String> {
    tokio::task::spawn_blocking(toji_testkit::server_url)
        .await
        .context("failed to start a PostgreSQL server")
}
