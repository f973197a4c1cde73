//! The deletion and the reset of builds, with their files.

use std::path::PathBuf;

use toji_db::build as db;
use toji_types::BuildState;
use toji_types::path::BuildRef;
use toji_value::{Fault, Map, Value};

use super::import::place::afterwards;
use super::import::relative;
use super::{Build, announced, told};
use crate::Call;
use crate::files::{self, After};

/// What refers to a build; with `lazy` only up to the first kind that does.
///
/// # Errors
/// When the database fails.
pub async fn references(
    call: &mut Call,
    id: i64,
    limit: Option<i64>,
    lazy: bool,
) -> Result<Map, Fault> {
    let most = limit.filter(|l| *l >= 0).unwrap_or(i64::MAX);
    let tx = &mut call.tx;
    let mut found = Map::new();
    let maps = |rows: Vec<toji_db::Row>| -> Vec<Value> {
        rows.into_iter().map(|row| row.into_map().into()).collect()
    };
    let enough = |found: &Map, key: &str| lazy && found.truthy(key);
    found.insert("tags", maps(db::tags(tx, id).await?));
    if enough(&found, "tags") {
        return Ok(found);
    }
    found.insert("rpms", maps(db::rpms_built_with(tx, id, most).await?));
    if enough(&found, "rpms") {
        return Ok(found);
    }
    let mut component_of = db::archives_with_rpms(tx, id, most).await?;
    found.insert("component_of", component_of.clone());
    if enough(&found, "component_of") {
        return Ok(found);
    }
    found.insert("archives", maps(db::archives_built_with(tx, id, most).await?));
    if enough(&found, "archives") {
        return Ok(found);
    }
    component_of.extend(db::archives_with_archives(tx, id, most).await?);
    found.insert("component_of", component_of.clone());
    if enough(&found, "component_of") {
        return Ok(found);
    }
    found.insert("last_used", db::last_used(tx, id).await?);
    found.insert("images", component_of);
    Ok(found)
}

/// Deletes a build that nothing refers to; tells whether it was deleted.
///
/// # Errors
/// With `strict`, when something refers to it.
pub async fn delete(
    call: &mut Call,
    build: &Build,
    strict: bool,
    min_age: f64,
) -> Result<bool, Fault> {
    let user = call.login()?.user_id;
    db::lock(&mut call.tx, build.id).await?;
    let found = references(call, build.id, Some(10), true).await?;
    let reason = refusal(&found, call.now(), min_age);
    match reason {
        Some(reason) if strict => {
            return Err(Fault::generic(format!("Cannot delete build, {reason}")));
        }
        Some(_) => return Ok(false),
        None => {}
    }
    announced(call, build, BuildState::Deleted).await?;
    db::delete(&mut call.tx, build.id, user).await?;
    told(call, build, BuildState::Deleted).await?;
    remove_files(call, build).await?;
    Ok(true)
}

fn refusal(found: &Map, now: f64, min_age: f64) -> Option<String> {
    for (key, what) in [
        ("tags", "tagged"),
        ("rpms", "used in buildroots"),
        ("archives", "used in archive buildroots"),
        ("component_of", "used as component of"),
    ] {
        if found.truthy(key) {
            return Some(format!("{what}: {}", in_order(found.value(key)).repr()));
        }
    }
    let last = found.value("last_used").as_f64()?;
    (now - last < min_age).then(|| "used in recent buildroot".to_owned())
}

/// Mappings with their members in the order of the names, as Koji's queries give them.
fn in_order(found: &Value) -> Value {
    let sorted = |item: &Value| match item {
        Value::Struct(map) => Value::Struct(toji_db::view::by_name(map.clone())),
        other => other.clone(),
    };
    found.as_array().map_or(found.clone(), |items| Value::Array(items.iter().map(sorted).collect()))
}

/// Takes everything of a build but its name away, so that it can be imported again.
///
/// # Errors
/// When the database fails.
pub async fn reset(call: &mut Call, build: &Build) -> Result<(), Fault> {
    db::lock(&mut call.tx, build.id).await?;
    announced(call, build, BuildState::Canceled).await?;
    db::reset(&mut call.tx, build.id).await?;
    told(call, build, BuildState::Canceled).await?;
    remove_files(call, build).await
}

/// Removes the files of a build after the commit, links of other volumes included.
async fn remove_files(call: &mut Call, build: &Build) -> Result<(), Fault> {
    let mut gone = vec![call.hub.paths.build(build.at())];
    let draft = toji_types::nvr::draft_release(&build.release, build.id);
    for volume in db::volumes(&mut call.tx).await? {
        let at = BuildRef { volume: Some(&volume), ..build.at() };
        if volume == "DEFAULT" && build.volume != volume {
            gone.push(call.hub.paths.build(at));
        }
        if !build.draft {
            gone.push(call.hub.paths.build(BuildRef { release: &draft, ..at }));
        }
    }
    let dir = relative(call, &call.hub.paths.build(build.at()));
    toji_db::journal::forget_below(&mut call.tx, &dir).await?;
    let gone = gone.into_iter().map(|path| After::Remove(path.into()));
    afterwards(call, build.id, gone.collect()).await
}

/// Removes what an earlier try of a build left behind, on any volume.
pub(super) async fn stray_files(
    call: &mut Call,
    build: &Build,
    keep: &[PathBuf],
) -> Result<(), Fault> {
    let mut stray: Vec<PathBuf> = Vec::new();
    for volume in db::volumes(&mut call.tx).await? {
        stray.push(call.hub.paths.build(BuildRef { volume: Some(&volume), ..build.at() }).into());
    }
    stray.retain(|path| !keep.contains(path));
    let store = call.hub.store.clone();
    files::blocking(move || {
        for path in stray {
            store.remove_tree(&path)?;
        }
        Ok(())
    })
    .await
}
