//! The `host` kind of buildroot: the machine's own programs, read-only, made to build RPM packages properly.
//!
//! Debian's rpm builds packages, but knows little of what spec files expect. What is missing is
//! in `host/macros.host`; the main points are:
//!
//! | matter | there | here |
//! |---|---|---|
//! | database | `~/.rpmdb` | `/var/lib/rpm`, where the packages of a layer are recorded |
//! | `-debuginfo`, `-debugsource` | never declared | declared at `%install`, as distributions of RPM do it; needs `debugedit` (`find-debuginfo`), `elfutils` (`eu-strip`) and, for less size, `dwz` |
//! | build ids | gcc's default | sha1 by `%build_ldflags`, a missing one fails the build |
//! | `%{_libdir}` | `/usr/lib64` | the same; gcc's linker and, by `ld.so.conf.d`, the dynamic linker look there |
//! | `%{?dist}` | empty | from `os-release`, such as `.debian12` |
//! | `%cmake…`, `%meson…`, `%pyproject…`, `%py3…`, `%python3_sitelib` | absent | defined |
//! | dates | now | clamped to the latest changelog entry |
//!
//! On a host which is a distribution of RPM only the database's place is set.

use std::{fs, path::Path};

mod capability;
pub(crate) mod etc;
mod names;
mod provides;

pub use provides::{Host, System, provides};

/// For hosts with another package manager.
const FOREIGN: &str = include_str!("host/macros.host");

/// For hosts of RPM.
const NATIVE: &str = "%_dbpath /var/lib/rpm\n%_topdir /builddir/build\n";

/// The rpm macros of this kind, for `/etc/rpm`.
pub fn macros() -> String {
    // Distributions of RPM configure their rpm by a package that brings this directory.
    if Path::new("/usr/lib/rpm/redhat").exists() || Path::new("/usr/lib/rpm/suse").exists() {
        return NATIVE.to_string();
    }
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    format!("{FOREIGN}\n%dist {}\n", dist(&release))
}

/// The release suffix that names the host's system.
fn dist(os_release: &str) -> String {
    let value = |key: &str| {
        let line = os_release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        let allowed = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
        line.unwrap_or_default().trim_matches('"').chars().filter(allowed).collect::<String>()
    };
    match value("ID") {
        id if id.is_empty() => String::new(),
        id => format!(".{id}{}", value("VERSION_ID")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dist_names_the_system() {
        assert_eq!(dist("NAME=\"x y\"\nID=debian\nVERSION_ID=\"12\"\n"), ".debian12");
        assert_eq!(dist("ID=ubuntu\nVERSION_ID=\"24.04\"\n"), ".ubuntu2404");
        assert_eq!(dist("ID=arch\n"), ".arch");
        assert_eq!(dist(""), "");
    }
}
