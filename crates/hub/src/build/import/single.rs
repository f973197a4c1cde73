//! The import of one RPM that an administrator uploaded.

use toji_bus::Topic;
use toji_db::build as db;
use toji_db::rpm as rpms;
use toji_store::Area;
use toji_types::{BuildState, Nevra};
use toji_value::{Fault, Map, Value, map};

use super::read::read_rpm;
use super::{enter, place, signature_files, steps};
use crate::Call;
use crate::build::source::Source;
use crate::build::{self, Build};

/// Imports one RPM that an administrator uploaded, into the build it belongs to; the build of a
/// source package is made if it does not exist.
///
/// # Errors
/// When the file is broken or its build does not exist.
pub async fn single(call: &mut Call, rel: &str) -> Result<Map, Fault> {
    let user = call.login()?.user_id;
    let (area, store) = (Area::new(call.hub.paths.work(None)), call.hub.store.clone());
    let owned = rel.to_owned();
    let read = tokio::task::spawn_blocking(move || read_rpm(&store, &area, &owned)).await;
    let source = read.map_err(|_| Fault::unexpected("reading of an upload ended early"))??;
    let build = build_of(call, &source, user).await?;
    // Others that import into it wait here, and find the file then.
    place::hold(call, &build).await?;
    if matches!(build.state, BuildState::Failed | BuildState::Canceled | BuildState::Deleted) {
        return Err(Fault::generic(format!("Build is {}: {}", build.state, build.nvr())));
    }
    let steps = steps(call, &build, std::slice::from_ref(&source), &[])?;
    if let Some(step) = steps.first() {
        let (store, to) = (call.hub.store.clone(), step.to.clone());
        if crate::files::blocking(move || store.exists(&to)).await? {
            let shown = step.to.display();
            let text = format!("Error importing archive file, {shown} already exists");
            return Err(Fault::generic(text));
        }
    }
    let written = signature_files(call, &build, std::slice::from_ref(&source));
    let journal = place::place(call, build.id, steps, written, Vec::new()).await?;
    db::add_type(&mut call.tx, build.id, "rpm").await?;
    let mut shown = enter(call, &build, &source, None).await?;
    for tag in rpms::tags_of_build(&mut call.tx, build.id).await? {
        let kind = toji_types::TagUpdate::Import.number();
        rpms::tag_updated(&mut call.tx, tag, kind, user).await?;
    }
    if let Some(journal) = journal {
        toji_db::journal::commit(&mut call.tx, journal).await?;
    }
    call.signal(Topic::Repositories);
    shown.extend(map! {
        "sourcepackage" => source.is_source.then_some(1_i64), "sourcerpm" => if source.is_source {
            Value::Nil
        } else {
            Value::Str(source.source_rpm.clone())
        },
        "build" => build.shown, "brootid" => Value::Nil,
    });
    Ok(shown)
}

/// The build that an RPM belongs to.
async fn build_of(call: &mut Call, source: &Source, user: i64) -> Result<Build, Fault> {
    let (name, version, release) = if source.is_source {
        (source.name.clone(), source.version.clone(), source.release.clone())
    } else {
        let nevra = Nevra::parse(&source.source_rpm).map_err(|e| Fault::generic(e.to_string()))?;
        (nevra.nvr.name, nevra.nvr.version, nevra.nvr.release)
    };
    let missing = || Fault::generic("No such build");
    let id = match db::find(&mut call.tx, &name, &version, &release).await? {
        Some(id) => id,
        None if !source.is_source => return Err(missing()),
        None => {
            let new = db::New {
                pkg_id: build::package_id(call, &name).await?,
                version,
                release,
                epoch: source.epoch,
                state: BuildState::Complete.number(),
                owner: user,
                times: build::now_and_now(call)?,
                ..db::New::default()
            };
            build::create(call, &name, new, &Map::new()).await?
        }
    };
    build::by_id(call, id).await?.ok_or_else(missing)
}
