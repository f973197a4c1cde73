//! The `/etc` of a buildroot of the `host` kind: what building needs, and nothing that is private.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use crate::{
    error::{Error, Result},
    identity::INSIDE_ID,
};

/// Entries taken from the host; directories with everything readable below them.
const TAKEN: [&str; 41] = [
    "ant",
    "centos-release",
    "crypto-policies",
    "debian_version",
    "fedora-release",
    "fonts",
    "ghc",
    "java",
    "jvm",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "lsb-release",
    "magic",
    "magic.mime",
    "maven",
    "mime.types",
    "nanorc",
    "networks",
    "os-release",
    "pki/ca-trust/extracted",
    "pki/tls/cert.pem",
    "perl",
    "pki/tls/certs",
    "pki/tls/openssl.cnf",
    "protocols",
    "python3",
    "redhat-release",
    "rpc",
    "rpm",
    "services",
    "sgml",
    "shells",
    "ssl/openssl.cnf",
    "system-release",
    "terminfo",
    "texmf",
    "xdg",
    "xml",
    "selinux/config",
];

/// Large public directories: shown as they are on the host instead of being copied.
const SHOWN: [&str; 2] = ["alternatives", "ssl/certs"];

/// Installations of Java and Python keep files in such directories, one for each version.
const TAKEN_PREFIXES: [&str; 2] = ["java-", "python3."];

/// The directories below `host` which are shown rather than copied, relative to it.
pub(crate) fn shown(host: &Path) -> impl Iterator<Item = &'static str> {
    // On Fedora the certificates are a link to a place that is copied.
    let is_dir =
        move |name: &&str| fs::symlink_metadata(host.join(name)).is_ok_and(|found| found.is_dir());
    SHOWN.into_iter().filter(is_dir)
}

/// Fills an empty directory; `hostname` becomes known as an address of the machine itself.
pub(crate) fn fill(host: &Path, etc: &Path, hostname: &str, network: bool) -> Result<()> {
    let mut names: Vec<String> = TAKEN.iter().map(ToString::to_string).collect();
    if network {
        names.push("resolv.conf".into());
    }
    for entry in fs::read_dir(host).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if TAKEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            names.push(name);
        }
    }
    for name in SHOWN {
        let place = etc.join(name);
        if shown(host).any(|shown| shown == name) {
            fs::create_dir_all(&place).map_err(Error::file("create", place))?;
        } else {
            names.push(name.into());
        }
    }
    for name in &names {
        let (from, to) = (host.join(name), etc.join(name));
        if let Some(parent) = to.parent()
            && fs::symlink_metadata(&from).is_ok()
        {
            fs::create_dir_all(parent).map_err(Error::file("create", parent))?;
        }
        copy_readable(&from, &to, name == "resolv.conf").map_err(Error::file("copy", from))?;
    }
    let id = INSIDE_ID;
    let written = [
        (
            "passwd",
            format!(
                "root:x:0:0:root:/root:/bin/sh\nbuilder:x:{id}:{id}:builder:/builddir:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"
            ),
        ),
        ("group", format!("root:x:0:\nbuilder:x:{id}:\nnogroup:x:65534:\n")),
        ("hosts", format!("127.0.0.1 localhost {hostname}\n::1 localhost {hostname}\n")),
        ("hostname", format!("{hostname}\n")),
        (
            "nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"
                .into(),
        ),
        ("machine-id", String::new()),
        // Debian's dynamic linker does not look there by itself, but rpm packages install there.
        ("ld.so.conf.d/lib64.conf", "/usr/lib64\n".into()),
    ];
    for (name, text) in written {
        let path = etc.join(name);
        let parent = path.parent().unwrap_or(etc);
        fs::create_dir_all(parent).map_err(Error::file("create", parent))?;
        fs::write(&path, text).map_err(Error::file("write", &path))?;
    }
    let zone = etc.join("localtime");
    symlink("/usr/share/zoneinfo/UTC", &zone).map_err(Error::file("create the link", zone))
}

/// Copies links as links, and files and directories only if everybody may read them.
fn copy_readable(from: &Path, to: &Path, follow: bool) -> io::Result<()> {
    let found = if follow { fs::metadata(from) } else { fs::symlink_metadata(from) };
    let Ok(found) = found else { return Ok(()) };
    if found.is_symlink() {
        return symlink(fs::read_link(from)?, to);
    }
    let everyone = found.permissions().mode() & 0o004 != 0;
    if found.is_dir() && everyone {
        fs::create_dir(to)?;
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            copy_readable(&from.join(&name), &to.join(&name), false)?;
        }
    } else if found.is_file() && everyone {
        fs::copy(from, to)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_files_stay_out() {
        let dir = tempfile::tempdir().unwrap();
        let (host, etc) = (dir.path().join("host"), dir.path().join("etc"));
        fs::create_dir_all(host.join("ssl/certs")).unwrap();
        fs::create_dir_all(host.join("pki/tls/certs")).unwrap();
        fs::create_dir_all(host.join("ssl/private")).unwrap();
        fs::create_dir_all(&etc).unwrap();
        for (name, mode) in [
            ("shadow", 0o644),
            ("pki/tls/certs/ca.pem", 0o644),
            ("pki/tls/certs/key.pem", 0o600),
            ("ssl/private/key", 0o644),
            ("passwd", 0o644),
            ("resolv.conf", 0o644),
        ] {
            fs::write(host.join(name), "host").unwrap();
            fs::set_permissions(host.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        symlink("/usr/bin/gcc", host.join("os-release")).unwrap();
        fill(&host, &etc, "box", false).unwrap();
        assert!(etc.join("pki/tls/certs/ca.pem").exists());
        assert_eq!(shown(&host).collect::<Vec<_>>(), ["ssl/certs"]);
        assert_eq!(fs::read_dir(etc.join("ssl/certs")).unwrap().count(), 0);
        assert!(etc.join("os-release").is_symlink());
        for absent in ["shadow", "ssl/private", "pki/tls/certs/key.pem", "resolv.conf"] {
            assert!(!etc.join(absent).exists(), "{absent}");
        }
        let passwd = fs::read_to_string(etc.join("passwd")).unwrap();
        assert!(passwd.contains("builder") && !passwd.contains("host"));
    }
}
