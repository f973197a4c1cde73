//! Which packages are wanted for two arches.

use std::collections::HashSet;

use toji_types::glob_match;

/// What is looked at of a package.
#[derive(Debug, Clone, Default)]
pub(super) struct Candidate {
    pub(super) name: String,
    pub(super) arch: String,
    /// Names without versions.
    pub(super) provides: Vec<String>,
    pub(super) files: Vec<String>,
}

/// Names that are always, or never, wanted for both arches.
#[derive(Debug, Default)]
struct Lists {
    white: HashSet<String>,
    black: HashSet<String>,
}

/// The rule, with the lists of a configuration.
#[derive(Debug, Default)]
pub(super) struct Rules {
    runtime: Lists,
    devel: Lists,
}

/// Tools that look into programs of either arch.
const TOOLS: [&str; 6] = ["gdb", "frysk", "systemtap", "systemtap-runtime", "ltrace", "strace"];
const ROOT: [&str; 2] = ["/lib", "/lib64"];
const USR: [&str; 2] = ["/usr/lib", "/usr/lib64"];
/// Below a directory of libraries: all that is in these is loaded by programs.
const LOADED: [&str; 7] =
    ["alsa-lib", "dri", "gtk-2.0/modules", "gtk-2.0/immodules", "krb5/plugins", "sasl2", "vdpau"];
/// Modules of GTK 2, by the end of their directory.
const GTK: [&str; 6] =
    ["engines", "modules", "immodules", "loaders", "printbackends", "filesystems"];
/// Directories of other modules.
const MODULES: [&str; 5] = [
    "/usr/lib*/qt*/plugins/*",
    "/usr/lib*/kde*/plugins/*",
    "/usr/lib*/qt5/qml/*",
    "/usr/lib*/gdk-pixbuf-2.0/*/loaders",
    "/usr/lib*/xine/plugins/*",
];

impl Rules {
    /// Reads a configuration: sections `runtime` and `devel` with lists `white` and `black` of names, which may go on in
    /// indented lines.
    ///
    /// # Errors
    /// A text for lists that are not there, as Koji fails without them.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut lists: [[Option<HashSet<String>>; 2]; 2] = Default::default();
        let (mut section, mut option) = (None, None);
        for line in text.lines() {
            let plain = line.trim();
            if plain.is_empty() || plain.starts_with(['#', ';']) {
                continue;
            }
            let words =
                if let Some(name) = plain.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                    section = ["runtime", "devel"].iter().position(|known| *known == name);
                    option = None;
                    continue;
                } else if line.starts_with([' ', '\t']) {
                    plain
                } else {
                    let (name, value) = plain
                        .split_once(['=', ':'])
                        .ok_or_else(|| format!("a line that is no option: {plain}"))?;
                    let name = name.trim().to_lowercase();
                    option = ["white", "black"].iter().position(|known| *known == name);
                    value
                };
            if let (Some(section), Some(option)) = (section, option) {
                let names = words.split([' ', '\t', ',']).filter(|name| !name.is_empty());
                let list = lists[section][option].get_or_insert_default();
                list.extend(names.map(str::to_owned));
            }
        }
        let [runtime, devel] = lists;
        let whole = |[white, black]: [Option<HashSet<String>>; 2], section: &str| {
            let lack = |name: &str| format!("section {section} has no option {name}");
            Ok::<_, String>(Lists {
                white: white.ok_or_else(|| lack("white"))?,
                black: black.ok_or_else(|| lack("black"))?,
            })
        };
        Ok(Rules { runtime: whole(runtime, "runtime")?, devel: whole(devel, "devel")? })
    }

    /// Whether a package is wanted for both arches.
    pub(super) fn selects(&self, package: &Candidate) -> bool {
        let name = package.name.as_str();
        let kernel = name.starts_with("kernel");
        let provides = |wanted: &str| package.provides.iter().any(|own| own == wanted);
        if self.devel.black.contains(name) {
            return false;
        }
        if self.devel.white.contains(name) || self.at_runtime(package) {
            return true;
        }
        if name.starts_with("ghc-") {
            return false;
        }
        let compiled = |name: &str| name.ends_with("-devel") || name.ends_with("-static");
        if kernel && !provides("kernel-devel") && package.provides.iter().any(|p| compiled(p)) {
            return true;
        }
        !(kernel && provides("kernel-devel")) && compiled(name)
    }

    /// The method "runtime".
    fn at_runtime(&self, package: &Candidate) -> bool {
        let name = package.name.as_str();
        let provides = |wanted: &str| package.provides.iter().any(|own| own == wanted);
        let kernel = name.starts_with("kernel");
        if self.runtime.black.contains(name) {
            return false;
        }
        if self.runtime.white.contains(name) {
            return true;
        }
        if package.arch.contains("64") {
            let own = kernel && (provides("kernel") || provides("kernel-devel"));
            if own || TOOLS.contains(&name) {
                return true;
            }
        }
        if kernel && provides("kernel") {
            return false;
        }
        package.files.iter().any(|path| is_loaded(path))
    }
}

/// Whether a file is a library or module that programs of its arch load.
fn is_loaded(path: &str) -> bool {
    let Some((dir, file)) = path.rsplit_once('/') else { return false };
    let versioned = file.contains(".so.");
    let library = ROOT.contains(&dir) || USR.contains(&dir);
    let in_usr = |below: &str| USR.iter().any(|usr| dir.strip_prefix(usr) == Some(below));
    let loaded = LOADED.iter().any(|known| {
        USR.iter()
            .any(|usr| dir.strip_prefix(usr).is_some_and(|d| d.strip_prefix('/') == Some(known)))
    });
    if (library && versioned)
        || loaded
        || ROOT.iter().any(|root| dir.strip_prefix(root) == Some("/security"))
        || dir == "/etc/lsb-release.d"
        || (dir == "/etc/ld.so.conf.d" && file.ends_with(".conf"))
        || (ROOT.contains(&dir) && (file.starts_with("libnss_") || file.starts_with("libdb-")))
    {
        return true;
    }
    if USR.iter().any(|usr| dir.starts_with(&format!("{usr}/gtk-2.0"))) {
        return GTK.iter().any(|end| glob_match(dir, &format!("/usr/lib*/gtk-2.0/*/{end}")));
    }
    USR.iter().any(|usr| dir.starts_with(&format!("{usr}/gstreamer-")))
        || (dir.starts_with("/usr/lib") && MODULES.iter().any(|pattern| glob_match(dir, pattern)))
        || (in_usr("/oprofile") && versioned)
        || (in_usr("/wine") && file.ends_with(".so"))
        || (in_usr("/sane") && file.starts_with("libsane-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "# names\n[runtime]\nwhite = libflash\n    wine, valgrind\nblack = httpd\n\n[devel]\nwhite =\nblack: php-devel\n    httpd-devel\n[multilib]\npackages = glibc\n";

    fn package(name: &str, files: &[&str], provides: &[&str]) -> Candidate {
        let all = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        Candidate {
            name: name.into(),
            arch: "x86_64".into(),
            provides: all(provides),
            files: all(files),
        }
    }

    #[test]
    fn files_decide() {
        let rules = Rules::parse(CONFIG).unwrap();
        for path in [
            "/lib64/libc.so.6",
            "/usr/lib64/libz.so.1.2.13",
            "/usr/lib64/dri/x",
            "/usr/lib64/gtk-2.0/modules/x",
            "/usr/lib64/gtk-2.0/2.10.0/engines/libx.so",
            "/lib64/security/pam_x.so",
            "/etc/ld.so.conf.d/x.conf",
            "/lib64/libnss_files.so",
            "/usr/lib64/gstreamer-1.0/libx.so",
            "/usr/lib64/qt5/plugins/a/libx.so",
            "/usr/lib64/oprofile/libx.so.1",
            "/usr/lib64/wine/x.so",
            "/usr/lib64/sane/libsane-x.so",
        ] {
            assert!(rules.selects(&package("x", &[path], &[])), "{path}");
        }
        for path in [
            "/usr/lib64/libz.so",
            "/usr/lib64/x/liby.so.1",
            "/usr/bin/x",
            "/usr/lib64/gtk-2.0/2.10.0/other/libx.so",
            "/usr/lib64/libnss_files.so",
            "/usr/lib64/wine/x.dll",
            "/usr/lib64/oprofile/libx.so",
            "/opt/lib64/libz.so.1",
        ] {
            assert!(!rules.selects(&package("x", &[path], &[])), "{path}");
        }
    }

    #[test]
    fn names_decide() {
        let rules = Rules::parse(CONFIG).unwrap();
        let library = ["/usr/lib64/libx.so.1"];
        for (name, files, provides, selected) in [
            ("zlib-devel", &[][..], &[][..], true),
            ("zlib-static", &[], &[], true),
            ("zlib", &[], &[], false),
            ("ghc-x-devel", &[], &[], false),
            ("php-devel", &library, &[], false),
            ("httpd", &library, &[], false),
            ("wine", &[], &[], true),
            ("valgrind", &[], &[], true),
            ("win", &[], &[], false),
            ("gdb", &[], &[], true),
            ("kernel", &[], &["kernel"], true),
            ("kernel-devel", &[], &["kernel-devel"], true),
            ("kernel-headers", &[], &["kernel-headers"], false),
            ("kernel-tools-libs-devel", &[], &["kernel-tools-devel"], true),
        ] {
            assert_eq!(rules.selects(&package(name, files, provides)), selected, "{name}");
        }
    }

    #[test]
    fn both_sections_are_needed() {
        assert!(Rules::parse("[runtime]\nwhite=\nblack=\n").unwrap_err().contains("devel"));
        assert!(Rules::parse("[runtime]\nwhite\n").is_err());
    }
}
