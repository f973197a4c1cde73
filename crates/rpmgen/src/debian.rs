//! Real packages: those of a Debian mirror with their files, dependencies, scripts and changelogs.

mod changelog;
mod control;
mod spec;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};

use crate::Rpmbuild;
pub(crate) use control::Control;

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

/// Downloads packages that are not yet in `cache`; returns the files.
pub fn download(names: &[String], cache: &Path) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(cache)?;
    let have = |name: &str| -> Result<Option<PathBuf>> {
        let prefix = format!("{name}_");
        for entry in fs::read_dir(cache)? {
            let path = entry?.path();
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            if file.starts_with(&prefix) && file.ends_with(".deb") {
                return Ok(Some(path));
            }
        }
        Ok(None)
    };
    let mut missing = Vec::new();
    for name in names {
        if have(name)?.is_none() {
            missing.push(name);
        }
    }
    if !missing.is_empty() {
        let mut apt = Command::new("apt-get");
        apt.args(["-q", "-o", "APT::Sandbox::User=", "-o", "Acquire::Retries=3", "download"]);
        run(apt.args(missing).current_dir(cache))?;
    }
    let files: Result<Vec<_>> = names.iter().map(|name| have(name)).collect();
    Ok(files?.into_iter().flatten().collect())
}

/// Converts packages on every processor; fails at the first that cannot be.
pub fn convert_all(debs: &[PathBuf], work: &Path, out: &Path) -> Result<()> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let next = std::sync::atomic::AtomicUsize::new(0);
    let worker = |number: usize| -> Result<()> {
        let rpmbuild = Rpmbuild::new(&work.join(number.to_string()), out)?;
        loop {
            let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let Some(deb) = debs.get(index) else { return Ok(()) };
            let root = work.join(number.to_string()).join("root");
            convert(deb, &root, &rpmbuild)
                .with_context(|| format!("failed to convert {}", deb.display()))?;
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|n| scope.spawn(move || worker(n))).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => result,
            Err(_) => anyhow::bail!("a converting thread panicked"),
        })
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

fn run(command: &mut Command) -> Result<Output> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("failed to run {name}"))?;
    let log = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} failed: {log}");
    Ok(output)
}
