//! What a person or a program needs to use a started Toji.

use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use super::data::{self, Accounts, Dir};

/// The content of the ready file.
#[derive(Serialize)]
pub(crate) struct Ready {
    url: String,
    hub: String,
    web: String,
    files: String,
    grpc: String,
    admin_user: String,
    admin_password: String,
    topdir: String,
    koji_conf: String,
    koji_args: Vec<String>,
    pid: u32,
}

impl Ready {
    /// Writes the stock client's configuration and gathers the rest.
    pub(crate) fn new(url: &str, data: &Dir, accounts: &Accounts) -> anyhow::Result<Ready> {
        let topdir = data.topdir().display().to_string();
        let conf = data.koji_conf();
        let (hub, web, files) =
            (format!("{url}/kojihub"), format!("{url}/koji"), format!("{url}/kojifiles"));
        let text = format!(
            "[koji]\nserver = {hub}\nweburl = {web}\ntopurl = {files}\ntopdir = {topdir}\n\
             authtype = password\n"
        );
        data::write_private(&conf, text.as_bytes())?;
        let conf = conf.display().to_string();
        // The stock client reads user and password from its command line only.
        let args = ["-c", &conf, "--authtype", "password", "--user", &accounts.admin_user];
        let mut koji_args: Vec<String> = args.into_iter().map(str::to_owned).collect();
        koji_args.extend(["--password".to_owned(), accounts.admin_password.clone()]);
        Ok(Ready {
            url: url.to_owned(),
            hub,
            web,
            files,
            grpc: url.to_owned(),
            admin_user: accounts.admin_user.clone(),
            admin_password: accounts.admin_password.clone(),
            topdir,
            koji_conf: conf,
            koji_args,
            pid: std::process::id(),
        })
    }

    /// Writes the ready file in one step: who sees it sees it whole.
    pub(crate) fn write(&self, file: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_vec_pretty(self).context("failed to write the ready file")?;
        data::write_private(file, &text)
    }

    /// Tells a person where to look.
    pub(crate) fn greet(&self) {
        tracing::info!("web pages   {}", self.web);
        tracing::info!("files       {}", self.files);
        tracing::info!("hub         {}", self.hub);
        tracing::info!("try         koji {} hello", self.koji_args[..2].join(" "));
        tracing::info!("login       user {}; password in the data directory", self.admin_user);
    }
}
