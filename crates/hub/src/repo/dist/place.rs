//! What a builder made for one arch of a dist repository, put into its place.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use toji_store::Store;
use toji_types::path::BuildRef;
use toji_value::{Fault, Map, Value};

use super::{arch_dir, in_making, sign};
use crate::task::claim;
use crate::{Call, files, rpm};

/// A package of a dist repository.
#[derive(Clone, Debug)]
pub struct Package {
    /// The RPM.
    pub rpm_id: i64,
    /// The key of the copy; empty for the unsigned one.
    pub sigkey: String,
    /// The copy.
    pub path: PathBuf,
    /// The directory below the arch's with metadata of its own that lists it, if any.
    pub subrepo: Option<String>,
}

/// What an entry must say as the database does.
const CHECKED: [&str; 8] =
    ["name", "version", "release", "arch", "epoch", "size", "payloadhash", "build_id"];

/// The packages of an uploaded `kojipkgs` file by file name, compared with the database.
///
/// # Errors
/// `GenericError` for entries that are not as the database knows them.
pub async fn packages(call: &mut Call, upload: &Path) -> Result<BTreeMap<String, Package>, Fault> {
    let file = upload.join("kojipkgs");
    if !file.is_file() {
        return Err(Fault::generic("Missing kojipkgs file"));
    }
    let Value::Struct(entries) = read_json(&file)? else {
        return Err(Fault::generic("kojipkgs is no object"));
    };
    let ids: Vec<i64> = entries.iter().filter_map(|(_, entry)| entry.get("id").as_int()).collect();
    let rows = toji_db::rpm::by_ids(&mut call.tx, &ids).await?;
    let known: HashMap<i64, Map> = rows
        .into_iter()
        .map(|row| Ok((row.get("id")?, row.into_map())))
        .collect::<Result<_, Fault>>()?;
    let builds: Vec<i64> = known.values().filter_map(|rpm| rpm.int("build_id")).collect();
    let dirs = build_dirs(call, &builds).await?;
    let mut found = BTreeMap::new();
    for (name, entry) in entries.iter() {
        let id = entry.get("id").as_int().unwrap_or(-1);
        let missing = || Fault::generic(format!("No such rpm: {{'id': {id}}}"));
        let own = known.get(&id).ok_or_else(missing)?;
        for key in CHECKED {
            let stated = entry.as_struct().and_then(|entry| entry.get(key));
            if stated != own.get(key) {
                return Err(Fault::generic(format!(
                    "kojipkgs entry does not match db: file {name}, key {key}"
                )));
            }
        }
        toji_store::join(&[name]).map_err(|e| Fault::generic(e.to_string()))?;
        let sigkey = entry.get("sigkey").as_str().unwrap_or_default().to_owned();
        if !sigkey.is_empty() {
            toji_store::join(&[&sigkey]).map_err(|e| Fault::generic(e.to_string()))?;
        }
        let rel = match sigkey.as_str() {
            "" => call.hub.paths.rpm(rpm::named(own)?),
            key => call.hub.paths.signed(rpm::named(own)?, key),
        };
        let dir = own.int("build_id").and_then(|id| dirs.get(&id));
        let path = dir.ok_or_else(missing)?.join(rel);
        let subrepo = entry.get("_subrepo").as_str().map(str::to_owned);
        if let Some(sub) = &subrepo {
            toji_store::join(&[sub]).map_err(|e| Fault::generic(e.to_string()))?;
        }
        found.insert(name.to_owned(), Package { rpm_id: id, sigkey, path, subrepo });
    }
    Ok(found)
}

async fn build_dirs(call: &mut Call, ids: &[i64]) -> Result<HashMap<i64, PathBuf>, Fault> {
    let mut dirs = HashMap::new();
    for row in toji_db::build::places(&mut call.tx, ids).await? {
        let part = |key: &str| row.get::<String>(key);
        let (volume, name) = (part("volume_name")?, part("name")?);
        let (version, release) = (part("version")?, part("release")?);
        let at =
            BuildRef { volume: Some(&volume), name: &name, version: &version, release: &release };
        dirs.insert(row.get("id")?, call.hub.paths.build(at).into());
    }
    Ok(dirs)
}

pub(super) fn read_json(file: &Path) -> Result<Value, Fault> {
    let wrong = |e: &dyn std::fmt::Display| Fault::generic(format!("{}: {e}", file.display()));
    let text = std::fs::read(file).map_err(|e| wrong(&e))?;
    serde_json::from_slice(&text).map(Value::from_json).map_err(|e| wrong(&e))
}

/// The place of a package below an arch's directory.
pub fn href(name: &str) -> String {
    let first: String = name.chars().take(1).flat_map(char::to_lowercase).collect();
    format!("Packages/{first}/{name}")
}

/// Moves one arch of a dist repository from the upload area to its place, and links its packages.
///
/// # Errors
/// `GenericError` for missing files, and entries that are not as the database knows them.
pub async fn arch(call: &mut Call, repo_id: i64, upload: &str, arch: &str) -> Result<(), Fault> {
    let repo = toji_db::repo::get(&mut call.tx, crate::lookup::fit(repo_id)).await?;
    let repo = repo.ok_or_else(|| Fault::generic("query returned no rows"))?;
    let dir = arch_dir(call, &repo, arch)?;
    let repo = in_making(call, repo_id).await?;
    let maker = claim::check_repo(call, &repo).await?;
    let plain = toji_store::normalize(upload)
        .map_err(|_| Fault::generic(format!("Invalid upload directory: {upload}")))?;
    let holder = maker.map_or(claim::Holder::Host, claim::Holder::Task);
    claim::check_files(call, holder, &[&plain]).await?;
    let upload = Path::new(&call.hub.paths.work(None)).join(plain);
    let manifest = upload.join("repo_manifest");
    if !manifest.is_file() {
        return Err(Fault::generic("Missing repo manifest"));
    }
    let Value::Array(names) = read_json(&manifest)? else {
        return Err(Fault::generic("repo_manifest is no list"));
    };
    let mut moves = Vec::new();
    let packages = packages(call, &upload).await?;
    for name in &names {
        let rel = toji_store::normalize(name.as_str().unwrap_or("/"));
        let rel = rel.map_err(|e| Fault::generic(e.to_string()))?;
        let src = upload.join(&rel);
        if !src.is_file() {
            return Err(Fault::generic(format!("uploaded file missing: {}", src.display())));
        }
        moves.push((src, dir.join(rel)));
    }
    // What readers look at first is placed last, after the packages.
    let (last, mut first): (Vec<_>, Vec<_>) =
        moves.into_iter().partition(|(src, _)| src.ends_with("repomd.xml"));
    for (src, dst) in last.iter().filter(|(src, _)| src.ends_with("repodata/repomd.xml")) {
        let signature = |path: &Path| path.with_file_name("repomd.xml.asc");
        if sign::sign(call, src).await? {
            // What a builder may have uploaded under that name was replaced.
            first.retain(|(other, _)| *other != signature(src));
            first.push((signature(src), signature(dst)));
        }
    }
    let links: Vec<(PathBuf, PathBuf)> =
        packages.into_iter().map(|(name, package)| (package.path, dir.join(href(&name)))).collect();
    let store = call.hub.store.clone();
    files::blocking(move || {
        first.iter().try_for_each(|(src, dst)| move_file(src, dst))?;
        links.iter().try_for_each(|(src, dst)| link_file(&store, src, dst))?;
        last.iter().try_for_each(|(src, dst)| move_file(src, dst))
    })
    .await
}

fn make_parent(path: &Path) -> Result<(), toji_store::Error> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(dir).map_err(toji_store::Error::io(dir))
}

fn exists(path: &Path) -> toji_store::Error {
    toji_store::Error::io(path)(std::io::ErrorKind::AlreadyExists.into())
}

fn move_file(src: &Path, dst: &Path) -> Result<(), toji_store::Error> {
    if std::fs::symlink_metadata(dst).is_ok() {
        return Err(exists(dst));
    }
    make_parent(dst)?;
    if std::fs::rename(src, dst).is_ok() {
        return Ok(());
    }
    std::fs::copy(src, dst).map_err(toji_store::Error::io(dst))?;
    std::fs::remove_file(src).map_err(toji_store::Error::io(src))
}

fn link_file(store: &Store, src: &Path, dst: &Path) -> Result<(), toji_store::Error> {
    if std::fs::symlink_metadata(dst).is_ok() {
        return Err(exists(dst));
    }
    make_parent(dst)?;
    if store.at(src).is_some() {
        // Readers of the repository are led to the object by the link's text.
        let dir = dst.parent().unwrap_or(Path::new("/"));
        let target = toji_store::relative_link(dir, src);
        return std::os::unix::fs::symlink(target, dst).map_err(toji_store::Error::io(dst));
    }
    match std::fs::hard_link(src, dst) {
        Err(error) if error.kind() == std::io::ErrorKind::CrossesDevices => {
            std::fs::copy(src, dst).map(drop).map_err(toji_store::Error::io(dst))
        }
        done => done.map_err(toji_store::Error::io(src)),
    }
}
