//! The completion of Maven builds.

use toji_value::{Fault, FromValue, Map, Value};

use super::super::intake::{At, Intake};
use super::super::{Build, typed, volume};
use super::{buildroot, finish, in_progress, member, policy_data, read, task_dir, texts, wrapper};
use crate::Call;
use crate::archive::file::Found;
use crate::archive::import::{Content, Incoming, btype};
use crate::archive::kind::Kinds;
use crate::archive::pom::{self, Gav};

/// The description of a repository, which belongs to it but is no archive.
const METADATA: &str = "maven-metadata.xml";

/// Imports what the tasks of a Maven build have made, and completes it.
///
/// # Errors
/// When a file is missing, of an unknown type, or does not fit the build; nothing is changed then.
pub async fn maven(
    call: &mut Call,
    task_id: i64,
    build_id: i64,
    results: &Map,
    rpms: &Value,
) -> Result<Build, Fault> {
    let build = in_progress(call, task_id, build_id).await?;
    let gav = typed::gav(call, build_id).await?;
    let volume = volume::for_task(call, task_id, policy_data(&build, "maven")).await?;
    let mut intake = Intake::new(call, At::of(&build, &volume.name))?;
    let dir = task_dir(call, task_id, results).await?;
    let root = buildroot(call, task_id, results).await?;
    let kinds = Kinds::read(call).await?;
    let kind_of_build = btype(call, "maven").await?;
    for (rel, names) in Map::from_value(member(results, "files")?.clone())?.iter() {
        let names = Vec::<String>::from_value(names.clone())?;
        let mut names: Vec<String> = names.into_iter().filter(|name| !is_sum(name)).collect();
        // The project file tells what the other files of its directory are.
        names.sort_by_key(|name| !name.ends_with(".pom"));
        // Archives of the sources are beside the repository, in no directory of it.
        let place = if rel.is_empty() { String::new() } else { format!("{rel}/") };
        let paths = names.iter().map(|name| format!("{place}{name}")).collect();
        let files = read(call, &dir, paths, true).await?;
        let gav = directory(rel, &files).await?.unwrap_or_else(|| gav.clone());
        for found in files {
            if found.name == METADATA {
                let dir = intake.dir_of(call, "maven").join(crate::archive::file::plain(rel)?);
                intake.file(&found, dir.join(METADATA)).await?;
                intake.maven_sums(&found, &dir).await;
                continue;
            }
            let unknown = || Fault::build(format!("unsupported file type: {}", found.name));
            let kind = kinds.find(&found.name)?.ok_or_else(unknown)?;
            let content = Content::Maven(gav.clone());
            let new = Incoming::new(found, kind, kind_of_build.clone(), content);
            intake.archive(call, Incoming { buildroot_id: root, ..new }).await?;
        }
    }
    for log in read(call, &dir, texts(results, "logs")?, false).await? {
        intake.log(call, &log, "maven").await?;
    }
    wrapper::add_if_any(call, &mut intake, &build, task_id, rpms).await?;
    finish(call, task_id, &build, volume, intake, Vec::new()).await
}

/// Checksums are made anew.
fn is_sum(name: &str) -> bool {
    name.ends_with(".md5") || name.ends_with(".sha1")
}

/// What the project file of a directory says, if there is one.
async fn directory(rel: &str, files: &[Found]) -> Result<Option<Gav>, Fault> {
    let poms: Vec<&Found> = files.iter().filter(|file| file.name.ends_with(".pom")).collect();
    match poms.as_slice() {
        [] => Ok(None),
        [pom] => {
            let path = pom.path.clone();
            let read = tokio::task::spawn_blocking(move || pom::read(&path)).await;
            read.map_err(|_| Fault::unexpected("reading of a pom ended early"))?.map(Some)
        }
        many => {
            let names: Vec<&str> = many.iter().map(|pom| pom.name.as_str()).collect();
            let names = names.join(", ");
            Err(Fault::build(format!("multiple .pom files in {rel}: {names}")))
        }
    }
}
