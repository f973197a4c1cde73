//! What a host logs in with, as `kojid.conf` says it: files and names with `kojid`'s defaults.

use std::path::{Path, PathBuf};

use toji_client::Keys;

use super::Config;
use crate::error::Error;

/// Where `kojid` finds what its configuration does not name.
const CERT: &str = "/etc/kojid/client.crt";
const SERVERCA: &str = "/etc/kojid/serverca.crt";
const KEYTAB: &str = "/etc/kojid/kojid.keytab";
const CCACHE: &str = "/var/tmp/kojid.ccache";
const FORMAT: &str = "compile/%s@EXAMPLE.COM";

/// Options about logins.
#[derive(Debug, Default)]
pub(super) struct Login {
    pub(super) serverca: Option<PathBuf>,
    pub(super) cert: Option<PathBuf>,
    pub(super) keytab: Option<PathBuf>,
    pub(super) ccache: Option<PathBuf>,
    pub(super) principal: Option<String>,
    pub(super) format: Option<String>,
}

impl Login {
    /// Reads the certificates; without a certificate and a user name the host has keys.
    pub(super) fn complete(self, config: &mut Config) -> Result<(), Error> {
        config.serverca = certificates(self.serverca, SERVERCA)?;
        // As for kojid: a certificate that is not there is none.
        config.cert = certificates(self.cert.filter(|file| file.is_file()), CERT)?;
        if config.cert.is_none() && config.user.is_empty() {
            let principal = match self.principal.filter(|name| !name.is_empty()) {
                Some(principal) => principal,
                None => self.format.as_deref().unwrap_or(FORMAT).replace("%s", &full_name()),
            };
            let keytab = self.keytab.unwrap_or_else(|| KEYTAB.into());
            let ccache = Some(self.ccache.unwrap_or_else(|| CCACHE.into()));
            config.keys = Some(Keys { principal, keytab, ccache });
        }
        if config.user.is_empty() {
            // What buildroots are told as the name of their host.
            config.user = full_name();
        }
        Ok(())
    }
}

/// The content of a file that is named, or of the usual one if that is there.
fn certificates(named: Option<PathBuf>, usual: &str) -> Result<Option<Vec<u8>>, Error> {
    let usual = || Some(PathBuf::from(usual)).filter(|file| file.is_file());
    let Some(path) = named.or_else(usual) else { return Ok(None) };
    std::fs::read(&path).map(Some).map_err(|source| Error::Work { path, source })
}

/// The machine's name with its domain, as far as the machine itself knows it.
fn full_name() -> String {
    let read = |file: &str| std::fs::read_to_string(Path::new(file)).unwrap_or_default();
    let name = read("/proc/sys/kernel/hostname").trim().to_owned();
    named_in(&read("/etc/hosts"), &name).unwrap_or(name)
}

/// The first name with a domain on the line of `/etc/hosts` that has the name.
fn named_in(hosts: &str, name: &str) -> Option<String> {
    if name.contains('.') {
        return None;
    }
    let lines = hosts.lines().map(|line| line.split('#').next().unwrap_or_default());
    let mut names = lines.map(|line| line.split_whitespace().skip(1));
    let line = names.find(|names| names.clone().any(|known| known == name))?;
    line.clone().find(|known| known.contains('.')).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(login: Login, user: &str) -> Config {
        let mut config = Config::new("https://hub.example.com/kojihub", user, "", "/tmp");
        login.complete(&mut config).expect("files");
        config
    }

    #[test]
    fn a_certificate_goes_first_then_the_user_then_keys() {
        let dir = tempfile::tempdir().expect("directory");
        let cert = dir.path().join("client.pem");
        std::fs::write(&cert, "pem").expect("file");
        let with = Login { cert: Some(cert), ..Login::default() };
        let config = completed(with, "b1");
        assert_eq!((config.cert.as_deref(), config.keys), (Some(&b"pem"[..]), None));
        let missing = Login { cert: Some("/nowhere/client.pem".into()), ..Login::default() };
        let config = completed(missing, "b1");
        assert_eq!((config.cert, config.keys), (None, None));
        let keytab =
            || Login { keytab: Some("/k".into()), ccache: Some("/c".into()), ..Login::default() };
        let named = Login { principal: Some("compile/b1@X".into()), ..keytab() };
        let keys = Keys {
            principal: "compile/b1@X".into(),
            keytab: "/k".into(),
            ccache: Some("/c".into()),
        };
        assert_eq!(completed(named, "").keys, Some(keys));
        let formed = Login { format: Some("build/%s@Y".into()), ..keytab() };
        let principal = completed(formed, "").keys.expect("keys").principal;
        assert!(principal.starts_with("build/") && principal.ends_with("@Y"), "{principal}");
    }

    #[test]
    fn the_machines_full_name() {
        let hosts = "127.0.0.1 localhost\n10.0.0.7 b1.example.com b1 # the builder\n";
        assert_eq!(named_in(hosts, "b1").as_deref(), Some("b1.example.com"));
        assert_eq!(named_in(hosts, "b2"), None);
        assert_eq!(named_in(hosts, "b1.other.org"), None);
    }
}
