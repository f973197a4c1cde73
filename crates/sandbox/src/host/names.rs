//! What packages of RPM distributions are called on Debian.

/// Package names that follow no rule; the second column holds alternatives.
const KNOWN: &[(&str, &[&str])] = &[
    ("binutils-devel", &["binutils-dev"]),
    ("boost-devel", &["libboost-dev", "libboost-all-dev"]),
    ("bzip2-devel", &["libbz2-dev"]),
    ("bzip2-libs", &["libbz2-1.0"]),
    ("cyrus-sasl-devel", &["libsasl2-dev"]),
    ("dbus-devel", &["libdbus-1-dev"]),
    ("elfutils-devel", &["libdw-dev"]),
    ("elfutils-libelf-devel", &["libelf-dev"]),
    ("expat-devel", &["libexpat1-dev"]),
    ("flex-devel", &["libfl-dev"]),
    ("fuse-devel", &["libfuse-dev"]),
    ("fuse3-devel", &["libfuse3-dev"]),
    ("gcc-c++", &["g++"]),
    ("gcc-gfortran", &["gfortran"]),
    ("gettext-devel", &["gettext"]),
    ("glib2-devel", &["libglib2.0-dev"]),
    ("glibc", &["libc6"]),
    ("glibc-common", &["libc-bin"]),
    ("glibc-devel", &["libc6-dev"]),
    ("glibc-headers", &["libc6-dev"]),
    ("glibc-langpack-en", &["libc-bin"]),
    ("glibc-minimal-langpack", &["libc-bin"]),
    ("glibc-static", &["libc6-dev"]),
    ("gnupg2", &["gnupg", "gpg"]),
    ("golang", &["golang-go"]),
    ("gperftools-devel", &["libgoogle-perftools-dev"]),
    ("java-devel", &["default-jdk-headless", "openjdk-17-jdk-headless"]),
    ("kernel-headers", &["linux-libc-dev"]),
    ("krb5-devel", &["libkrb5-dev"]),
    ("libacl-devel", &["libacl1-dev"]),
    ("libattr-devel", &["libattr1-dev"]),
    ("libcurl-devel", &["libcurl4-openssl-dev", "libcurl4-gnutls-dev", "libcurl4-nss-dev"]),
    ("libdb-devel", &["libdb-dev"]),
    ("libgcc", &["libgcc-s1"]),
    ("libgcrypt-devel", &["libgcrypt20-dev"]),
    ("libjpeg-turbo-devel", &["libjpeg-dev", "libjpeg62-turbo-dev"]),
    ("libselinux-devel", &["libselinux1-dev"]),
    ("libstdc++", &["libstdc++6"]),
    ("libstdc++-devel", &["g++"]),
    ("libuuid-devel", &["uuid-dev"]),
    ("libxslt-devel", &["libxslt1-dev"]),
    ("libyaml-devel", &["libyaml-dev"]),
    ("ncurses-devel", &["libncurses-dev"]),
    ("oniguruma-devel", &["libonig-dev"]),
    ("openldap-devel", &["libldap-dev", "libldap2-dev"]),
    ("openssl-devel", &["libssl-dev"]),
    ("pam-devel", &["libpam0g-dev"]),
    ("pcre-devel", &["libpcre3-dev"]),
    ("perl-devel", &["libperl-dev"]),
    ("perl-interpreter", &["perl", "perl-base"]),
    ("pkgconf", &["pkg-config", "pkgconf"]),
    ("pkgconf-pkg-config", &["pkg-config", "pkgconf"]),
    ("pkgconfig", &["pkg-config", "pkgconf"]),
    ("popt-devel", &["libpopt-dev"]),
    ("postgresql-devel", &["libpq-dev"]),
    ("libpq-devel", &["libpq-dev"]),
    ("procps-ng", &["procps"]),
    ("python3-devel", &["python3-dev"]),
    ("python3-libs", &["libpython3-stdlib"]),
    ("qt5-qtbase-devel", &["qtbase5-dev"]),
    ("rpm-devel", &["librpm-dev"]),
    ("rust", &["rustc"]),
    ("ruby-devel", &["ruby-dev"]),
    ("shadow-utils", &["passwd"]),
    ("sqlite", &["sqlite3"]),
    ("sqlite-devel", &["libsqlite3-dev"]),
    ("systemd-devel", &["libsystemd-dev"]),
    ("tcl-devel", &["tcl-dev"]),
    ("vim-minimal", &["vim-tiny", "vim"]),
    ("which", &["debianutils"]),
    ("xz", &["xz-utils"]),
    ("xz-devel", &["liblzma-dev"]),
    ("xz-libs", &["liblzma5"]),
    ("zlib", &["zlib1g"]),
    ("zlib-devel", &["zlib1g-dev"]),
    ("zlib-static", &["zlib1g-dev"]),
];

/// Packages that bring nothing but macros, which the macro set of the `host` kind has too.
pub(super) const MACRO_PACKAGES: &[&str] = &[
    "cmake-rpm-macros",
    "perl-generators",
    "pyproject-rpm-macros",
    "python-rpm-macros",
    "python-srpm-macros",
    "python3-rpm-macros",
    "redhat-rpm-config",
];

/// Debian's names for a package, best first; exact names and names with anything before `-dev`.
pub(super) fn candidates(name: &str) -> Vec<String> {
    let mut found: Vec<String> = vec![name.to_string()];
    if let Some((_, known)) = KNOWN.iter().find(|(known, _)| *known == name) {
        found.extend(known.iter().map(ToString::to_string));
    }
    if let Some(stem) = name.strip_suffix("-devel").or_else(|| name.strip_suffix("-static")) {
        let lower = stem.to_lowercase();
        found.extend([format!("{lower}-dev"), format!("lib{lower}-dev")]);
    }
    found
}

/// Whether a Debian package is the development package of `name` under a number, such as
/// `libxml2-dev` for `libxml-devel` or `libpcre2-dev`, `libicu72-dev`.
pub(super) fn is_numbered_dev(name: &str, package: &str) -> bool {
    let Some(stem) = name.strip_suffix("-devel").map(str::to_lowercase) else { return false };
    let Some(middle) = package.strip_suffix("-dev") else { return false };
    let rest = [stem.as_str(), &format!("lib{stem}")]
        .into_iter()
        .find_map(|stem| middle.strip_prefix(stem));
    rest.is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn development_packages_follow_rules() {
        assert!(candidates("pcre2-devel").contains(&"libpcre2-dev".into()));
        assert!(candidates("libffi-devel").contains(&"libffi-dev".into()));
        assert!(candidates("gcc-c++").contains(&"g++".into()));
        assert!(is_numbered_dev("icu-devel", "libicu72-dev"));
        assert!(is_numbered_dev("gmp-devel", "libgmp-dev"));
        assert!(!is_numbered_dev("x-devel", "libxml2-dev"));
        assert!(!is_numbered_dev("icu", "libicu72-dev"));
    }
}
