//! The metadata of one arch of a dist repository, made by the hub where the packages are.
//!
//! The result is left in the upload directory of the task, as if the builder had made and uploaded
//! it: what comes then is the same for every builder.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufReader, Write as _};

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use toji_repodata::{
    ChunkedWriter, Compression, Options, PackageFile, Part, Record, Repomd, Sink, decoder,
};
use toji_rpmfile::Limits;
use toji_store::{Algorithm, Store};
use toji_types::ChecksumType;
use toji_value::{Fault, Map, Value};

use super::place::{self, Package};
use super::{arch_dir, in_making, multilib};
use crate::Call;
use crate::repo::assemble::{Chunks, Directory, directory};
use crate::repo::init::blocking;

/// What every client since yum reads.
const COMPRESSION: Compression = Compression::Gzip(6);

/// Where builders upload dictionaries for zchunk files, in a task's directory.
const DICTIONARIES: &str = "zdict";

type Problem = Box<dyn std::error::Error + Send + Sync>;

/// One package in the order of the metadata.
struct Entry {
    path: PathBuf,
    href: String,
    sha256: Option<String>,
}

/// Makes the metadata for the packages that a task has uploaded a list of; returns their number.
///
/// # Errors
/// `GenericError` when a package cannot be read.
pub async fn make(call: &mut Call, task_id: i64, repo_id: i64, arch: &str) -> Result<usize, Fault> {
    let repo = in_making(call, repo_id).await?;
    crate::task::claim::check_repo(call, &repo).await?;
    arch_dir(call, &repo, arch)?;
    let upload = PathBuf::from(call.hub.paths.task(task_id, None));
    let opts = options(call, task_id).await?;
    let mut packages = place::packages(call, &upload).await?;
    let (store, place, listed) = (call.hub.store.clone(), upload.clone(), packages.clone());
    let refused =
        tokio::task::spawn_blocking(move || refuse_missing(&store, &place, &listed)).await;
    refused.map_err(|_| Fault::unexpected("looking for packages ended early"))??;
    let top = directory(&call.hub, &repo)?;
    if let (Some(config), Some(other)) = (opts.str("multilib"), multilib::partner(arch)) {
        multilib::add(call, &upload, &top, (arch, other), config, &packages).await?;
        packages = place::packages(call, &upload).await?;
    }
    let sums = checksums(call, &packages).await?;
    let subrepos: BTreeSet<String> =
        packages.values().filter_map(|package| package.subrepo.clone()).collect();
    let comps = top.join("groups/comps.xml");
    let zck = opts.truthy("zck").then(|| upload.join(DICTIONARIES));
    let count = packages.len();
    let mut repos = vec![(None, entries(&packages, &sums, None))];
    for sub in subrepos {
        let own = entries(&packages, &sums, Some(&sub));
        repos.push((Some(sub), own));
    }
    let (chunks, now) = (call.hub.chunks.clone(), call.now() as i64);
    let store = call.hub.store.clone();
    blocking(move || {
        for (sub, entries) in repos {
            let dir = sub.map_or_else(|| upload.clone(), |sub| upload.join(sub));
            let written = write(&store, chunks.clone(), &dir, entries, &comps, now);
            let made = written.map_err(std::io::Error::other)?;
            if let Some(dictionaries) = &zck {
                add_zchunks(&dir, made, dictionaries).map_err(std::io::Error::other)?;
            }
        }
        if count == 0 {
            let text = "This repo is empty because its tag has no content for this arch\n";
            std::fs::write(upload.join("repodata/EMPTY_REPO"), text)?;
        }
        write_manifest(&upload)
    })
    .await?;
    Ok(count)
}

/// What the task was asked for; nothing for other tasks.
async fn options(call: &mut Call, task_id: i64) -> Result<Map, Fault> {
    let Some(row) = toji_db::task::request(&mut call.tx, task_id).await? else {
        return Ok(Map::new());
    };
    if row.get::<Option<String>>("method")?.as_deref() != Some("createdistrepo") {
        return Ok(Map::new());
    }
    let text: Option<String> = row.get("request")?;
    let args = crate::task::text::read_request(text.as_deref().unwrap_or_default())?;
    Ok(args.get(4).and_then(Value::as_struct).cloned().unwrap_or_default())
}

/// Refuses packages whose copies are not there; a log beside the list names them.
fn refuse_missing(
    store: &Store,
    upload: &Path,
    packages: &BTreeMap<String, Package>,
) -> Result<(), Fault> {
    let paths = packages.values().map(|package| &package.path);
    let there = |path: &Path| matches!(store.file(path), Ok(Some(_)));
    let missing: Vec<String> =
        paths.filter(|path| !there(path)).map(|path| path.display().to_string()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let text = format!(
        "Some rpm files were missing.\nMost likely, you want to create these signed copies.\n\n\
         Missing files:\n{}\n",
        missing.join("\n")
    );
    if let Err(error) = std::fs::write(upload.join("missing_files.log"), text) {
        tracing::warn!(%error, "the log of missing files cannot be written");
    }
    Err(Fault::generic("Packages missing from the filesystem. See missing_files.log."))
}

/// The SHA-256 that is known of copies, by RPM and key.
async fn checksums(
    call: &mut Call,
    packages: &BTreeMap<String, Package>,
) -> Result<HashMap<(i64, String), String>, Fault> {
    let ids: Vec<i64> = packages.values().map(|package| package.rpm_id).collect();
    let sha256 = ChecksumType::Sha256.number();
    let rows = toji_db::rpm::signature::checksums_of(&mut call.tx, &ids, sha256).await?;
    rows.iter()
        .map(|row| Ok(((row.get("rpm_id")?, row.get("sigkey")?), row.get("checksum")?)))
        .collect()
}

fn entries(
    packages: &BTreeMap<String, Package>,
    sums: &HashMap<(i64, String), String>,
    sub: Option<&str>,
) -> Vec<Entry> {
    let own = packages.iter().filter(|(_, package)| package.subrepo.as_deref() == sub);
    let up = if sub.is_some() { "../" } else { "" };
    own.map(|(name, package)| Entry {
        path: package.path.clone(),
        href: format!("{up}{}", place::href(name)),
        // An unsigned copy has no checksum under an empty key if a signed one was imported.
        sha256: sums.get(&(package.rpm_id, package.sigkey.clone())).cloned(),
    })
    .collect()
}

fn write(
    store: &Store,
    mut chunks: Chunks,
    dir: &Path,
    mut entries: Vec<Entry>,
    comps: &Path,
    now: i64,
) -> Result<Repomd, Problem> {
    entries.sort_by(|a, b| a.href.cmp(&b.href));
    std::fs::create_dir_all(dir.join("repodata"))?;
    let lines: String = entries.iter().map(|entry| format!("{}\n", entry.href)).collect();
    std::fs::write(dir.join("pkglist"), lines)?;
    let mut sink = Directory::new(dir);
    let count = entries.len() as u64;
    let mut writer = ChunkedWriter::new(&mut sink, &mut chunks, count, COMPRESSION, now)?;
    for entry in entries {
        let wrong = |e: &dyn std::fmt::Display| format!("{}: {e}", entry.path.display());
        let missing = || wrong(&"no such file");
        let (size, modified) =
            store.file(&entry.path).map_err(|e| wrong(&e))?.ok_or_else(missing)?;
        let file = store.open(&entry.path).map_err(|e| wrong(&e))?;
        let package = toji_rpmfile::Package::read(&mut BufReader::new(file), &Limits::default());
        let package = package.map_err(|e| wrong(&e))?;
        let sha256 = match entry.sha256 {
            Some(known) => known,
            None => {
                let (sums, _) = store.hash(&entry.path, &[Algorithm::Sha256])?;
                sums.into_iter().next().unwrap_or_default()
            }
        };
        let mtime = crate::fragment::seconds(modified);
        let place = PackageFile { href: entry.href, base: None, size, mtime, sha256 };
        let made = toji_repodata::fragment(&package, &place, &Options::default())?;
        let texts = [made.primary.as_bytes(), made.filelists.as_bytes(), made.other.as_bytes()];
        // The same copy has another place in other repositories, so the text itself is the key.
        let key = hex::encode(Sha256::digest(texts[0]));
        writer.add(&key, texts)?;
    }
    if comps.is_file() {
        writer.add_comps(&std::fs::read(comps)?)?;
    }
    Ok(writer.finish(&now.to_string())?)
}

/// Adds the metadata as zchunk files; a builder may have uploaded dictionaries for them.
fn add_zchunks(dir: &Path, mut repomd: Repomd, dictionaries: &Path) -> Result<(), Problem> {
    let mut sink = Directory::new(dir);
    for part in Part::ALL {
        let Some(plain) = repomd.record(part.name()).cloned() else { continue };
        let file = BufReader::new(File::open(dir.join(&plain.href))?);
        let content = BufReader::new(decoder(&plain.href, file)?);
        let dictionary = dictionaries.join(format!("{}.xml.zdict", part.name()));
        let dictionary = dictionary.is_file().then(|| std::fs::read(dictionary)).transpose()?;
        let made = toji_repodata::zchunk(content, dictionary.as_deref())?;
        let checksum = hex::encode(Sha256::digest(&made.data));
        let href = format!("repodata/{checksum}-{}.xml.zck", part.name());
        let mut out = sink.create()?;
        out.write_all(&made.data)?;
        sink.publish(out, &href)?;
        repomd.records.push(Record {
            kind: format!("{}_zck", part.name()),
            checksum,
            href,
            size: made.data.len() as u64,
            header_checksum: Some(made.header_checksum),
            header_size: Some(made.header_size),
            ..plain
        });
    }
    let mut out = sink.create()?;
    out.write_all(repomd.to_xml().as_bytes())?;
    Ok(sink.publish(out, "repodata/repomd.xml")?)
}

/// Lists everything in the upload directory that belongs to the repository.
fn write_manifest(upload: &Path) -> std::io::Result<()> {
    let area = toji_store::Area::new(upload);
    let entries = area.walk("").map_err(std::io::Error::other)?;
    let is_log = |path: &str| path.ends_with(".log") && !path.contains('/');
    let names: Vec<Value> = entries
        .into_iter()
        .map(|entry| entry.path)
        .filter(|path| !is_log(path) && path != "repo_manifest")
        .filter(|path| !Path::new(path).starts_with(DICTIONARIES))
        .map(Value::Str)
        .collect();
    let text = format!("{:#}\n", Value::Array(names).to_json());
    std::fs::write(upload.join("repo_manifest"), text)
}
