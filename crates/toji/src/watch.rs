//! `toji watch-task`, `toji watch-logs`, `toji wait-repo`: what happens on a hub, as it happens; of any Koji hub.

pub(crate) mod logs;
pub(crate) mod repo;
mod screen;
pub(crate) mod task;

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use toji_client::{Client, Options as Connection, Profile, Task, Value, list, map};

/// Where the hub is, and who asks if that matters.
#[derive(clap::Args)]
pub(crate) struct Site {
    /// A profile in `~/.koji/config` or `/etc/koji.conf` (and `config.d`, `koji.conf.d`), read as the stock client reads it.
    #[arg(short, long, value_name = "NAME", conflicts_with_all = ["server", "login", "password_file", "serverca"])]
    profile: Option<String>,
    /// The hub's URL; a hub of Koji's will do.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080/kojihub")]
    server: String,
    /// Who asks, where that matters and no profile says it.
    #[arg(long, value_name = "NAME", requires = "password_file")]
    login: Option<String>,
    /// A file with the password.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Certificate authorities to trust instead of the system's, PEM.
    #[arg(long, value_name = "FILE")]
    serverca: Option<PathBuf>,
    /// The pause in seconds between looks at a hub that tells nothing by itself.
    #[arg(long, value_name = "SECONDS", default_value_t = 6)]
    poll_interval: u64,
}

impl Site {
    /// The hub, logged in if that is needed.
    async fn hub(&self, login: bool) -> anyhow::Result<Client> {
        if let Some(name) = &self.profile {
            let profile = Profile::load(name)?;
            return Ok(match login {
                true => Client::connect(&profile).await?,
                false => Client::of_profile(&profile)?,
            });
        }
        let read = |path: &PathBuf| {
            std::fs::read(path).with_context(|| format!("failed to read {}", path.display()))
        };
        let serverca = self.serverca.as_ref().map(read).transpose()?;
        let poll_interval = std::time::Duration::from_secs(self.poll_interval.max(1));
        let options = Connection { serverca, poll_interval, ..Connection::default() };
        let hub = Client::new(&self.server, options)?;
        if login {
            let (Some(name), Some(file)) = (&self.login, &self.password_file) else {
                bail!("this needs a login: --profile, or --login and --password-file");
            };
            let password = String::from_utf8(read(file)?).context("the password is not text")?;
            hub.login(name, password.trim_end_matches(['\r', '\n'])).await?;
        }
        Ok(hub)
    }
}

/// Which of the tasks that are not finished.
#[derive(clap::Args, Default)]
pub(crate) struct Selection {
    /// Your own tasks.
    #[arg(long, conflicts_with_all = ["user", "tasks"])]
    mine: bool,
    /// Tasks of this user.
    #[arg(long, value_name = "NAME", conflicts_with = "tasks")]
    user: Option<String>,
    /// Tasks for one of these arches, separated by commas.
    #[arg(long, conflicts_with = "tasks")]
    arch: Option<String>,
    /// Tasks of this method.
    #[arg(long, conflicts_with = "tasks")]
    method: Option<String>,
    /// Tasks in this channel.
    #[arg(long, value_name = "NAME", conflicts_with = "tasks")]
    channel: Option<String>,
    /// Tasks of this host.
    #[arg(long, value_name = "NAME", conflicts_with = "tasks")]
    host: Option<String>,
}

impl Selection {
    fn is_empty(&self) -> bool {
        let Selection { mine, user, arch, method, channel, host } = self;
        !mine && [user, arch, method, channel, host].into_iter().all(Option::is_none)
    }

    /// The numbers of the tasks; those below others of them are left out, as they are seen with them.
    async fn tasks(&self, hub: &Client) -> anyhow::Result<Vec<i64>> {
        let mut wanted = map! { "state" => list![0, 1, 4] };
        if self.mine {
            let me = hub.call("getLoggedInUser", ()).await?;
            wanted.insert("owner", number("user", "that is you", &me)?);
        }
        let named = [
            ("getUser", "user", &self.user, "owner"),
            ("getChannel", "channel", &self.channel, "channel_id"),
            ("getHost", "host", &self.host, "host_id"),
        ];
        for (call, what, name, key) in named {
            if let Some(name) = name {
                wanted.insert(key, number(what, name, &hub.call(call, (name.as_str(),)).await?)?);
            }
        }
        if let Some(arches) = &self.arch {
            let arches = arches.split([',', ' ']).filter(|arch| !arch.is_empty());
            wanted.insert("arch", arches.map(Value::from).collect::<Vec<_>>());
        }
        if let Some(method) = &self.method {
            wanted.insert("method", method.as_str());
        }
        let found = hub.tasks(wanted, map! { "order" => "priority,create_time" }).await?;
        let all: std::collections::BTreeSet<i64> = found.iter().filter_map(Task::id).collect();
        let top = |task: &&Task| !task.parent_id().is_some_and(|parent| all.contains(&parent));
        Ok(found.iter().filter(top).filter_map(Task::id).collect())
    }
}

fn number(what: &str, name: &str, found: &Value) -> anyhow::Result<i64> {
    found.get("id").as_int().with_context(|| format!("no such {what}: {name}"))
}

/// Text of others as it may go to a terminal: without what steers it.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '?' } else { c }).collect()
}

/// Runs until the end or an interruption.
fn run<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// Returns when somebody interrupts.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn a_terminal_is_not_steered_by_others() {
        assert_eq!(plain("a\x1b[2Jb\u{9b}\tc\nd"), "a?[2Jb??c\nd");
    }
}
