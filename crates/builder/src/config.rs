//! Settings of a builder; names and defaults are those of `kojid.conf` where it has them.

mod buildroots;
mod file;
mod login;
mod mock;
mod runroot;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub use buildroots::{Buildroots, Kind};
pub use mock::Mock;
pub(crate) use runroot::Runroot;
use toji_client::Keys;
use toji_sandbox::Limits;

use crate::credential::Credential;
use crate::error::Error;

/// What Maven itself writes beside the artifacts.
const MAVEN_IGNORED: &str = "*.md5 *.sha1 maven-metadata*.xml _maven.repositories _remote.repositories \
                             resolver-status.properties *.lastUpdated";

/// The words of an option.
fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// How a builder finds its hub, what it may take and how it builds.
#[derive(Clone, Debug)]
pub struct Config {
    /// The hub's URL, for example `https://koji.example.com/kojihub`.
    pub server: String,
    /// Where the hub publishes files; derived from `server` if absent.
    pub topurl: Option<String>,
    /// Where the hub's live connection is; derived from `server` if absent.
    pub grpc: Option<String>,
    /// Whether to try the live connection at all; a hub of Koji's has none.
    pub stream: bool,
    /// The host's user name, for a login by password.
    pub user: String,
    /// Its password.
    pub password: String,
    /// The host's certificate with its key, as PEM text: it goes before a password.
    pub cert: Option<Vec<u8>>,
    /// The keys for a login by Kerberos, which is for a host without certificate and user name.
    pub keys: Option<Keys>,
    /// The certificate authorities to trust instead of the system's, as PEM text.
    pub serverca: Option<Vec<u8>>,
    /// Where tasks work and packages are kept.
    pub workdir: PathBuf,
    /// Whether to end another session of the same host at the start.
    pub force_lock: bool,
    /// The most tasks at a time; subtasks may come beside those that wait for them.
    pub maxjobs: usize,
    /// Free space that the work directory must have, in MiB.
    pub minspace: u64,
    /// The load average per processor above which no task is taken; 0 turns the check off.
    pub max_load: f64,
    /// How often to ask for tasks without a live connection.
    pub sleeptime: Duration,
    /// The pause before a call is repeated that went wrong on its way.
    pub retry_interval: Duration,
    /// The pause while the hub is away.
    pub offline_retry_interval: Duration,
    /// How often to tell the hub about this host.
    pub report_interval: Duration,
    /// The `Packager` tag of built packages.
    pub packager: String,
    /// The `Vendor` tag of built packages.
    pub vendor: String,
    /// The `Distribution` tag of built packages.
    pub distribution: String,
    /// Source repositories: `host:repository[:use_common[:source_cmd]]`, with `!` for refusals.
    pub allowed_scms: String,
    /// Whether `allowed_scms` decides.
    pub allowed_scms_use_config: bool,
    /// Whether the hub's policy `build_from_scm` decides.
    pub allowed_scms_use_policy: bool,
    /// Whether URLs of source repositories may have a password.
    pub allow_password_in_scm_url: bool,
    /// Files in Maven's repository that are no artifacts, as shell patterns.
    pub maven_repo_ignore: Vec<String>,
    /// Whether other arches go on after one has failed.
    pub build_arch_can_fail: bool,
    /// Bounds of a build.
    pub limits: Limits,
    /// How buildroots are made.
    pub buildroots: Buildroots,
    /// How mock makes them, where it does.
    pub mock: Mock,
    /// Further names that the machine itself provides to builds, beside what is found on it.
    pub host_provides: Vec<String>,
    /// The variables that source checkouts inherit: proxies, certificates.
    pub environment: BTreeMap<String, String>,
    /// Size of the package cache in MiB.
    pub cache_size: u64,
    /// The mail server for notifications; without a host none are sent.
    pub mail: toji_mail::Server,
    /// The sender of notifications.
    pub from_addr: String,
    /// Whether each log has a companion that tells when it grew.
    pub log_timestamps: bool,
    /// Where the files of a hub are that makes no repositories itself.
    pub topdir: PathBuf,
    /// For such a hub: whether to take over metadata from the repository before.
    pub createrepo_update: bool,
    /// Whether that is done without looking at the packages.
    pub createrepo_skip_stat: bool,
    /// The program that merges repositories, with its first arguments; it takes the options of `toji repo merge`.
    pub merge_command: Vec<String>,
    /// How long the buildroot of a failed task is kept.
    pub failed_buildroot_lifetime: Duration,
    /// What all buildroots of failed tasks may take together, in MiB; the oldest go first.
    pub failed_buildroot_size: u64,
    /// The plugins that add task methods.
    pub plugins: Vec<String>,
    /// The folders with plugins.
    pub plugin_path: Vec<PathBuf>,
    /// The folder with their settings, `NAME.conf`.
    pub plugin_dir: Option<PathBuf>,
}

impl Config {
    /// A configuration with defaults for everything else.
    pub fn new(
        server: impl Into<String>,
        user: impl Into<String>,
        password: impl Into<String>,
        workdir: impl Into<PathBuf>,
    ) -> Self {
        Config {
            server: server.into(),
            topurl: None,
            grpc: None,
            stream: true,
            user: user.into(),
            password: password.into(),
            cert: None,
            keys: None,
            serverca: None,
            workdir: workdir.into(),
            force_lock: true,
            maxjobs: 10,
            minspace: 8192,
            max_load: 4.0,
            sleeptime: Duration::from_secs(15),
            retry_interval: Duration::from_secs(2),
            offline_retry_interval: Duration::from_secs(5),
            report_interval: Duration::from_secs(15),
            packager: "Toji".to_owned(),
            vendor: "Toji".to_owned(),
            distribution: "Toji".to_owned(),
            allowed_scms: String::new(),
            allowed_scms_use_config: true,
            allowed_scms_use_policy: false,
            allow_password_in_scm_url: false,
            maven_repo_ignore: words(MAVEN_IGNORED),
            build_arch_can_fail: false,
            limits: Limits::for_build(),
            buildroots: Buildroots::default(),
            mock: Mock::default(),
            host_provides: Vec::new(),
            environment: BTreeMap::new(),
            cache_size: 10_240,
            mail: toji_mail::Server::default(),
            from_addr: "Koji Build System <buildsys@example.com>".to_owned(),
            log_timestamps: false,
            topdir: "/mnt/koji".into(),
            createrepo_update: true,
            createrepo_skip_stat: true,
            merge_command: words("toji repo merge"),
            failed_buildroot_lifetime: Duration::from_secs(4 * 3600),
            failed_buildroot_size: 20_480,
            plugins: Vec::new(),
            plugin_path: vec!["/usr/lib/koji-builder-plugins".into()],
            plugin_dir: None,
        }
    }

    /// A configuration that takes hub and name from the credential in the work directory.
    pub fn enrolled() -> Self {
        Config::new("", "", "", "/var/tmp/koji")
    }

    /// Fills in hub and name of a builder that has enrolled: one with neither a password nor a certificate, and
    /// with a credential in its work directory.
    ///
    /// # Errors
    /// When the credential cannot be read.
    pub fn complete(&mut self) -> Result<(), Error> {
        let other = !self.password.is_empty() || self.cert.is_some();
        if other || !Credential::is_in(&self.workdir) {
            return Ok(());
        }
        let credential = Credential::load(&self.workdir)?;
        if self.server.is_empty() {
            self.server = credential.server;
        }
        self.user = credential.name;
        self.keys = None;
        Ok(())
    }

    /// The address of the live connection.
    pub(crate) fn grpc(&self) -> String {
        if let Some(grpc) = &self.grpc {
            return grpc.clone();
        }
        let (scheme, rest) = self.server.split_once("://").unwrap_or(("http", &self.server));
        let authority = rest.split('/').next().unwrap_or(rest);
        format!("{scheme}://{authority}")
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn the_live_connection_is_on_the_hubs_port() {
        let config = Config::new("http://hub.example.com:8080/kojihub", "b1", "x", "/tmp/b1");
        assert_eq!(config.grpc(), "http://hub.example.com:8080");
    }
}
