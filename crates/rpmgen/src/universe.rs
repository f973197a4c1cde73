//! A distribution for tests: Debian packages with all that they depend on as RPM packages, as a repository.
//!
//! Everything in it comes from the mirror that apt uses, verified by apt. Maintainer scripts are dropped; what they
//! would have done is in the packages: links of alternatives, users and groups, the cache of the dynamic linker.

mod capability;
mod closure;
mod convert;
mod publish;
mod tree;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::Rpmbuild;
use closure::Archive;

/// Raised when the same Debian packages become other RPM packages.
const FORMAT: u32 = 3;
/// Names the Debian packages that a finished universe was made of.
const MARK: &str = ".made-of";
/// The macros which a spec file expects of a distribution of RPM.
const MACROS: &str = include_str!("../../sandbox/src/host/macros.host");
/// The package that carries them.
const CONFIG: &str = include_str!("universe/universe-rpm-config.spec");

/// Where a universe is made.
#[derive(Debug)]
pub struct Places {
    /// Where downloaded Debian packages are kept for the next time.
    pub cache: PathBuf,
    /// The finished repository.
    pub out: PathBuf,
}

/// Makes the repository, unless it is there already; returns how many packages it has.
pub fn make(names: &[String], places: &Places) -> Result<usize> {
    let _alone = lock(places)?;
    let archive = Archive::read()?;
    let chosen = archive.closure(names)?;
    let made_of = made_of(&chosen);
    if fs::read_to_string(places.out.join(MARK)).is_ok_and(|text| text == made_of) {
        return Ok(chosen.len() + 1);
    }
    let debs = download(&chosen, &places.cache)?;
    let work = places.out.with_extension("work");
    let new = places.out.with_extension("new");
    for dir in [&work, &new] {
        if dir.exists() {
            fs::remove_dir_all(dir)?;
        }
        fs::create_dir_all(dir)?;
    }
    convert::all(&debs, &work, &new)?;
    write_config(&work, &new)?;
    publish::repository(&new)?;
    fs::write(new.join(MARK), made_of)?;
    // Readers of the old one keep what they have open; nobody sees half of the new one.
    let old = places.out.with_extension("old");
    if places.out.exists() {
        fs::rename(&places.out, &old)?;
    }
    fs::rename(&new, &places.out)?;
    for dir in [&old, &work] {
        if dir.exists() {
            fs::remove_dir_all(dir)?;
        }
    }
    Ok(debs.len() + 1)
}

/// Waits until nobody else uses the cache and makes this repository; the locks last as long as the files are open.
fn lock(places: &Places) -> Result<[File; 2]> {
    fs::create_dir_all(&places.cache)?;
    if let Some(parent) = places.out.parent() {
        fs::create_dir_all(parent)?;
    }
    let take = |path: PathBuf| -> Result<File> {
        let file = File::create(&path)?;
        file.lock().with_context(|| format!("failed to lock {}", path.display()))?;
        Ok(file)
    };
    Ok([take(places.cache.join(".lock"))?, take(places.out.with_extension("lock"))?])
}

/// What decides about the result, as text.
fn made_of(chosen: &[closure::Chosen]) -> String {
    let config = hex::encode(Sha256::digest([MACROS, CONFIG].concat()));
    let mut text = format!("format {FORMAT}\nconfig {config}\n");
    for package in chosen {
        text.push_str(&format!("{}={}\n", package.name, package.version));
    }
    text
}

/// Fetches what is not in the cache, by apt, which verifies it.
fn download(chosen: &[closure::Chosen], cache: &Path) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(cache)?;
    let missing: Vec<String> = chosen
        .iter()
        .filter(|package| !cache.join(package.file()).is_file())
        .map(|package| format!("{}={}", package.name, package.version))
        .collect();
    if !missing.is_empty() {
        let text = format!("fetching {} Debian packages\n", missing.len());
        std::io::stderr().write_all(text.as_bytes())?;
        // Parts of a download that was cut off have other names until they are complete.
        let mut apt = std::process::Command::new("apt-get");
        apt.args(["-q", "-o", "APT::Sandbox::User=", "-o", "Acquire::Retries=3", "download"]);
        crate::debian::run(apt.args(&missing).current_dir(cache))?;
    }
    let files: Vec<_> = chosen.iter().map(|package| cache.join(package.file())).collect();
    for file in &files {
        ensure!(file.is_file(), "apt did not download {}", file.display());
    }
    Ok(files)
}

/// Builds the package of macros.
fn write_config(work: &Path, out: &Path) -> Result<()> {
    let rpmbuild = Rpmbuild::new(&work.join("config"), out)?;
    fs::write(rpmbuild.sources().join("macros.universe"), MACROS)?;
    rpmbuild
        .build("universe-rpm-config", CONFIG.as_bytes(), &["-bb"])
        .context("failed to build the package of macros")
}
