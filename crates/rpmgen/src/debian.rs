//! Real packages: those of a Debian mirror with their files, dependencies, scripts and changelogs.

mod changelog;
mod control;
mod spec;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};

use crate::Rpmbuild;
pub(crate) use control::Control;
pub(crate) use spec::{glob_escape, preamble};

/// Sizes of packages that are worth converting by the hundred, in bytes.
const SIZES: std::ops::Range<u64> = 6_000..90_000;

/// Names of `count` small packages that apt knows, spread over the alphabet, always the same for
/// the same package lists.
pub fn sample(count: usize) -> Result<Vec<String>> {
    let list = run(Command::new("apt-cache").arg("dumpavail"))?;
    let text = String::from_utf8_lossy(&list.stdout);
    let mut names: Vec<String> = text.split("\n\n").filter_map(small).collect();
    names.sort();
    names.dedup();
    ensure!(names.len() >= count, "apt knows only {} packages; run apt-get update", names.len());
    let step = names.len() / count.max(1);
    Ok(names.into_iter().step_by(step.max(1)).take(count).collect())
}

fn small(paragraph: &str) -> Option<String> {
    let field = |name: &str| {
        let line = paragraph.lines().find(|l| l.starts_with(name))?;
        line.get(name.len()..)?.strip_prefix(": ")
    };
    let size: u64 = field("Size")?.parse().ok()?;
    let name = field("Package")?;
    // packages that are only a pointer, or that are refused on a merged /usr
    let odd = field("Section").is_some_and(|s| s == "oldlibs" || s == "metapackages");
    (SIZES.contains(&size) && !odd).then(|| name.to_owned())
}

/// Downloads packages that are not yet in `cache`; returns the files. Package lists grow old, so
/// one that the mirror no longer has is left out.
pub fn download(names: &[String], cache: &Path) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(cache)?;
    let missing: Vec<&String> = find(names, cache)?
        .into_iter()
        .filter_map(|(name, path)| path.is_none().then_some(name))
        .collect();
    if !missing.is_empty() {
        let mut apt = Command::new("apt-get");
        apt.args(["-q", "-o", "APT::Sandbox::User=", "-o", "Acquire::Retries=3", "download"]);
        let result = run(apt.args(&missing).current_dir(cache));
        let got = find(names, cache)?.iter().filter(|(_, path)| path.is_some()).count();
        // most of them must be there, or it is not the lists' age
        if got * 20 < names.len() * 19 {
            result?;
        }
    }
    Ok(find(names, cache)?.into_iter().filter_map(|(_, path)| path).collect())
}

/// Each name with its file in `cache`, if it is there.
fn find<'a>(names: &'a [String], cache: &Path) -> Result<Vec<(&'a String, Option<PathBuf>)>> {
    let mut files = HashMap::new();
    for entry in fs::read_dir(cache)? {
        let path = entry?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        if let (Some((name, _)), true) = (file.split_once('_'), file.ends_with(".deb")) {
            files.insert(name.to_owned(), path);
        }
    }
    Ok(names.iter().map(|name| (name, files.get(name).cloned())).collect())
}

/// Converts packages on every processor; returns what was wrong with those that could not be.
pub fn convert_all(debs: &[PathBuf], work: &Path, out: &Path) -> Result<Vec<anyhow::Error>> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let worker = |number: usize| -> Result<Vec<anyhow::Error>> {
        let rpmbuild = Rpmbuild::new(&work.join(number.to_string()), out)?;
        let root = work.join(number.to_string()).join("root");
        let mut failures = Vec::new();
        while let Some(deb) = debs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = convert(deb, &root, &rpmbuild);
            let result = result.with_context(|| format!("failed to convert {}", deb.display()));
            failures.extend(result.err());
        }
        Ok(failures)
    };
    std::thread::scope(|scope| {
        let worker = &worker;
        let threads: Vec<_> = (0..workers).map(|n| scope.spawn(move || worker(n))).collect();
        let mut failures = Vec::new();
        for thread in threads {
            let result =
                thread.join().map_err(|_| anyhow::anyhow!("a converting thread panicked"))?;
            failures.extend(result?);
        }
        Ok(failures)
    })
}

fn convert(deb: &Path, root: &Path, rpmbuild: &Rpmbuild) -> Result<()> {
    let (files, control_dir) = (root.join("files"), root.join("control"));
    if root.exists() {
        fs::remove_dir_all(root)?;
    }
    fs::create_dir_all(root)?;
    run(Command::new("dpkg-deb").arg("-x").arg(deb).arg(&files))?;
    run(Command::new("dpkg-deb").arg("-e").arg(deb).arg(&control_dir))?;
    let text = fs::read(control_dir.join("control"))?;
    let control = Control::parse(&String::from_utf8_lossy(&text));
    let spec = spec::write(&control, &files, &control_dir)?;
    rpmbuild.build(&control.field("Package"), spec.as_bytes(), &["-bb"])
}

/// Runs a program that must succeed.
pub(crate) fn run(command: &mut Command) -> Result<Output> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("failed to run {name}"))?;
    let log = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} failed: {log}");
    Ok(output)
}
