//! Where a hub is and who asks, for commands that log in.

use std::path::PathBuf;

use anyhow::Context as _;
use toji_client::{Client, Options as Connection};

/// Where the hub is and who asks; other ways of logging in has `koji call` with the same calls.
#[derive(clap::Args)]
pub(crate) struct Login {
    /// The hub's URL.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        default_value = "http://127.0.0.1:8080/kojihub"
    )]
    server: String,
    /// The user.
    #[arg(long, global = true, value_name = "NAME", default_value = "admin")]
    user: String,
    /// A file with the user's password; without it the password is read from standard input.
    #[arg(long, global = true, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Certificate authorities to trust instead of the system's, PEM.
    #[arg(long, global = true, value_name = "FILE")]
    serverca: Option<PathBuf>,
}

impl Login {
    /// The hub, for questions that anybody may ask.
    pub(crate) fn hub(&self) -> anyhow::Result<Client> {
        let serverca = self.serverca.as_ref().map(read).transpose()?;
        Ok(Client::new(&self.server, Connection { serverca, ..Connection::default() })?)
    }

    /// A session of the user.
    pub(crate) async fn log_in(&self) -> anyhow::Result<Client> {
        let password = match &self.password_file {
            Some(path) => String::from_utf8(read(path)?).context("the password is not text")?,
            None => {
                let mut line = String::new();
                std::io::stdin().read_line(&mut line).context("failed to read the password")?;
                line
            }
        };
        let hub = self.hub()?;
        hub.login(&self.user, password.trim_end_matches(['\r', '\n'])).await?;
        Ok(hub)
    }
}

fn read(path: &PathBuf) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("failed to read {}", path.display()))
}
