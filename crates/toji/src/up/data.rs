//! The data directory of `toji up`: one place for everything.

use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// The data directory.
pub(crate) struct Dir(PathBuf);

/// Passwords of the accounts that the first run makes.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Accounts {
    pub(crate) admin_user: String,
    pub(crate) admin_password: String,
    pub(crate) host_user: String,
    pub(crate) host_password: String,
    /// The builders after the first; files of earlier versions have none.
    #[serde(default)]
    pub(crate) more_hosts: Vec<Login>,
}

/// A builder's name and password.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl Accounts {
    /// All builders' logins, the first one's first.
    pub(crate) fn hosts(&self) -> Vec<Login> {
        let first = Login { user: self.host_user.clone(), password: self.host_password.clone() };
        std::iter::once(first).chain(self.more_hosts.iter().cloned()).collect()
    }
}

impl Dir {
    /// Opens the directory, making what is missing.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Dir> {
        let path = std::path::absolute(path).context("failed to find the data directory")?;
        for sub in
            ["", "koji", "koji/packages", "koji/repos", "koji/work", "koji/scratch", "builder"]
        {
            let dir = path.join(sub);
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(&dir)
                .with_context(|| format!("failed to make {}", dir.display()))?;
        }
        Ok(Dir(path))
    }

    pub(crate) fn topdir(&self) -> PathBuf {
        self.0.join("koji")
    }

    pub(crate) fn database(&self) -> String {
        format!("sqlite:{}", self.0.join("toji.db").display())
    }

    /// Options of the hub, if its owner wrote some.
    pub(crate) fn hub_conf(&self) -> PathBuf {
        self.0.join("hub.conf")
    }

    /// The key that signs provenance; not among the files that are published.
    pub(crate) fn provenance_key(&self) -> PathBuf {
        self.0.join("provenance.key")
    }

    pub(crate) fn koji_conf(&self) -> PathBuf {
        self.0.join("koji.conf")
    }

    /// The accounts, if the first run was complete.
    pub(crate) fn accounts(&self) -> anyhow::Result<Option<Accounts>> {
        let file = self.0.join("accounts.json");
        match std::fs::read(&file) {
            Ok(text) => {
                let accounts = serde_json::from_slice(&text);
                let accounts =
                    accounts.with_context(|| format!("failed to read {}", file.display()))?;
                Ok(Some(accounts))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("failed to read {}", file.display())),
        }
    }

    /// Keeps the accounts, readable by the owner only.
    pub(crate) fn keep_accounts(&self, accounts: &Accounts) -> anyhow::Result<()> {
        write_private(&self.0.join("accounts.json"), &serde_json::to_vec_pretty(accounts)?)
    }

    /// The settings of a builder in this process, which works in a directory of its own; the first has number 1.
    pub(crate) fn builder(&self, url: &str, login: &Login, number: usize) -> toji_builder::Config {
        let mut config = toji_builder::Config::new(
            format!("{url}/kojihub"),
            &login.user,
            &login.password,
            self.workdir(number),
        );
        // A single machine builds what its owner gives it: sources may come from anywhere.
        config.allowed_scms = "*:*:no".to_owned();
        config.merge_command = crate::repo::merge_command();
        config.minspace = 512;
        config.max_load = 0.0;
        config
    }

    /// Where a builder works.
    pub(crate) fn workdir(&self, number: usize) -> PathBuf {
        self.0.join(if number == 1 { "builder".to_owned() } else { format!("builder{number}") })
    }
}

/// Writes a file that only the owner can read, in one step.
pub(crate) fn write_private(file: &Path, content: &[u8]) -> anyhow::Result<()> {
    use std::io::Write as _;
    let temporary = file.with_extension("new");
    let fail = || format!("failed to write {}", file.display());
    let mut out = std::fs::OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .with_context(fail)?;
    out.write_all(content).and_then(|()| out.sync_all()).with_context(fail)?;
    std::fs::rename(&temporary, file).with_context(fail)
}
