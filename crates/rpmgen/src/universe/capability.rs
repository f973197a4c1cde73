//! What a package's files provide, in the words that RPM packages require: libraries, pkg-config, Perl, Python.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// A program, its arguments, and the files that it wants to see.
type Generator = (&'static str, &'static [&'static str], fn(&str) -> bool);

/// rpm's own programs that read files' names and write what they provide.
const GENERATORS: [Generator; 3] = [
    ("/usr/lib/rpm/elfdeps", &["--provides"], is_library),
    ("/usr/lib/rpm/pkgconfigdeps.sh", &["--provides"], is_pkgconfig),
    ("/usr/lib/rpm/perl.prov", &[], is_perl),
];

/// The provided capabilities of files below `root`; the paths are relative to it.
pub(super) fn provides(root: &Path, files: &[PathBuf]) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for (program, arguments, takes) in GENERATORS {
        let input: String = files
            .iter()
            .filter_map(|file| file.to_str())
            .filter(|file| takes(file))
            .map(|file| format!("{}\n", root.join(file).display()))
            .collect();
        if !input.is_empty() {
            found.extend(ask(program, arguments, &input)?);
        }
    }
    found.extend(files.iter().filter_map(|file| file.to_str()).filter_map(python));
    Ok(found)
}

fn ask(program: &str, arguments: &[&str], input: &str) -> Result<Vec<String>> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("failed to run {program}"))?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    // A program that does not read everything is no concern of ours.
    drop(writer.join());
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

fn is_library(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    path.contains("/lib") && (name.ends_with(".so") || name.contains(".so."))
}

fn is_pkgconfig(path: &str) -> bool {
    path.ends_with(".pc") && path.contains("/pkgconfig/")
}

fn is_perl(path: &str) -> bool {
    path.ends_with(".pm") && path.contains("/perl")
}

/// `python3dist(NAME) = VERSION` for the directory of a distribution's metadata.
fn python(path: &str) -> Option<String> {
    let (dir, file) = path.rsplit_once('/')?;
    let name = match file {
        "METADATA" => dir.strip_suffix(".dist-info"),
        "PKG-INFO" => dir.strip_suffix(".egg-info"),
        _ => path.strip_suffix(".egg-info"),
    }?;
    let name = name.rsplit('/').next()?;
    let mut parts = name.splitn(2, '-');
    let dist = parts.next()?.to_lowercase().replace(['_', '.'], "-");
    let version = parts.next().unwrap_or("0").split("-py").next().unwrap_or("0");
    Some(format!("python3dist({dist}) = {version}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_distributions_are_named() {
        let dir = "usr/lib/python3/dist-packages";
        let of = |path: &str| python(&format!("{dir}/{path}"));
        assert_eq!(
            of("wheel-0.38.4.egg-info/PKG-INFO").as_deref(),
            Some("python3dist(wheel) = 0.38.4")
        );
        assert_eq!(of("Foo_Bar-1.dist-info/METADATA").as_deref(), Some("python3dist(foo-bar) = 1"));
        assert_eq!(of("a-2-py3.11.egg-info").as_deref(), Some("python3dist(a) = 2"));
        assert_eq!(of("a/b.py"), None);
    }

    #[test]
    fn libraries_are_told_from_other_files() {
        assert!(is_library("usr/lib/x86_64-linux-gnu/libz.so.1") && is_library("usr/lib/a.so"));
        assert!(!is_library("usr/lib/a.something") && !is_library("usr/share/libz.sources"));
    }
}
