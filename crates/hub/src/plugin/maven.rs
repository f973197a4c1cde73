//! Koji's plugin `rpm2maven`: the Maven repository in an imported RPM becomes part of the Maven repository of the hub.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toji_plugin::Settings;
use toji_policy::glob_match;
use toji_rpmfile::{Limits, Package};
use toji_value::{Fault, Map, map};

use crate::archive::file::{self, Wanted};
use crate::archive::import::{Content, Incoming, btype};
use crate::archive::kind::Kinds;
use crate::archive::pom::{self, Gav};
use crate::build::intake::{At, Intake};
use crate::build::{self, Build, typed};
use crate::files::Placement;
use crate::{Call, files};

/// Which packages are looked into, and where in them.
const NAMES: &str = "*-repolib";
const PATHS: &str = "/usr/share/java/repository/maven2/*";

/// Files of one directory, with what its project file says.
type Artifact = (Gav, Vec<PathBuf>);

/// Imports the archives in an RPM that was imported, if its name says that it has some.
pub(super) async fn import(call: &mut Call, args: &Map, settings: &Settings) -> Result<(), Fault> {
    let (rpm, build) = (args.value("rpm"), args.value("build"));
    let name = rpm.get("name").as_str().unwrap_or_default();
    let wanted = patterns(settings, "rpm_names", NAMES).iter().any(|one| glob_match(name, one));
    if !call.hub.config.enable_maven || args.str("type") != Some("rpm") || !wanted {
        return Ok(());
    }
    let id = build.get("id").clone();
    let build = build::need(call, &id).await?;
    typed::reject_draft(build.draft)?;
    let package = PathBuf::from(args.str("filepath").unwrap_or_default());
    let work = call.hub.paths.work(None);
    let rel = format!("rpm2maven/{}", build.nvr());
    let dir = Path::new(&work).join(&rel);
    let paths = patterns(settings, "artifact_paths", PATHS);
    let into = dir.clone();
    let artifacts = tokio::task::spawn_blocking(move || unpack(&package, &into, &paths)).await;
    let artifacts =
        artifacts.map_err(|_| Fault::unexpected("unpacking of a package ended early"))?;
    let done = match artifacts {
        Ok(artifacts) if artifacts.is_empty() => Ok(()),
        Ok(artifacts) => enter(call, &build, name, &work, artifacts).await,
        Err(fault) => Err(fault),
    };
    if done.is_ok() {
        // Files are in use until the call ends, either way.
        call.files.remove([dir.display().to_string()]);
        call.files.placed(Placement { trees: vec![dir], ..Placement::default() });
        return Ok(());
    }
    files::blocking(move || toji_store::remove_tree(&dir)).await?;
    done
}

fn patterns(settings: &Settings, name: &str, default: &str) -> Vec<String> {
    let text = settings.value("patterns").get(name).as_str().unwrap_or(default);
    text.split_whitespace().map(str::to_owned).collect()
}

/// Unpacks what lies in directories like these; a directory counts that has one project file.
fn unpack(package: &Path, into: &Path, paths: &[String]) -> Result<Vec<Artifact>, Fault> {
    let wrong = |text: String| Fault::generic(format!("{}: {text}", package.display()));
    toji_store::remove_tree(into).map_err(|error| wrong(error.to_string()))?;
    let mut file = std::fs::File::open(package).map_err(|error| wrong(error.to_string()))?;
    let read = Package::read(&mut file, &Limits::default());
    let offset = read.map_err(|error| wrong(error.to_string()))?.header_range().end;
    let wanted = |path: &str| {
        let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
        paths.iter().any(|pattern| glob_match(dir, pattern))
    };
    let found = toji_store::contents::unpack(package, offset, into, wanted);
    let mut dirs: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for (_, path) in found.map_err(|error| wrong(error.to_string()))? {
        dirs.entry(path.parent().unwrap_or(into).to_owned()).or_default().push(path);
    }
    let mut artifacts = Vec::new();
    for files in dirs.into_values() {
        let is_pom = |path: &&PathBuf| path.extension().is_some_and(|end| end == "pom");
        let poms: Vec<&PathBuf> = files.iter().filter(is_pom).collect();
        if let [pom] = poms.as_slice() {
            artifacts.push((pom::read(pom)?, files));
        }
    }
    Ok(artifacts)
}

/// Enters the archives; files of types that the hub does not know are passed over.
async fn enter(
    call: &mut Call,
    build: &Build,
    rpm: &str,
    work: &str,
    artifacts: Vec<Artifact>,
) -> Result<(), Fault> {
    // No project file is known to be the topmost, so the build gets coordinates of its own, as Koji has them.
    let version = format!("{}-{}", build.version, build.release);
    let info = map! { "group_id" => &build.name, "artifact_id" => rpm, "version" => version };
    typed::make_maven(call, build.id, &info.into()).await?;
    let kinds = Kinds::read(call).await?;
    let maven = btype(call, "maven").await?;
    let mut intake = Intake::new(call, At::of(build, &build.volume))?;
    for (gav, files) in artifacts {
        for path in files {
            let rel = path.strip_prefix(work).unwrap_or(&path).to_string_lossy().into_owned();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let Some(kind) = kinds.find(&name)? else { continue };
            let found = file::need(call, Wanted { rel, verify: None, maven: true }).await?;
            let content = Content::Maven(gav.clone());
            intake.archive(call, Incoming::new(found, kind, maven.clone(), content)).await?;
        }
    }
    let journal = intake.place(call, Some(build.id)).await?;
    intake.enter(call, build, journal).await.map(drop)
}
