//! New builds from what callers tell of them.

use toji_db::build as db;
use toji_db::lookup::Names;
use toji_types::BuildState;
use toji_value::{Fault, FromValue, Map, Value};

use super::release;
use crate::{Call, user};

/// Makes a build from a caller's mapping, or takes up a failed one again; what is not told of a
/// finished build has its usual value.
///
/// # Errors
/// When a needed member is missing, or there is such a build.
pub async fn make(call: &mut Call, mut data: Map) -> Result<i64, Fault> {
    let (pkg_id, name) = package(call, &data).await?;
    if data.truthy("owner") {
        let owner = user::need(call, data.value("owner")).await?.id;
        data.insert("owner", owner);
    }
    for field in ["version", "release", "epoch"] {
        if !data.contains_key(field) {
            return Err(Fault::generic(format!("No {field} value for build")));
        }
    }
    let text = |field: &str| match data.value(field) {
        Value::Nil => Err(Fault::unexpected(format!("the {field} of a build is nil"))),
        other => String::from_value(other.clone()),
    };
    let owner = match data.value("owner") {
        Value::Nil => call.actor()?,
        id => i64::from_value(id.clone())?,
    };
    let new = db::New {
        pkg_id,
        version: text("version")?,
        release: text("release")?,
        epoch: Option::from_value(data.value("epoch").clone())?,
        draft: data.truthy("draft"),
        state: data.int("state").unwrap_or(BuildState::Complete.number()),
        task_id: Option::from_value(data.value("task_id").clone())?,
        owner,
        source: Option::from_value(data.value("source").clone())?,
        extra: data.get("extra").filter(|extra| !extra.is_nil()).cloned(),
        volume_id: data.int("volume_id").unwrap_or(0),
        cg_id: data.int("cg_id"),
        times: (moment(call, &data, "start_time")?, moment(call, &data, "completion_time")?),
        id: None,
    };
    super::create(call, &name, new, &data).await
}

/// Makes a build as [`make`] does; one without a release gets the next one, which is put into the
/// mapping.
///
/// # Errors
/// As [`make`], and when the newest release cannot be counted up.
pub async fn make_next(call: &mut Call, data: &mut Map) -> Result<i64, Fault> {
    if data.value("release").is_nil() {
        let (pkg_id, name) = package(call, data).await?;
        // Of two callers the second one waits here, and then sees the first one's release.
        db::lock_package(&mut call.tx, pkg_id).await?;
        let missing = || Fault::generic("No version value for build");
        let version = data.get("version").ok_or_else(missing)?.display();
        let release = release::next(call, &name, &version, 1).await?;
        data.insert("release", release);
    }
    make(call, data.clone()).await
}

async fn package(call: &mut Call, data: &Map) -> Result<(i64, String), Fault> {
    if let Some(id) = data.get("pkg_id") {
        let found = call.need(Names::Package, id).await?;
        return Ok((found.id, found.name));
    }
    let missing = || Fault::generic("No name or package id provided for build");
    let name = data.get("name").filter(|name| name.truthy()).ok_or_else(missing)?;
    let name = String::from_value(name.clone())?;
    Ok((super::package_id(call, &name).await?, name))
}

/// A moment as callers tell it: seconds, text, nil for none; now if they do not.
fn moment(call: &Call, data: &Map, key: &str) -> Result<Option<toji_db::Time>, Fault> {
    let seconds = match data.get(key) {
        None => call.now(),
        Some(Value::Nil) => return Ok(None),
        Some(Value::Str(text)) if text != "NOW" => return Ok(Some(toji_db::Time::parse(text)?)),
        Some(other) => other.as_f64().unwrap_or(call.now()),
    };
    Ok(Some(toji_db::Time::from_epoch(seconds)?))
}
