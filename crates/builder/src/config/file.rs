//! Reading `kojid.conf`.

use std::path::Path;
use std::time::Duration;

use super::login::Login;
use super::{Config, Kind};
use crate::error::Error;

/// Options of Koji's builder that mean nothing here: other kinds of builds.
const IGNORED: &[&str] = &[
    "admin_emails",
    "allow_noverifyssl",
    "copy_old_repodata",
    "distrepo_skip_stat",
    "literal_task_arches",
    "log_level",
    "max_retries",
    "offline_retry",
    "oz_install_timeout",
    "pkgurl",
    "scm_credentials_dir",
    "support_rpm_source_layout",
    "task_avail_delay",
    "timeout",
    "use_createrepo_c",
    "use_fast_upload",
    "xz_options",
    "buildroot_basic_cleanup_delay",
    "buildroot_final_cleanup_delay",
];

impl Config {
    /// Reads a `kojid.conf`, the certificates that it names and those that lie where `kojid` looks for them.
    ///
    /// Options of Koji that have no meaning here are passed over; unknown ones are warned of, so that the
    /// configuration of a site with plugins of its own is read unchanged. Toji's own options are in `[toji]`.
    pub fn from_file(file: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Work { path: file.to_owned(), source };
        let text = std::fs::read_to_string(file).map_err(failed)?;
        let (mut config, login) = parse(&text)?;
        login.complete(&mut config)?;
        // Koji's plugins have theirs there, too.
        config.plugin_dir = Some(file.with_file_name("plugins"));
        Ok(config)
    }
}

/// The configuration, and what the host logs in with.
fn parse(text: &str) -> Result<(Config, Login), Error> {
    let mut config = Config::new("", "", "", "/var/tmp/koji");
    config.packager = "Koji".to_owned();
    config.vendor = "Koji".to_owned();
    config.distribution = "Koji".to_owned();
    let mut login = Login::default();
    for Entry { own, name, value } in options(text)? {
        let done = match own {
            true => set_own(&mut config, &name, &value)?,
            false => set(&mut config, &mut login, &name, &value)?,
        };
        if !done {
            tracing::warn!(option = name, "an option of the configuration is not honoured");
        }
    }
    if config.server.is_empty() {
        return Err(wrong("server", "is required"));
    }
    Ok((config, login))
}

/// Sets an option of Koji's section; tells whether it is one that is known.
fn set(config: &mut Config, login: &mut Login, name: &str, value: &str) -> Result<bool, Error> {
    let own = || value.to_owned();
    match name {
        "server" => config.server = own(),
        "topurl" => {
            config.mock.topurls = super::words(value);
            config.topurl = config.mock.topurls.first().cloned();
        }
        "mockdir" => config.mock.dir = value.into(),
        "mockuser" => config.mock.user = own(),
        "mockhost" => config.mock.host = own(),
        "mock_bootstrap_image" => config.mock.bootstrap_images = truth(name, value)?,
        "chroot_tmpdir" => config.mock.tmpdir = own(),
        "yum_proxy" => config.mock.proxy = Some(own()).filter(|proxy| !proxy.is_empty()),
        "user" => config.user = own(),
        "password" => config.password = own(),
        "serverca" => login.serverca = Some(value.into()),
        "cert" => login.cert = Some(value.into()),
        "keytab" => login.keytab = Some(value.into()),
        "ccache" => login.ccache = Some(value.into()),
        "krb_principal" => login.principal = Some(own()),
        "host_principal_format" => login.format = Some(own()),
        "smtphost" => config.mail.host = own(),
        "smtp_user" => config.mail.user = Some(own()),
        "smtp_pass" => config.mail.password = Some(own()),
        "from_addr" => config.from_addr = own(),
        "workdir" => config.workdir = value.into(),
        "packager" => config.packager = own(),
        "vendor" => config.vendor = own(),
        "distribution" => config.distribution = own(),
        "allowed_scms" => config.allowed_scms = own(),
        "maven_repo_ignore" => config.maven_repo_ignore = super::words(value),
        "plugin" | "plugins" => {
            config.plugins = super::words(value);
        }
        "pluginpath" => config.plugin_path = value.split(':').map(Into::into).collect(),
        "retry_interval" => config.retry_interval = Duration::from_secs(number(name, value)?),
        "offline_retry_interval" => {
            config.offline_retry_interval = Duration::from_secs(number(name, value)?);
        }
        "maxjobs" => config.maxjobs = number(name, value)?,
        "minspace" => config.minspace = number(name, value)?,
        "failed_buildroot_lifetime" => {
            config.failed_buildroot_lifetime = Duration::from_secs(number(name, value)?);
        }
        "sleeptime" => {
            // As kojid, which reports each time it looks for tasks.
            config.sleeptime = Duration::from_secs(number(name, value)?);
            config.report_interval = config.sleeptime.max(Duration::from_secs(1));
        }
        "rpmbuild_timeout" => config.limits.wall = Some(Duration::from_secs(number(name, value)?)),
        "log_timestamps" => config.log_timestamps = truth(name, value)?,
        "topdir" => config.topdir = value.into(),
        "createrepo_update" => config.createrepo_update = truth(name, value)?,
        "createrepo_skip_stat" => config.createrepo_skip_stat = truth(name, value)?,
        "build_arch_can_fail" => config.build_arch_can_fail = truth(name, value)?,
        "allowed_scms_use_config" => config.allowed_scms_use_config = truth(name, value)?,
        "allowed_scms_use_policy" => config.allowed_scms_use_policy = truth(name, value)?,
        "allow_password_in_scm_url" => config.allow_password_in_scm_url = truth(name, value)?,
        "no_ssl_verify" if !truth(name, value)? => {}
        known if IGNORED.contains(&known) || known.starts_with("rlimit_") => {
            tracing::debug!(option = known, "passed over");
        }
        // Options of Toji were in this section before they had their own.
        _ => return set_own(config, name, value),
    }
    Ok(true)
}

/// Sets an option of the section `[toji]`; tells whether it is one that is known.
fn set_own(config: &mut Config, name: &str, value: &str) -> Result<bool, Error> {
    match name {
        "grpc" => config.grpc = Some(value.to_owned()),
        "stream" => config.stream = truth(name, value)?,
        "host_provides" => {
            config.host_provides = value.split_whitespace().map(str::to_owned).collect();
        }
        "cache_size" => config.cache_size = number(name, value)?,
        "max_load" => config.max_load = number(name, value)?,
        "silence_timeout" => {
            let limit = Duration::from_secs(number(name, value)?);
            config.limits.silence = Some(limit).filter(|limit| !limit.is_zero());
        }
        "log_size_limit" => config.limits.output = mebibytes(name, value)?,
        "memory_limit" => config.limits.memory = mebibytes(name, value)?,
        "disk_limit" => config.limits.disk = mebibytes(name, value)?,
        "file_count_limit" => config.limits.files = positive(name, value)?,
        "process_limit" => config.limits.processes = positive(name, value)?,
        "require_limits" => {
            let names = value.split([' ', ',']).filter(|name| !name.is_empty());
            config.buildroots.required = names.map(str::to_owned).collect();
        }
        "buildroot" => {
            let kind = Kind::parse(value);
            config.buildroots.kind =
                kind.ok_or_else(|| wrong(name, "must be auto, chroot, mock or host"))?;
        }
        "mockpath" => config.mock.program = value.into(),
        "failed_buildroot_size" => config.failed_buildroot_size = number(name, value)?,
        "buildroot_cache_size" => config.buildroots.cache_size = number(name, value)?,
        "file_size_limit" => config.limits.file_size = mebibytes(name, value)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// A number of MiB in bytes; 0 means no bound.
fn mebibytes(name: &str, value: &str) -> Result<Option<u64>, Error> {
    Ok(Some(number::<u64>(name, value)?).filter(|n| *n > 0).map(|n| n.saturating_mul(1 << 20)))
}

/// An option of a section that is read.
struct Entry {
    /// Whether it is in `[toji]`.
    own: bool,
    name: String,
    value: String,
}

/// A count; 0 means no bound.
fn positive(name: &str, value: &str) -> Result<Option<u64>, Error> {
    Ok(Some(number::<u64>(name, value)?).filter(|n| *n > 0))
}

/// The options of the sections `[kojid]` and `[toji]`; indented lines continue a value.
fn options(text: &str) -> Result<Vec<Entry>, Error> {
    let mut all: Vec<Entry> = Vec::new();
    let mut section = None;
    for line in text.lines() {
        let content = line.trim();
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = content.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = match name {
                "kojid" => Some(false),
                "toji" => Some(true),
                other => {
                    tracing::warn!(section = other, "a section of the configuration is not read");
                    None
                }
            };
            continue;
        }
        let Some(own) = section else { continue };
        if line.starts_with([' ', '\t'])
            && let Some(entry) = all.last_mut()
        {
            entry.value.push('\n');
            entry.value.push_str(content);
            continue;
        }
        let Some((name, value)) = content.split_once(['=', ':']) else {
            return Err(wrong(content, "has no value"));
        };
        all.push(Entry { own, name: name.trim().to_lowercase(), value: value.trim().to_owned() });
    }
    Ok(all)
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, Error> {
    value.parse().map_err(|_| wrong(name, "must be a number"))
}

fn truth(name: &str, value: &str) -> Result<bool, Error> {
    match value.to_lowercase().as_str() {
        "1" | "yes" | "true" | "on" => Ok(true),
        "0" | "no" | "false" | "off" => Ok(false),
        _ => Err(wrong(name, "must be yes or no")),
    }
}

fn wrong(name: &str, what: &'static str) -> Error {
    Error::Option { name: name.to_owned(), what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_kojid_are_taken() {
        let text = "; a comment\n[kojid]\nserver = https://hub.example.com/kojihub\nuser: b1\nsleeptime=5\n\
                    # another\nallowed_scms =\n  git.example.com:/rpms/*:no\n  !bad:*\nmockuser = kojibuilder\n\
                    allowed_scms_use_policy = Yes\nrpmbuild_timeout = 60\nsmtphost = mail:2525\n[other]\nmaxjobs = x\n";
        let (config, login) = parse(text).expect("configuration");
        assert_eq!(config.server, "https://hub.example.com/kojihub");
        assert_eq!((config.user.as_str(), config.vendor.as_str()), ("b1", "Koji"));
        assert_eq!(config.sleeptime, Duration::from_secs(5));
        assert_eq!(config.allowed_scms, "\ngit.example.com:/rpms/*:no\n!bad:*");
        assert!(config.allowed_scms_use_policy && login.serverca.is_none());
        assert_eq!(config.mail.host, "mail:2525");
        assert_eq!(
            (config.mock.user.as_str(), config.mock.host.as_str()),
            ("kojibuilder", "koji-linux-gnu")
        );
        assert_eq!(config.limits.wall, Some(Duration::from_secs(60)));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, name) in [
            ("[kojid]\nuser = a\n", "server"),
            ("[kojid]\nserver = x\n[toji]\nstream = perhaps\n", "stream"),
            ("[kojid]\nserver = x\nmaxjobs = five\n", "maxjobs"),
            ("[kojid]\nserver\n", "server"),
            ("[kojid]\nserver = x\n[toji]\nbuildroot = cellar\n", "buildroot"),
        ] {
            let Err(Error::Option { name: named, .. }) = parse(text).map(drop) else {
                panic!("{text}")
            };
            assert_eq!(named, name);
        }
    }

    #[test]
    fn what_is_unknown_is_passed_over() {
        let text =
            "[kojid]\nserver = x\nmy_plugins_option = 5\nno_ssl_verify = yes\n[other]\nx = y\n";
        assert_eq!(parse(text).expect("configuration").0.server, "x");
    }

    #[test]
    fn own_options_have_a_section() {
        let text = "[kojid]\nserver = x\ncache_size = 5\n[toji]\nstream = no\nsilence_timeout = 600\n\
                    log_size_limit = 2\nmemory_limit = 0\nbuildroot = chroot\nprocess_limit = 9\n\
                    require_limits = memory, disk\n";
        let (config, _) = parse(text).expect("configuration");
        assert!(!config.stream && config.cache_size == 5);
        assert_eq!(config.limits.silence, Some(Duration::from_secs(600)));
        assert_eq!((config.limits.output, config.limits.memory), (Some(2 << 20), None));
        assert_eq!((config.buildroots.kind, config.limits.processes), (Kind::Chroot, Some(9)));
        assert_eq!(config.buildroots.required, ["memory", "disk"]);
    }
}
