//! Reading `kojid.conf`.

use std::path::Path;
use std::time::Duration;

use super::Config;
use super::login::Login;
use crate::error::Error;

/// Options of Koji's builder that mean nothing here: other kinds of builds, mock.
const IGNORED: &[&str] = &[
    "admin_emails",
    "allow_noverifyssl",
    "chroot_tmpdir",
    "copy_old_repodata",
    "createrepo_skip_stat",
    "createrepo_update",
    "distrepo_skip_stat",
    "literal_task_arches",
    "log_level",
    "log_timestamps",
    "maven_repo_ignore",
    "max_retries",
    "mock_bootstrap_image",
    "mockdir",
    "mockhost",
    "mockuser",
    "offline_retry",
    "oz_install_timeout",
    "pkgurl",
    "scm_credentials_dir",
    "support_rpm_source_layout",
    "task_avail_delay",
    "timeout",
    "topdir",
    "use_createrepo_c",
    "use_fast_upload",
    "xz_options",
    "yum_proxy",
    "buildroot_basic_cleanup_delay",
    "buildroot_final_cleanup_delay",
];

impl Config {
    /// Reads a `kojid.conf`, the certificates that it names and those that lie where `kojid` looks for them.
    ///
    /// Options of Koji that have no meaning here are passed over; unknown ones are errors, as for `kojid`.
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
    for (name, value) in options(text)? {
        let value = value.as_str();
        let own = || value.to_owned();
        match name.as_str() {
            "server" => config.server = own(),
            "topurl" => config.topurl = value.split_whitespace().next().map(str::to_owned),
            "grpc" => config.grpc = Some(own()),
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
            "host_provides" => {
                config.host_provides = value.split_whitespace().map(str::to_owned).collect()
            }
            "plugin" | "plugins" => {
                config.plugins = value.split_whitespace().map(str::to_owned).collect();
            }
            "pluginpath" => config.plugin_path = value.split(':').map(Into::into).collect(),
            "maxjobs" => config.maxjobs = number(&name, value)?,
            "minspace" => config.minspace = number(&name, value)?,
            "max_load" => config.max_load = number(&name, value)?,
            "cache_size" => config.cache_size = number(&name, value)?,
            "failed_buildroot_lifetime" => {
                config.failed_buildroot_lifetime = Duration::from_secs(number(&name, value)?);
            }
            "retry_interval" => {
                config.retry_interval = Duration::from_secs(number(&name, value)?);
            }
            "offline_retry_interval" => {
                config.offline_retry_interval = Duration::from_secs(number(&name, value)?);
            }
            "sleeptime" => {
                // As kojid, which reports each time it looks for tasks.
                config.sleeptime = Duration::from_secs(number(&name, value)?);
                config.report_interval = config.sleeptime.max(Duration::from_secs(1));
            }
            "rpmbuild_timeout" => {
                config.limits.wall = Some(Duration::from_secs(number(&name, value)?))
            }
            "build_arch_can_fail" => config.build_arch_can_fail = truth(&name, value)?,
            "allowed_scms_use_config" => config.allowed_scms_use_config = truth(&name, value)?,
            "allowed_scms_use_policy" => config.allowed_scms_use_policy = truth(&name, value)?,
            "no_ssl_verify" | "allow_password_in_scm_url" if !truth(&name, value)? => {}
            known if IGNORED.contains(&known) || known.starts_with("rlimit_") => {
                tracing::debug!(option = known, "passed over");
            }
            _ => return Err(wrong(&name, "is unknown or cannot be honoured")),
        }
    }
    if config.server.is_empty() {
        return Err(wrong("server", "is required"));
    }
    Ok((config, login))
}

/// The options of the section `[kojid]`; indented lines continue a value.
fn options(text: &str) -> Result<Vec<(String, String)>, Error> {
    let mut all: Vec<(String, String)> = Vec::new();
    let mut ours = false;
    for line in text.lines() {
        let content = line.trim();
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        if let Some(section) = content.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            ours = section == "kojid";
            continue;
        }
        if !ours {
            continue;
        }
        if line.starts_with([' ', '\t'])
            && let Some((_, value)) = all.last_mut()
        {
            value.push('\n');
            value.push_str(content);
            continue;
        }
        let Some((name, value)) = content.split_once(['=', ':']) else {
            return Err(wrong(content, "has no value"));
        };
        all.push((name.trim().to_lowercase(), value.trim().to_owned()));
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
        assert_eq!(config.limits.wall, Some(Duration::from_secs(60)));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, name) in [
            ("[kojid]\nuser = a\n", "server"),
            ("[kojid]\nserver = x\nmaxjob = 5\n", "maxjob"),
            ("[kojid]\nserver = x\nmaxjobs = five\n", "maxjobs"),
            ("[kojid]\nserver = x\nno_ssl_verify = yes\n", "no_ssl_verify"),
            ("[kojid]\nserver\n", "server"),
        ] {
            let Err(Error::Option { name: named, .. }) = parse(text).map(drop) else {
                panic!("{text}")
            };
            assert_eq!(named, name);
        }
    }
}
