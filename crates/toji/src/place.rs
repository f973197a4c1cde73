//! Where database and files are, for commands that work beside a hub.

use std::path::PathBuf;

use anyhow::Context as _;
use toji_bus::Bus;
use toji_db::Db;
use toji_hub::{Config, Hub};

/// The hub that a command is about.
#[derive(clap::Args)]
pub(crate) struct Place {
    /// The hub's configuration, which says where database and files are.
    #[arg(short, long, value_name = "FILE", conflicts_with = "data")]
    config: Option<PathBuf>,
    /// The data directory of `toji up`, instead of a hub's configuration.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Database, instead of the one of the configuration or the data directory.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
}

impl Place {
    /// The hub, without serving it; its database must be up to date.
    pub(crate) async fn hub(&self) -> anyhow::Result<Hub> {
        let (url, config) = self.parts()?;
        let options = toji_db::Options::default();
        let db = Db::open(&url, &options).await.context("failed to open the database")?;
        Ok(Hub::new(db, Bus::new(), config))
    }

    /// The database's URL and the options; nothing is opened.
    pub(crate) fn parts(&self) -> anyhow::Result<(String, Config)> {
        let Some(data) = &self.data else {
            let conf = crate::hub::files(self.config.clone()).read()?;
            return Ok((conf.database(self.database.as_deref())?, conf.hub));
        };
        let data = std::path::absolute(data).context("failed to find the data directory")?;
        let own = || format!("sqlite:{}", data.join("toji.db").display());
        Ok((self.database.clone().unwrap_or_else(own), crate::conf::of_data(&data)?))
    }
}
