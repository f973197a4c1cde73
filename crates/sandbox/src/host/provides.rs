//! What the host itself offers to BuildRequires.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use super::{
    capability::{Capability, Demand},
    names,
};

/// The host as far as it is asked about its contents.
pub trait System: Send + Sync {
    /// Runs a program and returns its standard output if it succeeds.
    fn run(&self, argv: &[&str]) -> Option<String>;
    /// Whether a file or directory exists.
    fn exists(&self, path: &str) -> bool;
}

/// The machine on which this process runs.
#[derive(Debug)]
struct ThisMachine;

impl System for ThisMachine {
    fn run(&self, argv: &[&str]) -> Option<String> {
        let output = std::process::Command::new(argv.first()?)
            .args(&argv[1..])
            .env_clear()
            .env("PATH", crate::buildroot::PATH)
            .env("LANG", "C.UTF-8")
            .stdin(std::process::Stdio::null())
            .output()
            .ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn exists(&self, path: &str) -> bool {
        Path::new(path).exists()
    }
}

/// Whether the host offers a capability; answers are remembered for the life of the process.
///
/// Understands what spec files write: names, versions, paths, `pkgconfig(x)`, `python3dist(x)`, `perl(X)`,
/// `cmake(X)`, sonames, `rpmlib(x)` and combinations in brackets. A version is compared where the
/// host's is known, and accepted otherwise. Programs are run for it: it may block for some milliseconds.
pub fn provides(capability: &str) -> bool {
    static HOST: OnceLock<Host> = OnceLock::new();
    HOST.get_or_init(|| Host::new(Box::new(ThisMachine))).provides(capability)
}

/// Answers what a system offers.
pub struct Host {
    system: Box<dyn System>,
    answers: Mutex<HashMap<String, bool>>,
    packages: OnceLock<HashMap<String, String>>,
}

impl Host {
    /// Asks the given system.
    pub fn new(system: Box<dyn System>) -> Self {
        Self { system, answers: Mutex::default(), packages: OnceLock::new() }
    }

    /// See [`provides`].
    pub fn provides(&self, capability: &str) -> bool {
        if let Some(known) = self.answers().get(capability) {
            return *known;
        }
        let answer = Demand::parse(capability)
            .is_some_and(|demand| demand.holds(&mut |one| self.offers(one)));
        self.answers().insert(capability.to_string(), answer);
        answer
    }

    fn answers(&self) -> MutexGuard<'_, HashMap<String, bool>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn offers(&self, wanted: &Capability) -> bool {
        let name = wanted.name.as_str();
        if name.starts_with('/') {
            return self.system.exists(name);
        }
        if let Some((kind, argument)) = name.split_once('(')
            && let Some(argument) = argument.split_once(')').map(|(argument, _)| argument)
        {
            return self.offers_kind(wanted, kind, argument) || self.in_rpm_database(wanted);
        }
        self.package(wanted) || self.in_rpm_database(wanted) || self.program(wanted)
    }

    fn offers_kind(&self, wanted: &Capability, kind: &str, argument: &str) -> bool {
        let safe = |c: char| c.is_ascii_alphanumeric() || "-_.+:".contains(c);
        if argument.starts_with('-') || !argument.chars().all(safe) {
            return false;
        }
        let run = |argv: &[&str]| self.system.run(argv);
        let version = match kind {
            "pkgconfig" => run(&["pkg-config", "--modversion", argument]),
            "python3dist" => run(&["/usr/bin/python3", "-Ic", DIST_VERSION, argument]),
            _ if kind.starts_with("python3.") && kind.ends_with("dist") => {
                let python = format!("/usr/bin/{}", kind.trim_end_matches("dist"));
                run(&[&python, "-Ic", DIST_VERSION, argument])
            }
            "python" if argument == "abi" => run(&["/usr/bin/python3", "-Ic", ABI]),
            "perl" if argument == ":VERSION" => run(&["/usr/bin/perl", "-e", "printf '%vd', $^V"]),
            "perl" => {
                let program = format!("print {argument}->VERSION // ''");
                run(&["/usr/bin/perl", &format!("-M{argument}"), "-e", &program])
            }
            "rpmlib" => {
                return run(&["rpm", "--showrc"]).is_some_and(|text| text.contains(&wanted.name));
            }
            "rtld" => return true,
            "config" => {
                return self.package(&Capability { name: argument.into(), condition: None });
            }
            "cmake" => return self.cmake(argument),
            _ if kind.contains(".so") => return self.library(kind),
            _ => None,
        };
        version.is_some_and(|text| {
            let text = text.trim();
            wanted.accepts((!text.is_empty()).then_some(text))
        })
    }

    /// A package of the host's own kind, by the same name, a known name or a rule.
    fn package(&self, wanted: &Capability) -> bool {
        let name = wanted.name.as_str();
        if names::MACRO_PACKAGES.contains(&name) && self.system.exists("/etc/debian_version") {
            return true;
        }
        let packages = self.packages();
        let exact = names::candidates(name);
        let by_name = exact.iter().filter_map(|name| packages.get(name));
        let numbered = packages
            .iter()
            .filter(|(package, _)| names::is_numbered_dev(name, package))
            .map(|(_, v)| v);
        by_name.chain(numbered).any(|version| wanted.accepts(Some(upstream(version))))
    }

    /// Debian's installed packages and the names which they provide.
    fn packages(&self) -> &HashMap<String, String> {
        self.packages.get_or_init(|| {
            let format = "${db:Status-Status}|${Package}|${Version}|${Provides}\\n";
            let text = self.system.run(&["dpkg-query", "-W", "-f", format]).unwrap_or_default();
            let mut found = HashMap::new();
            for line in text.lines() {
                let mut fields = line.splitn(4, '|');
                let (Some("installed"), Some(package), Some(version)) =
                    (fields.next(), fields.next(), fields.next())
                else {
                    continue;
                };
                let provided = fields.next().unwrap_or_default().split(',');
                for name in provided.filter_map(|name| name.split_whitespace().next()) {
                    found.entry(name.to_string()).or_insert_with(|| version.to_string());
                }
                found.insert(package.to_string(), version.to_string());
            }
            found
        })
    }

    fn program(&self, wanted: &Capability) -> bool {
        let safe = wanted.name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.+".contains(c));
        safe && ["/usr/bin/", "/usr/sbin/"]
            .iter()
            .any(|dir| self.system.exists(&format!("{dir}{}", wanted.name)))
    }

    fn library(&self, soname: &str) -> bool {
        let cache = self.system.run(&["ldconfig", "-p"]).unwrap_or_default();
        cache.lines().any(|line| line.split_whitespace().next() == Some(soname))
    }

    fn cmake(&self, name: &str) -> bool {
        let files =
            [format!("{name}Config.cmake"), format!("{}-config.cmake", name.to_lowercase())];
        let machine = self.system.run(&["gcc", "-print-multiarch"]).unwrap_or_default();
        let places =
            [format!("lib/{}", machine.trim()), "lib64".into(), "lib".into(), "share".into()];
        places.iter().any(|place| {
            files
                .iter()
                .any(|file| self.system.exists(&format!("/usr/{place}/cmake/{name}/{file}")))
        })
    }

    /// On a host which is a distribution of RPM.
    fn in_rpm_database(&self, wanted: &Capability) -> bool {
        if self.system.exists("/etc/debian_version") || wanted.name.starts_with('-') {
            return false;
        }
        let format = "[%{PROVIDES}|%{PROVIDEVERSION}\\n]";
        let argv = ["rpm", "-q", "--whatprovides", wanted.name.as_str(), "--qf", format];
        self.system.run(&argv).is_some_and(|text| {
            text.lines()
                .filter_map(|line| line.split_once('|'))
                .filter(|(name, _)| {
                    *name == wanted.name || name.starts_with(&format!("{}(", wanted.name))
                })
                .any(|(_, version)| wanted.accepts((!version.is_empty()).then_some(version)))
        })
    }
}

const DIST_VERSION: &str = "import sys, importlib.metadata as m; print(m.version(sys.argv[1]))";
const ABI: &str = "import sys; print('%d.%d' % sys.version_info[:2])";

/// Debian's version without epoch and revision.
fn upstream(version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    let version = version.rsplit_once('-').map_or(version, |(upstream, _)| upstream);
    version
        .split_once("+dfsg")
        .or_else(|| version.split_once(".dfsg"))
        .map_or(version, |(plain, _)| plain)
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    struct Fixed {
        debian: bool,
        runs: Arc<AtomicUsize>,
    }

    impl System for Fixed {
        fn run(&self, argv: &[&str]) -> Option<String> {
            self.runs.fetch_add(1, Ordering::SeqCst);
            let text = match argv {
                ["dpkg-query", ..] if self.debian => {
                    "installed|g++|4:12.2.0-3|c++-compiler, g++-x86-64-linux-gnu (= 4:12.2.0-3)\n\
                     installed|zlib1g-dev|1:1.2.13.dfsg-1|libz-dev (= 1:1.2.13.dfsg-1)\n\
                     config-files|libssl-dev|3.0|\ninstalled|libicu-dev|72.1-3|\ninstalled|libonig-dev|6.9.8-1|\n"
                }
                ["pkg-config", _, "zlib"] => "1.2.13\n",
                ["/usr/bin/python3", "-Ic", _, "setuptools"] => "66.1.1\n",
                ["/usr/bin/perl", "-MList::Util", ..] => "1.62",
                ["ldconfig", "-p"] => "1 libs\n\tlibz.so.1 (libc6,x86-64) => /lib/libz.so.1\n",
                ["rpm", "--showrc"] => "    rpmlib(PayloadIsZstd) = 5.4.18-1\n",
                ["rpm", "-q", "--whatprovides", "gcc", ..] if !self.debian => {
                    "gcc|14.1\ngcc(x86-64)|14.1\n"
                }
                _ => return None,
            };
            Some(text.to_string())
        }

        fn exists(&self, path: &str) -> bool {
            path == "/usr/bin/make" || (self.debian && path == "/etc/debian_version")
        }
    }

    fn host(debian: bool) -> (Host, Arc<AtomicUsize>) {
        let runs = Arc::new(AtomicUsize::new(0));
        (Host::new(Box::new(Fixed { debian, runs: runs.clone() })), runs)
    }

    #[test]
    fn a_debian_host_is_asked_in_its_own_words() {
        let (host, _) = host(true);
        for (capability, expected) in [
            ("gcc-c++", true),
            ("gcc-c++ >= 12.1", true),
            ("gcc-c++ >= 13", false),
            ("c++-compiler", true),
            ("zlib-devel = 1.2.13", true),
            ("openssl-devel", false),
            ("icu-devel", true),
            ("oniguruma-devel >= 6.9", true),
            ("make", true),
            ("/usr/bin/make", true),
            ("/usr/bin/nothing", false),
            ("nothing", false),
            ("pkgconfig(zlib) >= 1.2", true),
            ("pkgconfig(zlib) >= 2", false),
            ("pkgconfig(nothing)", false),
            ("pkgconfig(--version)", false),
            ("python3dist(setuptools)", true),
            ("perl(List::Util) >= 1.60", true),
            ("perl(x'y)", false),
            ("libz.so.1()(64bit)", true),
            ("libq.so.1()(64bit)", false),
            ("rpmlib(PayloadIsZstd) <= 5.4.18-1", true),
            ("rpmlib(Unheard)", false),
            ("(nothing or make)", true),
            ("redhat-rpm-config", true),
            ("systemd-rpm-macros", false),
        ] {
            assert_eq!(host.provides(capability), expected, "{capability}");
        }
    }

    #[test]
    fn an_rpm_host_is_asked_by_its_database() {
        let (host, _) = host(false);
        assert!(host.provides("gcc >= 14"));
        assert!(!host.provides("gcc >= 15"));
        assert!(!host.provides("redhat-rpm-config"));
    }

    #[test]
    fn answers_are_remembered() {
        let (host, runs) = host(true);
        assert!(host.provides("pkgconfig(zlib)"));
        let once = runs.load(Ordering::SeqCst);
        assert!(host.provides("pkgconfig(zlib)"));
        assert_eq!(runs.load(Ordering::SeqCst), once);
    }

    #[test]
    fn this_machine_can_be_asked() {
        assert!(provides("gcc") && provides("glibc-devel") && provides("libc.so.6()(64bit)"));
        assert!(provides("rpmlib(CompressedFileNames) <= 3.0.4-1"));
        assert!(!provides("no-such-thing-devel"));
    }
}
