//! `hub.conf` and `hub.conf.d`, as Koji's hub reads them.
//!
//! The section `[toji]` has options that a Koji hub does not know and passes over, so that one file
//! serves both.

mod database;
mod front;
mod ini;
mod kojira;
mod limits;
mod options;
mod relays;
mod volumes;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use toji_hub::Config;

use database::Database;
use front::Front;
pub(crate) use ini::Ini;

/// Where Koji's hub looks.
const FILE: &str = "/etc/koji-hub/hub.conf";

/// The files that make a configuration.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    file: PathBuf,
    dir: PathBuf,
}

/// What the files say.
#[derive(Debug, Default)]
pub(crate) struct Conf {
    /// The options of the hub's rules.
    pub(crate) hub: Config,
    /// Connections to PostgreSQL, if the file says how many.
    pub(crate) connections: Option<usize>,
    /// Where to listen, and how logins come in.
    pub(crate) front: Front,
    /// Detail of the log, if the file says so.
    pub(crate) log: Option<&'static str>,
    /// What cannot be honoured, and why.
    pub(crate) warnings: Vec<String>,
    database: Database,
    /// `RLIMIT_…` and its value.
    limits: Vec<(String, String)>,
    debug: bool,
    offline: bool,
    offline_message: Option<String>,
}

impl Files {
    /// The files that the command line or the environment name, else Koji's.
    ///
    /// The directory is `hub.conf.d` beside a file `hub.conf` unless it is named.
    pub(crate) fn find(
        file: Option<PathBuf>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Files {
        let variable = |name| environment(name).filter(|text| !text.is_empty()).map(PathBuf::from);
        let file = file.or_else(|| variable("KOJI_HUB_CONFIG")).unwrap_or_else(|| FILE.into());
        let beside = || {
            let mut name = file.clone().into_os_string();
            name.push(".d");
            name.into()
        };
        let dir = variable("KOJI_HUB_CONFIGDIR").unwrap_or_else(beside);
        Files { file, dir }
    }

    /// Reads them; the file's options come before those of the directory, as for Koji.
    pub(crate) fn read(&self) -> anyhow::Result<Conf> {
        let beside = self.file.with_file_name("provenance.key");
        self.read_over(Config { provenance_key: Some(beside), ..Config::default() })
    }

    /// Reads them over options that hold where they say nothing.
    pub(crate) fn read_over(&self, base: Config) -> anyhow::Result<Conf> {
        let mut ini = Ini::default();
        for file in configurations(&self.dir)? {
            merge(&mut ini, &file)?;
        }
        merge(&mut ini, &self.file)?;
        let mut conf =
            Conf::take(base, &ini).with_context(|| format!("in {}", self.file.display()))?;
        take_plugin_options(&mut conf.hub, &self.file.with_file_name("plugins"))?;
        Ok(conf)
    }
}

/// The options of a data directory of `toji up`, for commands that work beside it.
pub(crate) fn of_data(data: &Path) -> anyhow::Result<Config> {
    let file = data.join("hub.conf");
    let hub = match file.exists() {
        true => Files::find(Some(file), |_| None).read()?.hub,
        false => Config::default(),
    };
    Ok(Config { topdir: data.join("koji"), ..hub })
}

/// Reads the plugins' own files of a directory.
pub(crate) fn take_plugin_options(hub: &mut Config, dir: &Path) -> anyhow::Result<()> {
    for file in configurations(dir)? {
        let mut options = Ini::default();
        merge(&mut options, &file)?;
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let sections = options.sections().map(|s| (s.to_owned(), options.section(s))).collect();
        hub.plugin_options.insert(name, sections);
    }
    hub.take_plugin_options().map_err(anyhow::Error::msg)
}

impl Conf {
    /// What holds without a file.
    pub(crate) fn without_file(base: Config) -> Conf {
        Conf { hub: base, ..Conf::default() }
    }

    fn take(base: Config, ini: &Ini) -> anyhow::Result<Conf> {
        let mut conf = Conf::without_file(base);
        for section in ini.sections().filter(|name| !matches!(*name, "hub" | "policy" | "toji")) {
            conf.warnings.push(format!("the section [{section}] is passed over"));
        }
        options::take(&mut conf, ini)?;
        options::take_own(&mut conf, ini)?;
        if conf.offline {
            let message = conf.offline_message.take().filter(|text| !text.is_empty());
            conf.hub.offline = Some(message.unwrap_or_else(|| "server is offline".to_owned()));
        }
        if conf.debug {
            conf.log = Some("debug");
        }
        Ok(conf)
    }

    /// The database's URL; the command line comes first, the environment last.
    #[expect(clippy::disallowed_methods, reason = "the environment names files, as for libpq")]
    pub(crate) fn database(&self, given: Option<&str>) -> anyhow::Result<String> {
        let url = match given {
            Some(url) => url.to_owned(),
            None => self.database.url()?.context("no database: hub.conf has no DBName")?,
        };
        Ok(database::complete(url, |name| std::env::var(name).ok()))
    }

    /// Sets the limits of this process; what fails is told and does not hinder the start.
    pub(crate) fn apply_limits(&self) {
        for (name, value) in &self.limits {
            if let Err(error) = limits::set(name, value) {
                tracing::error!("cannot set {name} to {value}: {error:#}");
            }
        }
    }

    /// Tells what is not honoured.
    pub(crate) fn tell(&self) {
        for warning in &self.warnings {
            tracing::warn!("hub.conf: {warning}");
        }
    }
}

/// The files `*.conf` of a directory in the order of their names; none if there is no directory.
fn configurations(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let failed = || format!("failed to read {}", dir.display());
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(failed),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.with_context(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "conf") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn merge(ini: &mut Ini, file: &Path) -> anyhow::Result<()> {
    let failed = || format!("failed to read {}", file.display());
    let text = std::fs::read_to_string(file).with_context(failed)?;
    ini.merge(&text).with_context(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(text: &str) -> anyhow::Result<Conf> {
        let mut ini = Ini::default();
        ini.merge(text)?;
        Conf::take(Config::default(), &ini)
    }

    #[test]
    fn a_hub_conf_of_koji() {
        let conf = take(
            "[hub]\nDBName = koji\nDBUser = koji\nDBHost = db.example.com\nDBPass = x\n\
             KojiDir = /srv/koji\nLoginCreatesUser = Off\nKojiWebURL = http://koji.example.com/koji\n\
             EmailDomain = example.org\nProxyDNs = /C=US/CN=web|/CN=b\nAllowedKrbRealms = A.COM, B.COM\n\
             MaxJobs = 7\nSourceTags = f* dist\nLogLevel = INFO koji.db:DEBUG\nRLIMIT_NOFILE = 100 200\n\
             Plugins = sidetag_hub echo\nPluginPath = /usr/lib/koji-hub-plugins\n\
             [policy]\ntag =\n  has_perm admin :: allow\n  all :: deny\n\
             [toji]\nListen = 127.0.0.1:80\n",
        )
        .unwrap();
        assert_eq!(conf.hub.topdir, Path::new("/srv/koji"));
        assert!(!conf.hub.login_creates_user && conf.hub.offline.is_none());
        assert_eq!(conf.hub.logins.proxy_dns, ["/C=US/CN=web", "/CN=b"]);
        assert_eq!(conf.hub.logins.allowed_realms.unwrap(), ["A.COM", "B.COM"]);
        assert_eq!((conf.hub.scheduler.max_jobs, conf.log), (7, Some("info")));
        assert_eq!(conf.hub.repo.source_tags, ["f*", "dist"]);
        assert_eq!(conf.hub.plugins, ["sidetag_hub", "echo"]);
        let policy = ("tag".to_owned(), "\nhas_perm admin :: allow\nall :: deny".to_owned());
        assert_eq!(conf.hub.policies, [policy]);
        assert_eq!(conf.limits, [("RLIMIT_NOFILE".to_owned(), "100 200".to_owned())]);
        assert_eq!(conf.warnings.len(), 1, "{:?}", conf.warnings);
        let url = "postgres:///?dbname=koji&user=koji&host=db.example.com&password=x";
        assert_eq!(conf.database.url().unwrap().as_deref(), Some(url));
    }

    #[test]
    fn what_cannot_be_honoured_is_told() {
        let conf = take(
            "[hub]\nDisableURLSessions = Off\nKojiTraceback = extended\nNoSuch = 1\n[extra]\na=1\n",
        )
        .unwrap();
        assert_eq!(conf.warnings.len(), 4, "{:?}", conf.warnings);
        let quiet = take("[hub]\nDisableURLSessions = On\nMemoryWarnThreshold = 5000\n").unwrap();
        assert!(quiet.warnings.is_empty(), "{:?}", quiet.warnings);
    }

    #[test]
    fn mistakes_name_the_option() {
        for (text, wanted) in [
            ("[hub]\nMaxJobs = many\n", "MaxJobs"),
            ("[hub]\nLockOut = perhaps\n", "LockOut"),
            ("[toji]\nListne = x\n", "listne"),
        ] {
            let error = format!("{:#}", take(text).unwrap_err());
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn offline() {
        let conf = take("[hub]\nServerOffline = True\nOfflineMessage = back at ten\n").unwrap();
        assert_eq!(conf.hub.offline.as_deref(), Some("back at ten"));
        let conf = take("[hub]\nServerOffline = yes\n").unwrap();
        assert_eq!(conf.hub.offline.as_deref(), Some("server is offline"));
        assert!(take("[hub]\nOfflineMessage = x\n").unwrap().hub.offline.is_none());
    }

    #[test]
    fn the_file_comes_before_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let file = dir.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        write("hub.conf", "[hub]\nDBName = main\n");
        write("hub.conf.d/a.conf", "[hub]\nDBName = a\nMaxJobs = 1\nRepoRetries = 1\n");
        write("hub.conf.d/b.conf", "[hub]\nMaxJobs = 2\n");
        write("hub.conf.d/c.txt", "[hub]\nMaxJobs = 3\n");
        write("plugins/sidetag.conf", "[sidetag]\nremove_empty = on\n");
        let conf = Files::find(Some(dir.path().join("hub.conf")), |_| None).read().unwrap();
        assert_eq!(conf.database.name.as_deref(), Some("main"));
        assert_eq!((conf.hub.scheduler.max_jobs, conf.hub.repo.repo_retries), (2, 1));
        assert_eq!(conf.hub.plugin_options["sidetag"]["sidetag"]["remove_empty"], "on");
        assert!(Files::find(Some(dir.path().join("none")), |_| None).read().is_err());
    }

    #[test]
    fn the_environment_names_files() {
        let set = |name: &str| (name == "KOJI_HUB_CONFIG").then(|| "/x/hub.conf".to_owned());
        let files = Files::find(None, set);
        assert_eq!(files.dir, Path::new("/x/hub.conf.d"));
        let files = Files::find(Some("/y/hub.conf".into()), |name| Some(format!("/env/{name}")));
        assert_eq!(files.file, Path::new("/y/hub.conf"));
        assert_eq!(files.dir, Path::new("/env/KOJI_HUB_CONFIGDIR"));
        assert_eq!(Files::find(None, |_| None).file, Path::new(FILE));
    }
}
