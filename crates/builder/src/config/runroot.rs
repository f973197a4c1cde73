//! Settings of `runroot`, in the file of Koji's plugin: what of the machine is shown in buildroots.

use std::path::{Path, PathBuf};

use toji_sandbox::Mount;
use toji_value::{Map, Value};

/// What may be mounted, and from where.
#[derive(Debug, Default)]
pub(crate) struct Runroot {
    default_mounts: Vec<String>,
    safe_roots: Vec<String>,
    path_subs: Vec<(String, String)>,
    origins: Vec<Origin>,
    /// Whether mock makes devices of its own.
    pub(crate) internal_dev_setup: Option<bool>,
}

/// Where what is mounted below a directory comes from.
#[derive(Debug)]
struct Origin {
    mountpoint: String,
    path: String,
    fstype: String,
    options: Vec<String>,
}

impl Runroot {
    /// Reads `runroot.conf` of a folder; where there is none, nothing is mounted.
    ///
    /// # Errors
    /// What is wrong with it, in the plugin's words.
    pub(crate) fn load(folder: Option<&Path>) -> Result<Self, String> {
        let Some(folder) = folder else { return Ok(Self::default()) };
        let settings = toji_plugin::settings(folder, "runroot").map_err(|e| e.to_string())?;
        Self::read(&settings)
    }

    fn read(settings: &Map) -> Result<Self, String> {
        let text = |section: &str, name: &str| -> Option<String> {
            Some(settings.value(section).get(name).as_str()?.to_owned())
        };
        let list = |name: &str| -> Vec<String> {
            let text = text("paths", name);
            text.map(|text| text.split(',').map(str::to_owned).collect()).unwrap_or_default()
        };
        let mut all = Runroot {
            default_mounts: list("default_mounts"),
            safe_roots: list("safe_roots"),
            internal_dev_setup: text("runroot", "internal_dev_setup")
                .map(|t| truth(&t))
                .transpose()?,
            ..Runroot::default()
        };
        let subs = text("paths", "path_subs").unwrap_or_default();
        for line in subs.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let pair = line.split_once(',').filter(|(_, to)| !to.contains(','));
            let (from, to) = pair.ok_or_else(|| format!("bad runroot substitution: {line}"))?;
            all.path_subs.push((from.to_owned(), to.to_owned()));
        }
        let number = |name: &str| name.strip_prefix("path")?.parse::<u32>().ok();
        let mut sections: Vec<(u32, &Value)> =
            settings.iter().filter_map(|(name, values)| Some((number(name)?, values))).collect();
        sections.sort_by_key(|(number, _)| *number);
        for (number, section) in sections {
            let missing = || format!("bad config: missing options in path{number} section");
            let get = |name| section.get(name).as_str().map(str::to_owned).ok_or_else(missing);
            let options = get("options")?.split(',').map(str::to_owned).collect();
            let (mountpoint, path, fstype) = (get("mountpoint")?, get("path")?, get("fstype")?);
            all.origins.push(Origin { mountpoint, path, fstype, options });
        }
        let from = all.path_subs.iter().map(|(from, _)| from);
        match all
            .default_mounts
            .iter()
            .chain(&all.safe_roots)
            .chain(from)
            .find(|p| !p.starts_with('/'))
        {
            Some(path) => Err(format!(
                "bad config: all paths (default_mounts, safe_roots, path_subs) needs to be absolute: {path}"
            )),
            None => Ok(all),
        }
    }

    /// What is mounted always, and what a task wants to write to.
    ///
    /// # Errors
    /// What may not be mounted, or has no origin.
    pub(crate) fn mounts(&self, wanted: &[String]) -> Result<Vec<Mount>, String> {
        let always = self.default_mounts.iter().map(|path| self.mount(path, false));
        let wanted = wanted.iter().map(|path| self.mount(&self.allowed(path)?, true));
        always.chain(wanted).collect()
    }

    /// A path that a task may have mounted, as its origin knows it.
    fn allowed(&self, wanted: &str) -> Result<String, String> {
        let path = normal(wanted);
        if !self.safe_roots.iter().any(|root| path.starts_with(root.as_str())) {
            return Err(format!("read-write mount point is not safe: {path}"));
        }
        let replaced = |path: String, (from, to): &(String, String)| path.replace(from, to);
        Ok(self.path_subs.iter().fold(path, replaced))
    }

    fn mount(&self, path: &str, writable: bool) -> Result<Mount, String> {
        let origin = self.origins.iter().find(|origin| path.starts_with(&origin.mountpoint));
        let origin = origin.ok_or("bad config: missing corresponding mountpoint")?;
        let rest = path[origin.mountpoint.len()..].trim_start_matches('/');
        // As Python joins paths: without a rest there is a slash at the end.
        let source = format!("{}/{rest}", origin.path.trim_end_matches('/'));
        let options: Vec<String> = origin
            .options
            .iter()
            .map(|option| if writable && option == "ro" { "rw".to_owned() } else { option.clone() })
            .collect();
        let bind = options.iter().any(|option| option == "bind");
        if bind && !is_below(Path::new(&source), Path::new(&origin.path)) {
            return Err(format!("No such directory or mount: {source}"));
        }
        if options.iter().any(|option| option == "bg") {
            return Err("bad config: background mount not allowed".to_owned());
        }
        let kind = if bind { "none".to_owned() } else { origin.fstype.clone() };
        Ok(Mount { source, inside: PathBuf::from(path), kind, options })
    }
}

/// Whether there is such a directory, and really below the other one: an earlier task may have put a link there.
fn is_below(path: &Path, top: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    path.is_dir() && real(top).zip(real(path)).is_some_and(|(top, path)| path.starts_with(top))
}

/// A path without steps that lead nowhere or upwards.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let start = if path.starts_with('/') { "/" } else { "" };
    format!("{start}{}", parts.join("/"))
}

fn truth(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "1" | "yes" | "true" | "on" => Ok(true),
        "0" | "no" | "false" | "off" => Ok(false),
        _ => Err(format!("Not a boolean: {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(dir: &Path, text: &str) -> Result<Runroot, String> {
        std::fs::write(dir.join("runroot.conf"), text).expect("file");
        Runroot::load(Some(dir))
    }

    fn short(mount: &Mount) -> String {
        let inside = mount.inside.display();
        format!("{} {} {inside} {}", mount.kind, mount.source, mount.options.join(","))
    }

    #[test]
    fn mounts_are_those_of_the_plugin() {
        let dir = tempfile::tempdir().expect("directory");
        let here = dir.path().display();
        let text = format!(
            "[runroot]\ninternal_dev_setup = yes\n[paths]\ndefault_mounts = /mnt/archive,/mnt/archive/disk\n\
             safe_roots = /mnt/archive/tmp,/mnt/old\npath_subs =\n  /mnt/old/,/mnt/archive/older/\n\
             [path1]\nmountpoint = /mnt\npath = store:/all\nfstype = nfs\noptions = ro,hard\n\
             [path0]\nmountpoint = /mnt/archive/disk\npath = {here}\nfstype = bind\noptions = bind,ro\n"
        );
        let runroot = read(dir.path(), &text).expect("settings");
        assert_eq!(runroot.internal_dev_setup, Some(true));
        let always = runroot.mounts(&[]).expect("mounts");
        let disk = format!("none {here}/ /mnt/archive/disk bind,ro");
        assert_eq!(
            always.iter().map(short).collect::<Vec<_>>(),
            ["nfs store:/all/archive /mnt/archive ro,hard", &disk]
        );
        let more = ["/mnt/archive/x/../tmp//a".to_owned(), "/mnt/old/b".to_owned()];
        let more = runroot.mounts(&more).expect("mounts");
        assert_eq!(
            more[2..].iter().map(short).collect::<Vec<_>>(),
            [
                "nfs store:/all/archive/tmp/a /mnt/archive/tmp/a rw,hard",
                "nfs store:/all/archive/older/b /mnt/archive/older/b rw,hard"
            ]
        );
        for (bad, path) in [
            ("/mnt/archive/tmp/../secret", "/mnt/archive/secret"),
            ("mnt/archive/tmp", "mnt/archive/tmp"),
            ("/../etc", "/etc"),
        ] {
            let error = runroot.mounts(&[bad.to_owned()]).expect_err("refused");
            assert_eq!(error, format!("read-write mount point is not safe: {path}"));
        }
    }

    #[test]
    fn mistakes_are_named() {
        let dir = tempfile::tempdir().expect("directory");
        let path = |options: &str| {
            format!("[path0]\nmountpoint = /m\npath = /no/such\nfstype = x\noptions = {options}\n")
        };
        for (text, error) in [
            (
                "[paths]\nsafe_roots = tmp\n".to_owned(),
                "bad config: all paths (default_mounts, safe_roots, path_subs) needs to be absolute: tmp",
            ),
            ("[paths]\npath_subs = /a,/b,/c\n".to_owned(), "bad runroot substitution: /a,/b,/c"),
            (
                "[path3]\nmountpoint = /m\n".to_owned(),
                "bad config: missing options in path3 section",
            ),
            (
                "[paths]\ndefault_mounts = /m\n".to_owned(),
                "bad config: missing corresponding mountpoint",
            ),
            (
                format!("[paths]\ndefault_mounts = /m/a\n{}", path("bind")),
                "No such directory or mount: /no/such/a",
            ),
            (
                format!("[paths]\ndefault_mounts = /m\n{}", path("bg,ro")),
                "bad config: background mount not allowed",
            ),
        ] {
            let found = read(dir.path(), &text).and_then(|runroot| runroot.mounts(&[]));
            assert_eq!(found.expect_err(&text), error);
        }
        let none = tempfile::tempdir().expect("directory");
        assert!(
            Runroot::load(Some(none.path()))
                .expect("nothing")
                .mounts(&[])
                .expect("none")
                .is_empty()
        );
    }
}
