//! What a tag's repository offers: its metadata, fetched and checked.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toji_client::Download;
use toji_repodata::reader::{Dependency, Filelists, Primary, PrimaryEntry, ReadLimits};
use toji_repodata::{Record, Repomd, decoder};
use toji_rpmfile::sense;
use toji_types::Evr;

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::resolve::Offer;
use crate::rich::Capability;

/// More than any `repomd.xml` needs, in bytes.
const REPOMD_LIMIT: usize = 1 << 20;

/// A repository for one arch.
pub(crate) struct Repository {
    /// Its directory below the published files.
    dir: String,
    filelists: Option<Record>,
    pub(crate) offers: Arc<Vec<Offer>>,
    pkgids: HashMap<String, usize>,
}

impl Repository {
    /// Fetches the list of packages.
    pub(crate) async fn load(task: &Context, tag: &str, repo_id: i64, arch: &str) -> Result<Self> {
        let dir = format!("repos/{tag}/{repo_id}/{arch}");
        let text =
            task.hub.fetch_bytes(&format!("{dir}/repodata/repomd.xml"), REPOMD_LIMIT).await?;
        let bad = Failure::local::<toji_repodata::Error>;
        let limit = REPOMD_LIMIT as u64;
        let repomd =
            Repomd::parse(text.as_slice(), limit).map_err(bad(format!("{dir}: repomd")))?;
        let Some(primary) = repomd.record("primary") else {
            return Err(Failure::buildroot(format!("{dir}: no primary metadata")));
        };
        let filelists = repomd.record("filelists").cloned();
        let mut repository =
            Repository { dir, filelists, offers: Arc::default(), pkgids: HashMap::new() };
        let file = repository.fetch(task, primary).await?;
        let name = primary.href.clone();
        let entries = tokio::task::spawn_blocking(move || read_primary(&name, &file)).await;
        let entries = entries.map_err(Failure::local("read the repository"))?;
        let offers = Arc::make_mut(&mut repository.offers);
        for entry in entries.map_err(bad(format!("{}: primary", repository.dir)))? {
            repository.pkgids.insert(entry.checksum.clone(), offers.len());
            offers.push(offer(entry));
        }
        Ok(repository)
    }

    /// Adds all files of all packages, for needs that are paths.
    pub(crate) async fn load_files(&mut self, task: &Context) -> Result<()> {
        let Some(record) = self.filelists.take() else { return Ok(()) };
        let file = self.fetch(task, &record).await?;
        let read = tokio::task::spawn_blocking(move || read_filelists(&record.href, &file)).await;
        let read = read.map_err(Failure::local("read the repository"))?;
        let offers = Arc::make_mut(&mut self.offers);
        for (pkgid, files) in read.map_err(Failure::local(format!("{}: filelists", self.dir)))? {
            if let Some(at) = self.pkgids.get(&pkgid) {
                offers[*at].files = files;
            }
        }
        Ok(())
    }

    /// Fetches a package and returns where it is.
    pub(crate) async fn package(&self, task: &Context, offer: &Offer) -> Result<PathBuf> {
        let url = resolve(&self.dir, &offer.location)?;
        let what = Download { url: &url, size: Some(offer.size), sha256: Some(&offer.sha256) };
        Ok(task.shared.packages.get(&task.hub, &what, &task.make_dir("download")?).await?)
    }

    async fn fetch(&self, task: &Context, record: &Record) -> Result<PathBuf> {
        let url = resolve(&self.dir, &record.href)?;
        let what = Download { url: &url, size: Some(record.size), sha256: Some(&record.checksum) };
        Ok(task.shared.packages.get(&task.hub, &what, &task.make_dir("download")?).await?)
    }
}

/// Joins a location to the repository's directory; it may lead upwards, but not out of the published files.
fn resolve(dir: &str, location: &str) -> Result<String> {
    if location.contains("://") {
        return Ok(location.to_owned());
    }
    let mut parts: Vec<&str> = dir.split('/').collect();
    for part in location.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                let left = parts.pop();
                left.ok_or_else(|| Failure::buildroot(format!("bad location: {location}")))?;
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

fn read_primary(name: &str, file: &Path) -> toji_repodata::Result<Vec<PrimaryEntry>> {
    let source = decoder(name, BufReader::new(File::open(file)?))?;
    Primary::new(BufReader::new(source), ReadLimits::default()).collect()
}

fn read_filelists(name: &str, file: &Path) -> toji_repodata::Result<Vec<(String, Vec<String>)>> {
    let source = decoder(name, BufReader::new(File::open(file)?))?;
    let entries = Filelists::new(BufReader::new(source), ReadLimits::default());
    let paths =
        |files: Vec<toji_repodata::reader::File>| files.into_iter().map(|f| f.path).collect();
    entries.map(|entry| entry.map(|e| (e.pkgid, paths(e.files)))).collect()
}

fn offer(entry: PrimaryEntry) -> Offer {
    let all = |list: Vec<Dependency>| list.iter().map(capability).collect();
    let location = match &entry.base {
        Some(base) => format!("{}/{}", base.trim_end_matches('/'), entry.href),
        None => entry.href,
    };
    Offer {
        name: entry.name,
        arch: entry.arch,
        evr: Evr {
            epoch: entry.version.epoch.parse().ok(),
            version: entry.version.version,
            release: entry.version.release,
        },
        location,
        sha256: entry.checksum,
        size: entry.package_size,
        provides: all(entry.provides),
        requires: all(entry.requires),
        files: entry.files.into_iter().map(|f| f.path).collect(),
    }
}

fn capability(dep: &Dependency) -> Capability {
    let flags = match dep.flags.as_str() {
        "EQ" => sense::EQUAL,
        "LT" => sense::LESS,
        "GT" => sense::GREATER,
        "LE" => sense::LESS | sense::EQUAL,
        "GE" => sense::GREATER | sense::EQUAL,
        _ => 0,
    };
    let version = &dep.version;
    let evr = (flags != 0).then(|| Evr {
        epoch: version.epoch.parse().ok(),
        version: version.version.clone(),
        release: version.release.clone(),
    });
    Capability { name: dep.name.clone(), flags, evr }
}

#[cfg(test)]
mod tests {
    use super::resolve;

    #[test]
    fn locations_stay_below_the_published_files() {
        let at = |location| resolve("repos/t/1/x86_64", location).ok();
        assert_eq!(at("repodata/a.gz").as_deref(), Some("repos/t/1/x86_64/repodata/a.gz"));
        assert_eq!(at("../../../../packages/a.rpm").as_deref(), Some("packages/a.rpm"));
        assert_eq!(at("../../../../../etc/passwd"), None);
        assert_eq!(at("https://x.example/a.rpm").as_deref(), Some("https://x.example/a.rpm"));
    }
}
