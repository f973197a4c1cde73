//! What a tag's repository offers: its metadata, fetched and checked.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toji_client::{Download, args};
use toji_repodata::reader::{Dependency, Filelists, Primary, PrimaryEntry, ReadLimits};
use toji_repodata::{Record, Repomd, decoder};
use toji_rpmfile::sense;
use toji_types::lockfile::{self, Locked, LockfileError};
use toji_types::{Evr, Lockfile};
use toji_value::Value;

use crate::context::{Context, int_of, text_of};
use crate::failure::{Failure, Result};
use crate::resolve::Offer;
use crate::rich::Capability;

/// More than any `repomd.xml` needs, in bytes.
const REPOMD_LIMIT: usize = 1 << 20;

/// What a tag offers for one arch: its own repository, and the external ones beside it.
pub(crate) struct Repository {
    sources: Vec<Source>,
    pub(crate) offers: Arc<Vec<Offer>>,
    pkgids: HashMap<String, usize>,
}

/// One repository.
struct Source {
    /// Its directory below the published files, or its URL.
    dir: String,
    /// Its name, if it is an external one.
    name: Option<Arc<str>>,
    /// Whether names that another one before has are left out, as Koji does it unless told otherwise.
    by_name: bool,
    filelists: Option<Record>,
}

impl Repository {
    /// Fetches the lists of packages.
    pub(crate) async fn load(
        task: &Context,
        tag: (i64, &str),
        repo: &Value,
        arch: &str,
    ) -> Result<Self> {
        let dir = format!("repos/{}/{}/{arch}", tag.1, int_of(repo, "id")?);
        let own = Source { dir, name: None, by_name: true, filelists: None };
        let mut repository =
            Repository { sources: Vec::new(), offers: Arc::default(), pkgids: HashMap::new() };
        repository.add(task, own).await?;
        for source in external(task, tag.0, repo, arch).await? {
            repository.add(task, source).await?;
        }
        Ok(repository)
    }

    async fn add(&mut self, task: &Context, mut source: Source) -> Result<()> {
        let dir = source.dir.clone();
        let text =
            task.hub.fetch_bytes(&format!("{dir}/repodata/repomd.xml"), REPOMD_LIMIT).await?;
        let bad = Failure::local::<toji_repodata::Error>;
        let limit = REPOMD_LIMIT as u64;
        let repomd =
            Repomd::parse(text.as_slice(), limit).map_err(bad(format!("{dir}: repomd")))?;
        let Some(primary) = repomd.record("primary") else {
            return Err(Failure::buildroot(format!("{dir}: no primary metadata")));
        };
        source.filelists = repomd.record("filelists").cloned();
        let file = fetch(task, &dir, primary).await?;
        let name = primary.href.clone();
        let entries = tokio::task::spawn_blocking(move || read_primary(&name, &file)).await;
        let entries = entries.map_err(Failure::local("read the repository"))?;
        let entries = entries.map_err(bad(format!("{dir}: primary")))?;
        let offers = Arc::make_mut(&mut self.offers);
        let names: HashSet<String> = offers.iter().map(|offer| offer.name.clone()).collect();
        let known: HashSet<String> = offers.iter().map(Offer::nevra).collect();
        for entry in entries {
            let checksum = entry.checksum.clone();
            let offer = offer(entry, &source)?;
            let hidden = source.by_name && names.contains(&offer.name);
            if source.name.is_some() && (hidden || known.contains(&offer.nevra())) {
                continue;
            }
            self.pkgids.insert(checksum, offers.len());
            offers.push(offer);
        }
        self.sources.push(source);
        Ok(())
    }

    /// Adds all files of all packages, for needs that are paths.
    pub(crate) async fn load_files(&mut self, task: &Context) -> Result<()> {
        for source in &mut self.sources {
            let Some(record) = source.filelists.take() else { continue };
            let file = fetch(task, &source.dir, &record).await?;
            let read = tokio::task::spawn_blocking(move || read_filelists(&record.href, &file));
            let read = read.await.map_err(Failure::local("read the repository"))?;
            let offers = Arc::make_mut(&mut self.offers);
            let failed = Failure::local(format!("{}: filelists", source.dir));
            for (pkgid, files) in read.map_err(failed)? {
                if let Some(at) = self.pkgids.get(&pkgid) {
                    offers[*at].files = files;
                }
            }
        }
        Ok(())
    }
}

/// The packages of a plan as they are stored with the buildroot; `tag` names the hub's own repository.
///
/// # Errors
/// When metadata name a package, digest or place that no lockfile may have.
pub(crate) fn lockfile<'o>(
    tag: &str,
    arch: &str,
    repository: &Repository,
    offers: impl Iterator<Item = &'o Offer>,
) -> Result<Lockfile, LockfileError> {
    let place = |source: &Source| match &source.name {
        Some(name) => (name.to_string(), lockfile::Source::External { url: source.dir.clone() }),
        None => (tag.to_owned(), lockfile::Source::Hub),
    };
    let sources = repository.sources.iter().map(place).collect();
    let locked = |offer: &Offer| Locked {
        name: offer.name.clone(),
        epoch: offer.evr.epoch.and_then(|epoch| u32::try_from(epoch).ok()).unwrap_or(0),
        version: offer.evr.version.clone(),
        release: offer.evr.release.clone(),
        arch: offer.arch.clone(),
        digest: format!("sha256:{}", offer.sha256),
        size: offer.size,
        location: match offer.location.split_once("/toplink/") {
            // A repository goes one day, what it refers to stays.
            Some((_, below)) if offer.origin.is_none() => below.to_owned(),
            _ => offer.location.clone(),
        },
        repository: offer.origin.as_deref().unwrap_or(tag).to_owned(),
    };
    Lockfile::new(arch, sources, offers.map(locked).collect())
}

/// The addresses of repositories.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    /// Those whose packages compete by their versions.
    pub(crate) equal: Vec<String>,
    /// Those whose packages count only where no other one has the name.
    pub(crate) behind: Vec<String>,
}

/// Where a tag's packages are for programs that are no builders: its own repository and, unless they are merged in that,
/// as Koji's are, the external ones.
pub(crate) async fn addresses(
    task: &Context,
    tag: (i64, &str),
    repo: &Value,
    arch: &str,
) -> Result<Addresses> {
    let dir = format!("repos/{}/{}/{arch}", tag.1, int_of(repo, "id")?);
    let text = task.hub.fetch_bytes(&format!("{dir}/repodata/repomd.xml"), REPOMD_LIMIT).await?;
    let repomd = Repomd::parse(text.as_slice(), REPOMD_LIMIT as u64);
    let repomd = repomd.map_err(Failure::local(format!("{dir}: repomd")))?;
    let own = format!("{}/{dir}", task.hub.files_url().trim_end_matches('/'));
    let mut all = Addresses { equal: vec![own], behind: Vec::new() };
    if repomd.record("origin").is_none() {
        for source in external(task, tag.0, repo, arch).await? {
            let list = if source.by_name { &mut all.behind } else { &mut all.equal };
            list.push(source.dir);
        }
    }
    Ok(all)
}

/// The external repositories of a tag for an arch, the first ones first.
async fn external(task: &Context, tag: i64, repo: &Value, arch: &str) -> Result<Vec<Source>> {
    let event = repo.get("create_event").clone();
    let list = task.call("getExternalRepoList", args!(tag, event)).await?;
    let list = list.as_array().unwrap_or_default();
    let here = |entry: &&Value| match entry.get("arches").as_str() {
        Some(arches) if !arches.trim().is_empty() => arches.split_whitespace().any(|a| a == arch),
        _ => true,
    };
    let source = |entry: &Value| -> Result<Source> {
        let url = text_of(entry, "url")?.replace("$arch", arch);
        Ok(Source {
            dir: url.trim_end_matches('/').to_owned(),
            name: Some(text_of(entry, "external_repo_name")?.into()),
            by_name: matches!(entry.get("merge_mode").as_str(), None | Some("koji")),
            filelists: None,
        })
    };
    list.iter().filter(here).map(source).collect()
}

async fn fetch(task: &Context, dir: &str, record: &Record) -> Result<PathBuf> {
    let url = resolve(dir, &record.href)?;
    let what = Download {
        url: &url,
        size: Some(record.size),
        sha256: Some(&record.checksum),
        ..Download::default()
    };
    Ok(task.shared.packages.get(&task.hub, &what, &task.make_dir("download")?).await?)
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
                // A URL keeps its scheme and its host.
                let least = if dir.contains("://") { 3 } else { 0 };
                let left = if parts.len() > least { parts.pop() } else { None };
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

fn offer(entry: PrimaryEntry, source: &Source) -> Result<Offer> {
    let all = |list: Vec<Dependency>| list.iter().map(capability).collect();
    let location = match &entry.base {
        Some(base) => format!("{}/{}", base.trim_end_matches('/'), entry.href),
        None => entry.href,
    };
    Ok(Offer {
        name: entry.name,
        arch: entry.arch,
        evr: Evr {
            epoch: entry.version.epoch.parse().ok(),
            version: entry.version.version,
            release: entry.version.release,
        },
        location: resolve(&source.dir, &location)?,
        sha256: entry.checksum,
        size: entry.package_size,
        origin: source.name.clone(),
        provides: all(entry.provides),
        requires: all(entry.requires),
        files: entry.files.into_iter().map(|f| f.path).collect(),
    })
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
        let there = |location| resolve("http://x.example/r/a", location).ok();
        assert_eq!(there("p/a.rpm").as_deref(), Some("http://x.example/r/a/p/a.rpm"));
        assert_eq!(there("../a.rpm").as_deref(), Some("http://x.example/r/a.rpm"));
        assert_eq!(there("../../../a.rpm"), None);
    }
}
