//! The packages of a tag as its repository would have them, from the kept metadata of each RPM.

use std::collections::{HashMap, HashSet};
use std::io::{BufReader, Cursor, Read};
use std::sync::Arc;

use toji_db::fragment::Pieces;
use toji_repodata::decoder;
use toji_repodata::reader::{Filelists, Primary, ReadLimits};
use toji_solve::Package;
use toji_types::arch::canonical;
use toji_value::{Fault, Value};

use crate::tag::Tag;
use crate::tagged::{self, Filter, Latest, RpmFilter};
use crate::{Call, fragment};

/// RPMs whose metadata are in memory at a time.
const BATCH: usize = 500;

/// Bytes of one part of an RPM's metadata, unpacked.
const PART: u64 = 256 << 20;

/// What a tag holds for an arch.
pub(super) struct Content {
    /// In the order of its repository.
    pub(super) packages: Vec<Arc<Package>>,
    /// Names of the source packages that it has builds of.
    pub(super) sources: HashSet<String>,
}

/// An RPM on the list.
struct Listed {
    rpm_id: i64,
    /// Below the published files.
    place: String,
}

/// Gathers the packages of a tag at an event (now without one).
pub(super) async fn of_tag(
    call: &mut Call,
    tag: &Tag,
    arch: &str,
    event: Option<i64>,
) -> Result<Content, Fault> {
    let (listed, sources) = list(call, tag, arch, event).await?;
    let mut known: HashMap<i64, Arc<Package>> = HashMap::new();
    let mut missing: Vec<&Listed> = Vec::new();
    for one in &listed {
        match call.hub.solver.package(one.rpm_id) {
            Some(package) if package.location() == one.place => {
                known.insert(one.rpm_id, package);
            }
            // its build has gone to another volume
            Some(package) => {
                let mut moved = Package::clone(&package);
                moved.set_location(&one.place);
                let moved = Arc::new(moved);
                call.hub.solver.keep(one.rpm_id, moved.clone());
                known.insert(one.rpm_id, moved);
            }
            None => missing.push(one),
        }
    }
    for batch in missing.chunks(BATCH) {
        let ids: Vec<i64> = batch.iter().map(|one| one.rpm_id).collect();
        let mut pieces = toji_db::fragment::of_rpms(&mut call.tx, &ids).await?;
        let mut work: Vec<(i64, String, Pieces)> = Vec::with_capacity(batch.len());
        for one in batch {
            let kept = match pieces.remove(&one.rpm_id) {
                Some(kept) if kept.contains_key("primary") => kept,
                _ => from_file(call, one).await?,
            };
            work.push((one.rpm_id, one.place.clone(), kept));
        }
        let read = tokio::task::spawn_blocking(move || {
            let read = |(id, place, kept): (i64, String, Pieces)| Ok((id, read(&place, &kept)?));
            work.into_iter().map(read).collect::<Result<Vec<_>, toji_solve::Error>>()
        });
        let read = read.await.map_err(|error| Fault::unexpected(error.to_string()))?;
        for (id, package) in read.map_err(|error| Fault::generic(error.to_string()))? {
            let package = Arc::new(package);
            call.hub.solver.keep(id, package.clone());
            known.insert(id, package);
        }
    }
    let packages = listed.iter().filter_map(|one| known.get(&one.rpm_id).cloned()).collect();
    Ok(Content { packages, sources })
}

/// The RPMs of a tag's repository for an arch, sorted by their places as the repository is.
async fn list(
    call: &mut Call,
    tag: &Tag,
    arch: &str,
    event: Option<i64>,
) -> Result<(Vec<Listed>, HashSet<String>), Fault> {
    let all = tag.extra("repo_include_all").is_some_and(Value::truthy);
    let latest = if all { Latest::All } else { Latest::Newest(1) };
    let filter = Filter { event, ..Filter::default() };
    let builds = tagged::builds(call, tag.id, true, latest, &filter).await?;
    let rpm_filter = RpmFilter { extra: true, ..RpmFilter::default() };
    let rpms = tagged::rpms(call, &builds, &rpm_filter).await?;
    let mut by_id = HashMap::new();
    let mut sources = HashSet::new();
    for build in &builds {
        sources.insert(build.get::<String>("package_name")?);
        by_id.insert(build.get::<i64>("build_id")?, build);
    }
    let mut listed = Vec::new();
    for rpm in &rpms {
        let (name, rpm_arch): (String, String) = (rpm.get("name")?, rpm.get("arch")?);
        let belongs = match rpm_arch.as_str() {
            "src" | "nosrc" => false,
            "noarch" => true,
            other => canonical(other) == canonical(arch),
        };
        let left_out = rpm.value("metadata_only").truthy() || toji_types::nvr::is_debuginfo(&name);
        let build = by_id.get(&rpm.get::<i64>("build_id")?).filter(|_| belongs && !left_out);
        let Some(build) = build else { continue };
        let href = fragment::href(build, rpm)?;
        let place = href.strip_prefix("toplink/").unwrap_or(&href).to_owned();
        listed.push(Listed { rpm_id: rpm.get("id")?, place });
    }
    listed.sort_by(|a, b| a.place.cmp(&b.place));
    Ok((listed, sources))
}

/// The metadata of an RPM that a hub has imported which kept none.
async fn from_file(call: &Call, one: &Listed) -> Result<Pieces, Fault> {
    let path = call.hub.config.topdir.join(&one.place);
    let href = one.place.clone();
    let store = call.hub.store.clone();
    let made = tokio::task::spawn_blocking(move || fragment::make(&store, &path, href));
    let made = made.await.map_err(|error| Fault::unexpected(error.to_string()))?;
    Ok(made?.into_pieces())
}

/// Reads the kept parts of one RPM.
fn read(place: &str, kept: &Pieces) -> Result<Package, toji_solve::Error> {
    let limits = ReadLimits { total: PART, ..ReadLimits::default() };
    let part = |kind: &str, root: &str| -> toji_repodata::Result<String> {
        let mut text = format!("<{root} packages=\"1\">");
        if let Some(data) = kept.get(kind) {
            let source = decoder("part.zst", Cursor::new(data.as_slice()))?;
            source.take(PART).read_to_string(&mut text)?;
        }
        text.push_str(&format!("</{root}>"));
        Ok(text)
    };
    let primary = part("primary", "metadata")?;
    let mut entries = Primary::new(BufReader::new(primary.as_bytes()), limits);
    let missing = toji_repodata::Error::Content("no package");
    let entry = entries.next().unwrap_or(Err(missing))?;
    let mut package = Package::new(&entry)?;
    package.set_location(place);
    if kept.contains_key("filelists") {
        let files = part("filelists", "filelists")?;
        for entry in Filelists::new(BufReader::new(files.as_bytes()), limits) {
            package.set_files(entry?.files.iter().map(|file| file.path.as_str()));
        }
    }
    Ok(package)
}
