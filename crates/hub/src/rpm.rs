//! RPMs: finding them as callers name them, and reading their files.

pub mod checksum;
pub mod external;
pub mod known;
pub mod signature;
pub(crate) mod signer;

use std::io::BufReader;
use std::path::PathBuf;

use toji_db::lookup::Names;
use toji_db::rpm as db;
use toji_rpmfile::{Field, Limits, Package};
use toji_types::Nevra;
use toji_types::path::RpmRef;
use toji_value::{Fault, Map, Value, map};

use crate::build::Build;
use crate::lookup::fit;
use crate::{Call, build};

/// What a caller asks for, as a Koji hub shows it when there is no such RPM.
fn wanted(info: &Value) -> Result<Map, Fault> {
    Ok(match info {
        Value::Int(id) => map! { "id" => *id },
        Value::Bool(truth) => map! { "id" => i64::from(*truth) },
        Value::Str(text) => match text.trim().parse::<i64>() {
            Ok(id) => map! { "id" => id },
            Err(_) => {
                let rpm = Nevra::parse(text).map_err(|e| Fault::generic(e.to_string()))?;
                let is_source = rpm.arch == "src" || rpm.arch == "nosrc";
                let mut map = map! {
                    "release" => &rpm.nvr.release, "version" => &rpm.nvr.version,
                    "name" => &rpm.nvr.name, "epoch" => &rpm.nvr.epoch, "arch" => &rpm.arch,
                    "src" => is_source,
                };
                if let Some(location) = rpm.location {
                    map.insert("location", location);
                }
                map
            }
        },
        Value::Struct(map) => map.clone(),
        other => {
            let text = format!("Invalid type for rpminfo: <class '{}'>", other.type_name());
            return Err(Fault::generic(text));
        }
    })
}

/// All RPMs that a caller's value names.
///
/// # Errors
/// A generic fault for a value that names no RPM, or an unknown location.
pub async fn find_all(call: &mut Call, info: &Value) -> Result<Vec<Map>, Fault> {
    let wanted = wanted(info)?;
    let external = match wanted.get("location") {
        None => None,
        Some(location) => Some(call.need(Names::ExternalRepo, location).await?.id),
    };
    let rows = if let Some(id) = wanted.get("id") {
        let id = id.as_int().ok_or_else(|| Fault::unexpected("an rpm's id is a number"))?;
        db::by_id(&mut call.tx, fit(id)).await?
    } else {
        // A Koji hub's own error (code 1) for a struct without these members.
        let missing = |key: &str| Fault::unexpected(format!("rpminfo has no {key}"));
        let part = |key: &str| wanted.get(key).map(Value::display).ok_or_else(|| missing(key));
        let (name, version) = (part("name")?, part("version")?);
        let (release, arch) = (part("release")?, part("arch")?);
        db::by_nvra(&mut call.tx, (&name, &version, &release, &arch), external).await?
    };
    Ok(rows.into_iter().map(toji_db::Row::into_map).collect())
}

/// The RPM that a caller's value names: of a build before one of a draft before an external one.
///
/// # Errors
/// A generic fault for a value that names no RPM.
pub async fn find(call: &mut Call, info: &Value) -> Result<Option<Map>, Fault> {
    let found = find_all(call, info).await?;
    let external = |rpm: &Map| rpm.int("external_repo_id").is_some_and(|id| id != 0);
    let rank = |rpm: &Map| match () {
        () if external(rpm) => 0,
        () if rpm.truthy("draft") => 1,
        () => 2,
    };
    Ok(found.into_iter().max_by_key(|rpm| (rank(rpm), rpm.int("id"))))
}

/// The RPM that a caller's value names.
///
/// # Errors
/// A generic fault when there is none.
pub async fn need(call: &mut Call, info: &Value) -> Result<Map, Fault> {
    match find(call, info).await? {
        Some(rpm) => Ok(rpm),
        None => {
            let shown = Value::Struct(wanted(info)?).repr();
            Err(Fault::generic(format!("No such rpm: {shown}")))
        }
    }
}

/// The file of an RPM of a build.
///
/// # Errors
/// When a part of its name is missing.
pub fn path(call: &Call, build: &Build, rpm: &Map) -> Result<PathBuf, Fault> {
    let paths = &call.hub.paths;
    Ok(format!("{}/{}", paths.build(build.at()), paths.rpm(named(rpm)?)).into())
}

/// The name parts of an RPM.
///
/// # Errors
/// When one is missing.
pub(crate) fn named(rpm: &Map) -> Result<RpmRef<'_>, Fault> {
    let part = |key: &str| {
        rpm.str(key).ok_or_else(|| Fault::unexpected(format!("an rpm row has no {key}")))
    };
    Ok(RpmRef {
        name: part("name")?,
        version: part("version")?,
        release: part("release")?,
        arch: part("arch")?,
    })
}

/// The build and the file of an RPM; nothing for an external one.
///
/// # Errors
/// When the build does not exist.
pub async fn located(call: &mut Call, rpm: &Map) -> Result<Option<(Build, PathBuf)>, Fault> {
    let Some(id) = rpm.int("build_id") else { return Ok(None) };
    let missing = || Fault::generic(format!("No such build: {id}"));
    let build = build::by_id(call, id).await?.ok_or_else(missing)?;
    let path = path(call, &build, rpm)?;
    Ok(Some((build, path)))
}

/// Reads the headers of an RPM; nothing if the file does not exist.
///
/// # Errors
/// A generic fault when it is no RPM.
pub async fn read(call: &Call, path: PathBuf) -> Result<Option<Package>, Fault> {
    let store = call.hub.store.clone();
    let work = move || {
        let file = match store.open(&path) {
            Ok(file) => file,
            Err(e) if e.is_missing() => return Ok(None),
            Err(e) => return Err(Fault::generic(e.to_string())),
        };
        let package = Package::read(&mut BufReader::new(file), &Limits::default());
        package.map(Some).map_err(|e| Fault::generic(format!("{}: {e}", path.display())))
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Fault::unexpected("reading of an rpm ended early"))?
}

/// The file that a task made, opened below the work directory; nothing if it does not exist.
///
/// # Errors
/// A generic fault for a path that leaves the task's directory.
pub fn task_file(call: &Call, task: i64, filepath: Option<&str>) -> Result<PathBuf, Fault> {
    let Some(filepath) = filepath.filter(|p| !p.is_empty()) else {
        return Err(Fault::generic("filepath must be specified with taskID"));
    };
    if filepath.starts_with('/') || filepath.contains("../") {
        return Err(Fault::generic(format!("Invalid filepath: {filepath}")));
    }
    let plain = toji_store::normalize(filepath).map_err(|e| Fault::generic(e.to_string()))?;
    Ok(format!("{}/{plain}", call.hub.paths.task(task, None)).into())
}

/// A header field as a value.
pub fn value(field: Field) -> Value {
    match field {
        Field::None => Value::Nil,
        Field::Int(n) => i64::try_from(n).map_or(Value::Double(n as f64), Value::Int),
        Field::Str(text) => Value::Str(printable(&text)),
        Field::Bin(bytes) => Value::Bytes(bytes),
        Field::List(items) => Value::Array(items.into_iter().map(value).collect()),
    }
}

/// The text without control characters other than line ends and tabs.
pub fn printable(text: &str) -> String {
    text.chars().filter(|c| *c >= ' ' || matches!(c, '\r' | '\n' | '\t')).collect()
}

/// A header field by name.
///
/// # Errors
/// A generic fault for a name that no field has.
pub fn field(package: &Package, name: &str) -> Result<Value, Fault> {
    let found = package.field(name, false);
    found.map(value).map_err(|e| Fault::generic(e.to_string()))
}

/// A header field that is a list; nothing stands for an empty one.
///
/// # Errors
/// A generic fault for a name that no field has.
pub fn list(package: &Package, name: &str) -> Result<Vec<Value>, Fault> {
    Ok(match field(package, name)? {
        Value::Array(items) => items,
        Value::Nil => Vec::new(),
        one => vec![one],
    })
}
