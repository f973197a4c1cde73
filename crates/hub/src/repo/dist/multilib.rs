//! Packages of the 32-bit arch in a dist repository of the 64-bit one.
//!
//! Which packages are wanted for both arches is the rule of python-multilib's method "devel", as Koji uses it: libraries
//! that programs load, modules of some systems of plugins, and what is needed to compile. Packages are then chosen so
//! that dnf could install all of them.

mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use toji_repodata::reader::ReadLimits;
use toji_repodata::{Repomd, decoder};
use toji_rpmfile::Limits;
use toji_solve::{Job, Pool, Repository, Want};
use toji_store::Store;
use toji_types::arch::canonical;
use toji_value::{Fault, Map, Value};

use self::rules::{Candidate, Rules};
use super::place::{Package, read_json};
use crate::Call;

/// Bytes of metadata of one repository, unpacked.
const OPEN: u64 = 8 << 30;
/// More than any `repomd.xml` needs, in bytes.
const REPOMD: u64 = 1 << 20;
/// The longest time of a question, in seconds.
const SECONDS: f32 = 120.0;

type Problem = Box<dyn std::error::Error + Send + Sync>;

/// The 32-bit arch whose packages a repository may have beside its own.
pub(super) fn partner(arch: &str) -> Option<&'static str> {
    match arch {
        "x86_64" => Some("i686"),
        "ppc64" => Some("ppc"),
        "s390x" => Some("s390"),
        _ => None,
    }
}

/// What was found out.
enum Outcome {
    /// The new list, with the packages of the other arch.
    Done(Map),
    /// Packages that the other arch should have and has not.
    Missing(BTreeSet<String>),
}

/// Adds packages of the other arch to the uploaded list; `config` is the caller's file below `work`.
///
/// # Errors
/// `GenericError` when the other arch is not made yet, lacks packages, or they cannot be installed together.
pub(super) async fn add(
    call: &mut Call,
    upload: &Path,
    repo: &Path,
    arch: (&str, &'static str),
    config: &str,
    packages: &BTreeMap<String, Package>,
) -> Result<(), Fault> {
    if !call.hub.solver.works() {
        return Err(Fault::generic("this hub cannot choose multilib packages: libsolv is missing"));
    }
    let config = toji_store::normalize(config).map_err(|e| Fault::generic(e.to_string()))?;
    let config = Path::new(&call.hub.paths.work(None)).join(config);
    let other = repo.join(canonical(arch.1));
    let Value::Struct(entries) = read_json(&upload.join("kojipkgs"))? else {
        return Err(Fault::generic("kojipkgs is no object"));
    };
    let list = other.join("kojipkgs");
    if !list.is_file() {
        let text = format!("the repository has no {} packages for multilib", canonical(arch.1));
        return Err(Fault::generic(text));
    }
    let Value::Struct(others) = read_json(&list)? else {
        return Err(Fault::generic("kojipkgs is no object"));
    };
    let own: Vec<(String, PathBuf)> =
        packages.iter().map(|(name, package)| (name.clone(), package.path.clone())).collect();
    let (own_arch, other_arch) = (arch.0.to_owned(), arch.1);
    let store = call.hub.store.clone();
    let work = move || {
        let rules = std::fs::read_to_string(&config)
            .map_err(Problem::from)
            .and_then(|text| Ok(Rules::parse(&text)?))
            .map_err(|e| format!("multilib configuration: {e}"))?;
        choose(&store, &rules, &own, (&own_arch, other_arch), &other, entries, &others)
    };
    let outcome = tokio::task::spawn_blocking(work).await;
    let outcome = outcome.map_err(|error| Fault::unexpected(error.to_string()))?;
    let written = match outcome.map_err(|error| Fault::generic(error.to_string()))? {
        Outcome::Done(entries) => {
            let text = Value::Struct(entries).to_json().to_string();
            std::fs::write(upload.join("kojipkgs"), text)
        }
        Outcome::Missing(names) => {
            let list: String = names.iter().map(|name| format!("{name}\n")).collect();
            let text = format!("The following multilib files were missing:\n{list}");
            if let Err(error) = std::fs::write(upload.join("missing_multilib.log"), text) {
                tracing::warn!(%error, "the log of missing files cannot be written");
            }
            return Err(Fault::generic("multilib packages missing. See missing_multilib.log"));
        }
    };
    written.map_err(|error| Fault::generic(format!("kojipkgs: {error}")))
}

/// Adds to `entries` what the rules want of the `others`, and what that needs.
fn choose(
    store: &Store,
    rules: &Rules,
    own: &[(String, PathBuf)],
    (arch, other): (&str, &str),
    place: &Path,
    mut entries: Map,
    others: &Map,
) -> Result<Outcome, Problem> {
    let (mut wanted, mut missing) = (BTreeSet::new(), BTreeSet::new());
    for (name, path) in own {
        if !rules.selects(&candidate(store, path)?) {
            continue;
        }
        let twin = match name.strip_suffix(&format!(".{arch}.rpm")) {
            Some(stem) => format!("{stem}.{other}.rpm"),
            None => name.clone(),
        };
        if others.get(&twin).is_some() {
            wanted.insert(twin)
        } else {
            missing.insert(twin)
        };
    }
    if !missing.is_empty() {
        return Ok(Outcome::Missing(missing));
    }
    let mut pool = Pool::new(arch, &[read(place)?])?;
    let wants = wanted.iter().filter_map(|name| others.get(name)).map(|rpm| {
        let part = |key: &str| rpm.get(key).display();
        let epoch = rpm.get("epoch").as_int().unwrap_or(0);
        let evr = format!("{epoch}:{}-{}", part("version"), part("release"));
        Want::install(format!("{}-{evr}.{}", part("name"), part("arch")))
    });
    let job = Job { seconds: Some(SECONDS), ..Job::new(wants.collect()) }.with_weak();
    let plan = pool.solve(&job)?;
    let plan =
        plan.map_err(|why| format!("multilib packages cannot be installed together: {why}"))?;
    for chosen in &plan.packages {
        let name = chosen.package.location().rsplit('/').next().unwrap_or_default();
        // Packages without an arch are in both.
        if entries.get(name).is_some() {
            continue;
        }
        if let Some(entry) = others.get(name) {
            let mut entry = entry.as_struct().cloned().unwrap_or_default();
            entry.insert("_multilib", true);
            entries.insert(name.to_owned(), entry);
        }
    }
    Ok(Outcome::Done(entries))
}

/// What the rules look at.
fn candidate(store: &Store, path: &Path) -> Result<Candidate, Problem> {
    let wrong = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let mut file = BufReader::new(store.open(path).map_err(|e| wrong(&e))?);
    let package = toji_rpmfile::Package::read(&mut file, &Limits::default());
    let package = package.map_err(|e| wrong(&e))?;
    let header = package.header();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Candidate {
        name: header.name()?.into_owned(),
        arch: text(header.str(toji_rpmfile::tag::ARCH).unwrap_or_default()),
        provides: header.deps(toji_rpmfile::DepKind::Provides).map(|d| text(d.name)).collect(),
        files: header.files()?.iter().map(|file| text(&file.path())).collect(),
    })
}

/// The packages of one arch of the repository.
fn read(place: &Path) -> Result<Repository, Problem> {
    let file = BufReader::new(File::open(place.join("repodata/repomd.xml"))?);
    let repomd = Repomd::parse(file, REPOMD)?;
    let part = |kind: &str| -> Result<_, Problem> {
        let record = repomd.record(kind).ok_or_else(|| format!("no {kind} metadata"))?;
        let file = BufReader::new(File::open(place.join(&record.href))?);
        Ok(BufReader::new(decoder(&record.href, file)?))
    };
    let limits = ReadLimits { total: OPEN, ..ReadLimits::default() };
    Ok(Repository::read("multilib", part("primary")?, Some(part("filelists")?), limits)?)
}
