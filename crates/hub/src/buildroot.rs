//! Buildroots: who may touch them, their states and what is installed in them.

use std::collections::HashMap;

use toji_db::buildroot as db;
use toji_types::{BrState, BrType};
use toji_value::{Fault, Map, Value};

use crate::{Call, task};

/// Locks a buildroot of the calling host, and of the named task if one is named.
///
/// # Errors
/// `ActionNotAllowed` for a buildroot of another host or task.
pub async fn lock_own(call: &mut Call, id: i64, task_id: Option<i64>) -> Result<BrState, Fault> {
    let host = call.verified_host().await?;
    if let Some(task) = task_id {
        task::lock_held(call, task).await?;
    }
    let missing = || Fault::generic(format!("no buildroot with ID: {id}"));
    let row = db::lock(&mut call.tx, id).await?.ok_or_else(missing)?;
    if row.get::<i64>("br_type")? != BrType::Standard.number() {
        return Err(Fault::generic(format!("Not a standard buildroot: {id}")));
    }
    if row.get::<Option<i64>>("host_id")? != Some(host) {
        let text = format!("Host {host} not owner of buildroot {id}");
        return Err(Fault::not_allowed(text));
    }
    let owner: Option<i64> = row.get("task_id")?;
    if let Some(task) = task_id.filter(|task| owner != Some(*task)) {
        let text = format!("Task {task} does not have lock on buildroot {id}");
        return Err(Fault::not_allowed(text));
    }
    let state: Option<i64> = row.get("state")?;
    BrState::try_from(state.unwrap_or_default()).map_err(|e| Fault::generic(e.to_string()))
}

/// Sets the state of a buildroot; expiring an expired one again is fine.
///
/// # Errors
/// When it would start again or come back.
pub async fn set_state(call: &mut Call, id: i64, from: BrState, to: BrState) -> Result<(), Fault> {
    if to == BrState::Init {
        return Err(Fault::generic("Cannot change buildroot state to INIT"));
    }
    if from == BrState::Expired {
        return match to {
            BrState::Expired => Ok(()),
            _ => Err(Fault::generic(format!("buildroot {id} is EXPIRED"))),
        };
    }
    Ok(db::set_state(&mut call.tx, id, to).await?)
}

/// Adds RPMs to what is installed in a buildroot.
///
/// # Errors
/// When an RPM is not known.
pub async fn install(call: &mut Call, id: i64, rpms: &[Value], update: bool) -> Result<(), Fault> {
    let mut names: Vec<String> = Vec::new();
    for rpm in rpms {
        let name = rpm.get("name").as_str();
        names.extend(name.filter(|n| !names.iter().any(|known| known == n)).map(str::to_owned));
    }
    let known = db::rpms_named(&mut call.tx, &names).await?;
    let known: Vec<Map> = known.into_iter().map(toji_db::Row::into_map).collect();
    let mut ids = Vec::with_capacity(rpms.len());
    let mut repos: HashMap<&str, i64> = HashMap::new();
    for rpm in rpms {
        let rpm = rpm.as_struct().ok_or_else(|| Fault::generic("an rpm is not a dictionary"))?;
        match rpm.str("location").filter(|l| !l.is_empty()) {
            Some(location) => {
                let repo_id = match repos.get(location) {
                    Some(id) => *id,
                    None => external_repo(call, location).await?,
                };
                repos.insert(location, repo_id);
                ids.push(external(call, &known, rpm, (repo_id, location)).await?);
            }
            None => ids.push(internal(&known, rpm)?),
        }
    }
    Ok(db::install(&mut call.tx, id, &ids, update).await?)
}

fn same_nvra(a: &Map, b: &Map) -> bool {
    ["name", "version", "release", "arch"].iter().all(|key| a.value(key) == b.value(key))
}

/// The RPM of this system with a name: of a finished build before one of a draft.
fn internal(known: &[Map], rpm: &Map) -> Result<i64, Fault> {
    if let Some(id) = rpm.int("id") {
        return Ok(id);
    }
    let matches = || known.iter().filter(|k| same_nvra(k, rpm));
    let own = || matches().filter(|k| k.int("external_repo_id") == Some(0));
    let found = own().find(|k| !k.truthy("draft")).or_else(|| own().next_back());
    let found = found.or_else(|| matches().next_back()).and_then(|k| k.int("id"));
    found.ok_or_else(|| Fault::generic(format!("No such rpm: {}", Value::from(rpm.clone()).repr())))
}

async fn external_repo(call: &mut Call, location: &str) -> Result<i64, Fault> {
    let missing = || Fault::generic(format!("No such entry in table external_repo: {location}"));
    toji_db::rpm::external_repo(&mut call.tx, location).await?.ok_or_else(missing)
}

/// The number of a known external RPM, which must have the same hash.
fn same_external(found: &Map, rpm: &Map, location: &str) -> Result<i64, Fault> {
    let (old, new) = (found.value("payloadhash"), rpm.value("payloadhash"));
    if old == new {
        return Ok(found.int("id").unwrap_or_default());
    }
    let (name, old, new) = (nvra(rpm), old.display(), new.display());
    let text = format!("hash changed for external rpm: {name}@{location} ({old} -> {new})");
    Err(Fault::generic(text))
}

/// The RPM of an external repository, which is entered if it is new.
async fn external(
    call: &mut Call,
    known: &[Map],
    rpm: &Map,
    (repo_id, location): (i64, &str),
) -> Result<i64, Fault> {
    let same = |k: &&Map| same_nvra(k, rpm) && k.int("external_repo_id") == Some(repo_id);
    if let Some(found) = known.iter().find(same) {
        return same_external(found, rpm, location);
    }
    let text = |key: &str| {
        let missing = || Fault::generic(format!("{key} field not defined for: {}", nvra(rpm)));
        rpm.str(key).ok_or_else(missing)
    };
    let number = |key: &str| rpm.value(key).as_f64().map_or(0, |n| n as i64);
    let new = db::ExternalRpm {
        repo_id,
        name: text("name")?,
        version: text("version")?,
        release: text("release")?,
        epoch: rpm.int("epoch"),
        arch: text("arch")?,
        payloadhash: text("payloadhash")?,
        size: number("size"),
        buildtime: number("buildtime"),
    };
    if let Some(id) = db::insert_external(&mut call.tx, &new).await? {
        return Ok(id);
    }
    // Another buildroot has entered it since.
    let name = (new.name, new.version, new.release, new.arch);
    let rows = toji_db::rpm::by_nvra(&mut call.tx, name, Some(repo_id)).await?;
    let found = rows.into_iter().next().map(toji_db::Row::into_map);
    let found = found.ok_or_else(|| Fault::unexpected("an external rpm vanished"))?;
    same_external(&found, rpm, location)
}

fn nvra(rpm: &Map) -> String {
    let part = |key: &str| rpm.value(key).display();
    format!("{}-{}-{}.{}", part("name"), part("version"), part("release"), part("arch"))
}
