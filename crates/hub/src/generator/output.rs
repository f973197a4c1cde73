//! The files of an import: checked against their metadata, and what each of them is.

use toji_store::{Algorithm, Area};
use toji_types::Nevra;
use toji_value::{Fault, Map, Value};

use super::build::{OLD_TYPES, Planned};
use super::component::{Components, Matched, checksum_type};
use super::metadata::{Metadata, mappings, need};
use super::root::Root;
use crate::Call;
use crate::archive::file::{self, Found, Wanted};
use crate::archive::import::{self, Incoming};
use crate::archive::kind::Kinds;
use crate::build::import::{check_srpm, read_rpm};
use crate::build::intake::Intake;
use crate::build::source::Source;
use crate::build::typed::reject_draft;

/// What a file is.
#[derive(Clone, Debug)]
enum Kind {
    Rpm,
    Log,
    Archive { btype: String, info: Value, used: Matched },
}

/// A file that metadata describe.
#[derive(Clone, Debug)]
pub(super) struct Output {
    filename: String,
    /// Its path, relative to the work directory.
    rel: String,
    /// The file; nothing where only the metadata are imported and it is not there.
    found: Option<Found>,
    pub(super) metadata_only: bool,
    /// Which of the buildroots it was made in.
    root: usize,
    subdir: Option<String>,
    kind: Kind,
    info: Map,
}

/// Reads and checks all files.
///
/// # Errors
/// When one is missing, differs from its metadata, or lacks what its type needs.
pub(super) async fn read(
    call: &mut Call,
    metadata: &Metadata,
    directory: &str,
    roots: &[Root],
    planned: &Planned,
    components: &mut Components,
) -> Result<Vec<Output>, Fault> {
    let infos = metadata.list("output")?;
    let mut wanted = Vec::with_capacity(infos.len());
    for info in &infos {
        let relpath = info.get("relpath").map(Value::display).unwrap_or_default();
        let rel = file::join(&[directory, &relpath, &need(info, "filename")?.display()])?;
        let maven = btype_of(info)?.is_some_and(|(btype, _)| btype == "maven");
        wanted.push(Wanted { rel, verify: Some(algorithm(info)?), maven });
    }
    let rels: Vec<String> = wanted.iter().map(|one| one.rel.clone()).collect();
    let found = file::read(call, wanted).await?;
    let mut outputs = Vec::with_capacity(infos.len());
    for ((info, rel), found) in infos.into_iter().zip(rels).zip(found) {
        let metadata_only = info.truthy("metadata_only");
        match &found {
            Some(found) => check_file(info, found)?,
            None if metadata_only => {}
            // A Koji hub's own error (code 1) for a file that is not there.
            None => {
                let missing = file::missing(call, &rel);
                return Err(Fault::unexpected(missing.message));
            }
        }
        let id = need(info, "buildroot_id")?;
        let missing = || Fault::generic(format!("Missing buildroot metadata for id {}", id.repr()));
        let root = roots.iter().position(|root| root.fake_id == *id).ok_or_else(missing)?;
        outputs.push(Output {
            filename: need(info, "filename")?.display(),
            rel,
            found,
            metadata_only,
            root,
            subdir: info.get("subdir").filter(|s| s.truthy()).map(Value::display),
            kind: kind(info, planned, components)?,
            info: info.clone(),
        });
    }
    Ok(outputs)
}

/// The checksum that the metadata have, among those that the hub can make.
fn algorithm(info: &Map) -> Result<Algorithm, Fault> {
    let name = need(info, "checksum_type")?.display();
    let wrong = |_| Fault::generic(format!("Unsupported verify type: {name}"));
    Algorithm::for_upload(&name).map_err(wrong)
}

fn check_file(info: &Map, found: &Found) -> Result<(), Fault> {
    let name = need(info, "filename")?.display();
    let size = need(info, "filesize")?;
    if size.as_f64() != Some(found.size as f64) {
        let (found, expected) = (found.size, size.display());
        return Err(Fault::generic(format!(
            "File size {found} for {name} (expected {expected}) doesn't match. Corrupted upload?"
        )));
    }
    let (told, sum) = (need(info, "checksum")?.display(), found.verified.as_deref());
    if Some(told.as_str()) != sum {
        let sum = sum.unwrap_or_default();
        return Err(Fault::generic(format!("File checksum mismatch for {name}: {told} != {sum}")));
    }
    Ok(())
}

fn kind(info: &Map, planned: &Planned, components: &mut Components) -> Result<Kind, Fault> {
    match need(info, "type")?.display().as_str() {
        "log" => Ok(Kind::Log),
        "rpm" => {
            if info.truthy("subdir") {
                return Err(Fault::generic("subdir field not allowed for rpm outputs"));
            }
            let nevra = Nevra::parse(&need(info, "filename")?.display());
            nevra.and_then(|n| n.check()).map_err(|e| Fault::generic(e.to_string()))?;
            Ok(Kind::Rpm)
        }
        _ => archive(info, planned, components),
    }
}

fn archive(info: &Map, planned: &Planned, components: &mut Components) -> Result<Kind, Fault> {
    let name = info.value("filename").display();
    let missing = || Fault::generic(format!("No typeinfo for: {name}"));
    let (btype, details) = btype_of(info)?.ok_or_else(missing)?;
    let (btype, details) = (btype.to_owned(), details.clone());
    if !planned.types.contains_key(&btype) {
        return Err(Fault::generic(format!("Output type {btype} not listed in build types")));
    }
    let mut used = Matched::default();
    if let Some(list) = info.get("components") {
        if matches!(btype.as_str(), "maven" | "win") {
            let text = format!("Component list not allowed for archives of type {btype}");
            return Err(Fault::generic(text));
        }
        used = components.matches(&mappings(list, "components")?)?;
    }
    Ok(Kind::Archive { btype, info: details, used })
}

/// The one build type of a file with its details, or nothing.
fn btype_of(info: &Map) -> Result<Option<(&str, &Value)>, Fault> {
    let name = || info.value("filename").display();
    let many = || Fault::generic(format!("Output file has multiple types: {}", name()));
    let Some(extra) = info.value("extra").as_struct() else { return Ok(None) };
    let mut found: Option<(&str, &Value)> = None;
    for (key, details) in extra.iter().filter(|(key, _)| OLD_TYPES.contains(key)) {
        if found.is_some() {
            return Err(many());
        }
        if info.truthy("subdir") {
            return Err(Fault::generic("subdir field not allowed for legacy btypes"));
        }
        found = Some((key, details));
    }
    for (key, details) in extra.value("typeinfo").as_struct().into_iter().flat_map(Map::iter) {
        match found {
            Some((known, _)) if known == key => {
                return Err(Fault::generic(format!("Duplicate typeinfo for: '{key}'")));
            }
            Some(_) => return Err(many()),
            None => found = Some((key, details)),
        }
    }
    Ok(found)
}

/// The buildroots of what was taken in, as places in the list of buildroots.
#[derive(Clone, Debug, Default)]
pub(super) struct Roots {
    pub(super) rpms: Vec<usize>,
    pub(super) archives: Vec<usize>,
}

/// Takes all files in.
///
/// # Errors
/// When one does not fit the build, or has no type.
pub(super) async fn take(
    call: &mut Call,
    outputs: Vec<Output>,
    planned: &Planned,
    intake: &mut Intake,
) -> Result<Roots, Fault> {
    let kinds = Kinds::read(call).await?;
    let mut roots = Roots::default();
    for output in outputs {
        match &output.kind {
            Kind::Rpm => {
                take_rpm(call, &output, planned, intake).await?;
                roots.rpms.push(output.root);
            }
            Kind::Log => {
                if let Some(found) = output.found.as_ref().filter(|_| !output.metadata_only) {
                    let subdir = output.subdir.as_deref().unwrap_or_default();
                    intake.log(call, found, subdir).await?;
                }
            }
            Kind::Archive { .. } => {
                reject_draft(planned.draft)?;
                roots.archives.push(output.root);
                let new = incoming(call, output, &kinds).await?;
                intake.archive(call, new).await?;
            }
        }
    }
    Ok(roots)
}

async fn take_rpm(
    call: &mut Call,
    output: &Output,
    planned: &Planned,
    intake: &mut Intake,
) -> Result<(), Fault> {
    if output.metadata_only {
        return Err(Fault::generic("Metadata-only imports are not supported for rpms"));
    }
    let (area, rel) = (Area::new(call.hub.paths.work(None)), output.rel.clone());
    let store = call.hub.store.clone();
    let read = tokio::task::spawn_blocking(move || read_rpm(&store, &area, &rel)).await;
    let source: Source = read.map_err(|_| Fault::unexpected("reading of an rpm ended early"))??;
    let expected = format!("{}-{}-{}.src.rpm", planned.name, planned.version, planned.release);
    check_srpm(&source, &expected)?;
    let extra = output.info.get("extra").filter(|extra| !extra.is_nil()).cloned();
    intake.rpm(call, source, None, extra).await
}

async fn incoming(call: &mut Call, output: Output, kinds: &Kinds) -> Result<Incoming, Fault> {
    let Kind::Archive { btype, info, used } = output.kind else {
        return Err(Fault::unexpected("not an archive"));
    };
    if output.metadata_only && checksum_type(&output.info)? == toji_types::ChecksumType::Sha1 {
        return Err(Fault::generic("Unsupported checksum type: sha1"));
    }
    let size = need(&output.info, "filesize")?;
    let wrong = || Fault::unexpected(format!("filesize is no number: {}", size.repr()));
    Ok(Incoming {
        kind: kinds.need(&output.filename)?,
        size: size.as_int().ok_or_else(wrong)?,
        checksum: need(&output.info, "checksum")?.display(),
        checksum_type: checksum_type(&output.info)?,
        file: output.found.filter(|_| !output.metadata_only),
        content: import::content(&btype, &info, output.subdir.as_deref())?,
        btype: import::btype(call, &btype).await?,
        buildroot_id: None,
        extra: output.info.get("extra").filter(|extra| !extra.is_nil()).cloned(),
        rpms: used.rpms,
        archives: used.archives,
        filename: output.filename,
    })
}
