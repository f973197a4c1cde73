//! Which files the database says that builds have, and what is known of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use toji_db::{Row, scan as db};
use toji_store::{Algorithm, Item, Volume, Volumes};
use toji_types::path::{BuildRef, MavenRef, RpmRef};
use toji_types::{BuildState, ChecksumType, PathInfo};
use toji_value::Fault;

use super::finding::What;
use crate::{Hub, files};

/// A build and where its files are.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) release: String,
    pub(super) state: BuildState,
    pub(super) volume: String,
    /// Below the top directory.
    pub(super) dir: String,
    /// Its place on the default volume.
    pub(super) default_dir: String,
}

impl Place {
    pub(super) fn of(row: &Row) -> Result<Place, Fault> {
        let state = BuildState::try_from(row.get::<i64>("state")?);
        let (name, version): (String, String) = (row.get("name")?, row.get("version")?);
        let (release, volume): (String, String) = (row.get("release")?, row.get("volume")?);
        let at =
            BuildRef { volume: Some(&volume), name: &name, version: &version, release: &release };
        let (dir, default_dir) =
            (below(paths().build(at)), below(paths().build(BuildRef { volume: None, ..at })));
        let state = state.map_err(|e| Fault::generic(e.to_string()))?;
        Ok(Place { id: row.get("id")?, name, version, release, state, volume, dir, default_dir })
    }

    fn at(&self) -> BuildRef<'_> {
        BuildRef {
            volume: Some(&self.volume),
            name: &self.name,
            version: &self.version,
            release: &self.release,
        }
    }
}

/// The layout, relative to the top directory.
fn paths() -> PathInfo {
    PathInfo::new("")
}

fn below(path: String) -> String {
    // no key is an empty part of the path
    path.trim_start_matches('/').replace("//", "/")
}

/// A file that the database says is there.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) what: What,
    pub(super) size: Option<u64>,
    /// Sums of the whole file.
    pub(super) sums: Vec<(Algorithm, String)>,
    /// Of a package: what tells its content from others.
    pub(super) payload: Option<String>,
    /// Of a package: the MD5 of each signature header that it may have itself.
    pub(super) headers: Vec<String>,
    /// Whether it may be missing.
    pub(super) optional: bool,
}

impl Expected {
    fn new(what: What) -> Self {
        let (sums, headers) = (Vec::new(), Vec::new());
        Expected { what, size: None, sums, payload: None, headers, optional: false }
    }
}

/// What is recorded of a file.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) size: u64,
    pub(super) sha256: String,
    pub(super) run: Option<i64>,
}

/// A build with what should be there, what is there, and what is recorded.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) place: Place,
    pub(super) expected: BTreeMap<String, Expected>,
    pub(super) found: BTreeMap<String, Item>,
    pub(super) records: HashMap<String, Record>,
    /// What is at the build's place, and at its place on the default volume.
    pub(super) dir: Option<Item>,
    pub(super) default_dir: Option<Item>,
    /// Whether the whole volume is missing: nothing can be said of the build.
    pub(super) lost: bool,
    /// When one looked, seconds since 1970.
    pub(super) now: f64,
}

/// Gathers all of builds, whose rows are those of [`toji_db::scan::builds`].
pub(super) async fn gather(
    hub: &Hub,
    volumes: &Arc<Volumes>,
    rows: &[Row],
) -> Result<Vec<Gathered>, Fault> {
    let places: Vec<Place> = rows.iter().map(Place::of).collect::<Result<_, _>>()?;
    let mut all = look(volumes.clone(), places, hub.now()).await?;
    expect(hub, &mut all).await?;
    record(hub, &mut all).await?;
    Ok(all)
}

impl Gathered {
    /// Files that are recorded, are not there, and that no row of the build wants: their paths, and what they were.
    pub(super) fn recorded_only(&self) -> impl Iterator<Item = (&str, What)> {
        let gone = self.records.keys().filter(|path| !self.lost && !self.found.contains_key(*path));
        gone.filter_map(|path| match self.expected.get(path) {
            Some(expected) if expected.optional => Some((path.as_str(), expected.what)),
            Some(_) => None,
            None if path.contains("/data/logs/") => Some((path.as_str(), What::Log)),
            None => Some((path.as_str(), What::File)),
        })
    }
}

/// Gathers all of those of these builds that exist.
pub(super) async fn gather_ids(
    hub: &Hub,
    volumes: &Arc<Volumes>,
    ids: &[i64],
) -> Result<Vec<Gathered>, Fault> {
    let mut call = hub.reading();
    let rows = db::builds_by_id(&mut call.tx, ids).await?;
    drop(call);
    gather(hub, volumes, &rows).await
}

/// Looks what is there.
async fn look(volumes: Arc<Volumes>, places: Vec<Place>, now: f64) -> Result<Vec<Gathered>, Fault> {
    files::blocking(move || {
        let mut all = Vec::with_capacity(places.len());
        for place in places {
            let (found, dir) = match volumes.walk(&place.dir) {
                Ok(found) => (found, volumes.item(&place.dir)?),
                Err(_) if volumes.silence(&place.dir).is_some() => (Vec::new(), None),
                Err(error) => return Err(error),
            };
            let found = found.into_iter().map(|item| (item.path.clone(), item)).collect();
            let default_dir = match place.dir == place.default_dir {
                true => dir.clone(),
                false => volumes.item(&place.default_dir)?,
            };
            let lost = dir.is_none() && is_lost(&volumes, &place.dir)?;
            let (expected, records) = (BTreeMap::new(), HashMap::new());
            all.push(Gathered { place, expected, found, records, dir, default_dir, lost, now });
        }
        Ok(all)
    })
    .await
}

/// Whether the volume of a path is not there, or is an empty place where it should be mounted.
pub(super) fn is_lost(volumes: &Volumes, path: &str) -> Result<bool, toji_store::Error> {
    let Some((before, _)) = path.split_once("packages/") else { return Ok(false) };
    let name = before.strip_prefix("vol/").map(|name| name.trim_end_matches('/'));
    if name.is_some_and(|name| volumes.is_remote(name)) {
        // One that is not there does not answer; an empty one is empty.
        return Ok(volumes.silence(path).is_some());
    }
    Ok(volumes.item(&format!("{before}packages"))?.is_none())
}

/// Adds what should be there, of builds that are complete.
async fn expect(hub: &Hub, all: &mut [Gathered]) -> Result<(), Fault> {
    let complete = |g: &&Gathered| g.place.state == BuildState::Complete;
    let ids: Vec<i64> = all.iter().filter(complete).map(|g| g.place.id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let mut call = hub.reading();
    let rpms = db::rpms(&mut call.tx, &ids).await?;
    let signatures = db::signatures(&mut call.tx, &ids).await?;
    let checksums = db::checksums(&mut call.tx, &ids).await?;
    let archives = db::archives(&mut call.tx, &ids).await?;
    drop(call);
    let (signatures, checksums) =
        (by_number(signatures, "rpm_id")?, by_number(checksums, "rpm_id")?);
    let (rpms, archives) = (by_number(rpms, "build_id")?, by_number(archives, "build_id")?);
    for one in all {
        for rpm in rpms.get(&one.place.id).into_iter().flatten() {
            let id: i64 = rpm.get("id")?;
            let none = Vec::new();
            let sums = checksums.get(&id).unwrap_or(&none);
            expect_rpm(one, rpm, signatures.get(&id).unwrap_or(&none), sums)?;
        }
        for archive in archives.get(&one.place.id).into_iter().flatten() {
            expect_archive(one, archive)?;
        }
    }
    Ok(())
}

fn by_number(rows: Vec<Row>, column: &str) -> Result<HashMap<i64, Vec<Row>>, Fault> {
    let mut all: HashMap<i64, Vec<Row>> = HashMap::new();
    for row in rows {
        all.entry(row.get(column)?).or_default().push(row);
    }
    Ok(all)
}

fn size(row: &Row) -> Result<Option<u64>, Fault> {
    Ok(u64::try_from(row.get::<i64>("size")?).ok())
}

/// The checksum of a row, if its type is known.
fn sum(row: &Row) -> Result<Option<(Algorithm, String)>, Fault> {
    let Some(kind) = algorithm(row.get("checksum_type")?) else { return Ok(None) };
    Ok(Some((kind, row.get("checksum")?)))
}

fn algorithm(number: i64) -> Option<Algorithm> {
    Some(match ChecksumType::try_from(number).ok()? {
        ChecksumType::Md5 => Algorithm::Md5,
        ChecksumType::Sha1 => Algorithm::Sha1,
        ChecksumType::Sha256 => Algorithm::Sha256,
    })
}

/// A package, its signature headers and its signed copies.
fn expect_rpm(
    one: &mut Gathered,
    rpm: &Row,
    signatures: &[Row],
    checksums: &[Row],
) -> Result<(), Fault> {
    let (name, version): (String, String) = (rpm.get("name")?, rpm.get("version")?);
    let (release, arch): (String, String) = (rpm.get("release")?, rpm.get("arch")?);
    let at = RpmRef { name: &name, version: &version, release: &release, arch: &arch };
    let dir = one.place.dir.clone();
    let sums_of = |key: &str| -> Result<Vec<(Algorithm, String)>, Fault> {
        let of_key = checksums.iter().filter(|row| row.value("sigkey").as_str() == Some(key));
        let sums: Result<Vec<_>, Fault> = of_key.map(sum).collect();
        Ok(sums?.into_iter().flatten().collect())
    };
    let mut package = Expected::new(What::Rpm);
    package.size = size(rpm)?;
    package.payload = Some(rpm.get("payloadhash")?);
    for row in signatures {
        let (key, sighash): (String, String) = (row.get("sigkey")?, row.get("sighash")?);
        let header = Expected {
            sums: vec![(Algorithm::Md5, sighash.clone())],
            ..Expected::new(What::SignatureHeader)
        };
        one.expected.insert(below(format!("{dir}/{}", paths().sighdr(at, &key))), header);
        package.headers.push(sighash);
        match key.as_str() {
            "" => package.sums = sums_of("")?,
            key => {
                let copy = Expected {
                    sums: sums_of(key)?,
                    optional: true,
                    ..Expected::new(What::SignedCopy)
                };
                one.expected.insert(format!("{dir}/{}", paths().signed(at, key)), copy);
            }
        }
    }
    one.expected.insert(format!("{dir}/{}", paths().rpm(at)), package);
    Ok(())
}

/// An archive; one in a subdirectory that no row tells of is looked for by its name.
fn expect_archive(one: &mut Gathered, row: &Row) -> Result<(), Fault> {
    let filename: String = row.get("filename")?;
    let btype: Option<String> = row.get("btype")?;
    let text = |name: &str| row.get::<Option<String>>(name);
    let (group, artifact, version) = (text("group_id")?, text("artifact_id")?, text("version")?);
    let btype = btype.unwrap_or_else(|| if group.is_some() { "maven" } else { "image" }.to_owned());
    let dir = below(paths().typedir(one.place.at(), &btype));
    let rel = match (&group, &artifact, &version) {
        (Some(group), Some(artifact), Some(version)) => {
            let at = MavenRef { group_id: group, artifact_id: artifact, version };
            paths().mavenfile(at, &filename)
        }
        _ => paths().winfile(text("relpath")?.as_deref(), &filename),
    };
    let mut path = format!("{dir}/{rel}");
    if !one.found.contains_key(&path) && btype != "maven" && btype != "win" {
        let end = format!("/{filename}");
        let inside = |p: &&String| p.starts_with(&format!("{dir}/")) && p.ends_with(&end);
        let free = |p: &&String| !one.expected.contains_key(*p);
        path = one.found.keys().filter(inside).find(free).cloned().unwrap_or(path);
    }
    let mut archive = Expected::new(What::Archive);
    archive.size = size(row)?;
    archive.sums.extend(sum(row)?);
    one.expected.insert(path, archive);
    Ok(())
}

/// Adds what is recorded of the files in the builds' directories.
async fn record(hub: &Hub, all: &mut [Gathered]) -> Result<(), Fault> {
    let dirs: Vec<String> = all.iter().map(|one| one.place.dir.clone()).collect();
    let mut call = hub.reading();
    for row in db::recorded_in(&mut call.tx, &dirs).await? {
        let size = u64::try_from(row.get::<i64>("size")?).unwrap_or_default();
        let record = Record { size, sha256: row.get("sha256")?, run: row.get("run")? };
        let one = usize::try_from(row.get::<i64>("dir")?).ok().and_then(|dir| all.get_mut(dir));
        if let Some(one) = one {
            one.records.insert(row.get("path")?, record);
        }
    }
    Ok(())
}
