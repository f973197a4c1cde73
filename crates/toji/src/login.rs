//! Where a hub is and who asks, for commands that log in.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use toji_client::{Client, Options as Connection, Profile};

/// Where the hub is and who asks: a profile of the stock client's, or a URL, a name and a password.
#[derive(clap::Args)]
pub(crate) struct Login {
    /// A profile in `~/.koji/config` or `/etc/koji.conf` (and `config.d`, `koji.conf.d`), read as the stock client reads it.
    #[arg(long, global = true, value_name = "NAME", conflicts_with_all = ["server", "user", "password_file", "serverca"])]
    profile: Option<String>,
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
        if let Some(name) = &self.profile {
            return Ok(Client::of_profile(&Profile::load(name)?)?);
        }
        self.unknown(None)
    }

    /// The hub that is named by its URL, without a login.
    fn unknown(&self, interval: Option<Duration>) -> anyhow::Result<Client> {
        let serverca = self.serverca.as_ref().map(read).transpose()?;
        let poll_interval = interval.unwrap_or(Connection::default().poll_interval);
        let options = Connection { serverca, poll_interval, ..Connection::default() };
        Ok(Client::new(&self.server, options)?)
    }

    /// A session of the user.
    pub(crate) async fn log_in(&self) -> anyhow::Result<Client> {
        self.connected(None).await
    }

    /// The same; a hub that does not tell of what happens will be asked so often.
    pub(crate) async fn log_in_asking(&self, interval: Duration) -> anyhow::Result<Client> {
        self.connected(Some(interval)).await
    }

    async fn connected(&self, interval: Option<Duration>) -> anyhow::Result<Client> {
        if let Some(name) = &self.profile {
            let mut profile = Profile::load(name)?;
            if let Some(interval) = interval {
                profile.poll_interval = i64::try_from(interval.as_secs())?;
            }
            return Ok(Client::connect(&profile).await?);
        }
        let password = match &self.password_file {
            Some(path) => String::from_utf8(read(path)?).context("the password is not text")?,
            None => self.ask().context("failed to read the password")?,
        };
        let hub = self.unknown(interval)?;
        hub.login(&self.user, password.trim_end_matches(['\r', '\n'])).await?;
        Ok(hub)
    }
}

impl Login {
    /// Reads the password from standard input; a terminal is asked, and shows nothing of it.
    fn ask(&self) -> std::io::Result<String> {
        let terminal = std::io::stdin().is_terminal();
        let mut line = String::new();
        if terminal {
            echo("-echo");
            write!(std::io::stderr(), "Password of {}: ", self.user)?;
        }
        let asked = std::io::stdin().read_line(&mut line);
        if terminal {
            echo("echo");
            writeln!(std::io::stderr())?;
        }
        asked.map(|_| line)
    }
}

/// Has the terminal show what is typed, or not; one that cannot is left as it is.
fn echo(how: &str) {
    let mut stty = std::process::Command::new("stty");
    let _ = stty.arg(how).stderr(std::process::Stdio::null()).status();
}

fn read(path: &PathBuf) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("failed to read {}", path.display()))
}
