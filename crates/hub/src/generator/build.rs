//! The build that metadata describe, checked against a reservation or what is there already.

use toji_db::lookup::Names;
use toji_types::{BuildState, nvr};
use toji_value::{Fault, FromValue, Map, Value};

use super::has_token;
use super::metadata::{Metadata, need};
use crate::build::{self, Build};
use crate::lookup::Entry;
use crate::{Call, user};

/// Types whose details may stand beside `typeinfo`.
pub(super) const OLD_TYPES: [&str; 3] = ["maven", "win", "image"];

/// A build that is about to be imported.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) name: String,
    pub(super) version: String,
    /// The release of the metadata, without a draft's suffix.
    pub(super) release: String,
    pub(super) epoch: Option<i64>,
    pub(super) draft: bool,
    pub(super) source: Option<String>,
    /// Further data, with all types in `typeinfo`.
    pub(super) extra: Map,
    pub(super) start: f64,
    pub(super) end: f64,
    pub(super) task_id: Option<i64>,
    pub(super) owner: Option<i64>,
    /// Types with their details.
    pub(super) types: Map,
    /// The reserved build.
    pub(super) reserved: Option<Build>,
}

impl Planned {
    /// Reads and checks what metadata tell of a build.
    ///
    /// # Errors
    /// When they do not fit the reservation, or there is such a build.
    pub(super) async fn read(
        call: &mut Call,
        metadata: &Metadata,
        cg: &Entry,
        token: &Value,
    ) -> Result<Self, Fault> {
        let given = metadata.get("build")?;
        let wrong = || Fault::unexpected("build is no mapping");
        let given = given.as_struct().ok_or_else(wrong)?;
        let reserved = if given.truthy("build_id") {
            Some(reservation(call, given, cg, token).await?)
        } else if token.is_nil() {
            refuse_known(call, given).await?;
            None
        } else {
            let text = "Reservation token given, but no build_id in metadata";
            return Err(Fault::generic(text));
        };
        let text = |key: &str| Ok::<_, Fault>(need(given, key)?.display());
        let time = |key: &str| f64::from_value(need(given, key)?.clone());
        let mut planned = Planned {
            name: text("name")?,
            version: text("version")?,
            release: text("release")?,
            epoch: Option::from_value(given.value("epoch").clone())?,
            draft: given.truthy("draft"),
            extra: match need(given, "extra")? {
                Value::Struct(extra) => extra.clone(),
                _ => return Err(Fault::unexpected("extra is no mapping")),
            },
            source: Option::from_value(need(given, "source")?.clone())?,
            start: time("start_time")?,
            end: time("end_time")?,
            task_id: task_id(given)?,
            owner: owner(call, given).await?,
            types: Map::new(),
            reserved,
        };
        super::check_nvr(given)?;
        planned.types = types(&mut planned.extra)?;
        for btype in planned.types.keys() {
            call.need(Names::Btype, &btype.into()).await?;
        }
        Ok(planned)
    }
}

/// The reserved build that metadata name.
async fn reservation(
    call: &mut Call,
    given: &Map,
    cg: &Entry,
    token: &Value,
) -> Result<Build, Fault> {
    let info = given.value("build_id");
    let build = build::need(call, info).await?;
    let id = build.id;
    let task = task_id(given)?;
    let fail = |text: String| Err(Fault::generic(text));
    if !has_token(call, id, token).await? {
        return fail(format!("Token doesn't match build ID {}", info.display()));
    }
    if build.shown.int("cg_id") != Some(cg.id) {
        return fail(format!("Build ID {id} is not reserved by this CG"));
    }
    if let Some(owner) = build.task_id.filter(|owner| Some(*owner) != task) {
        return fail(format!("Build is owned by task {owner}"));
    }
    if build.state != BuildState::Building {
        return fail(format!("Build ID {id} is not in BUILDING state"));
    }
    if build.draft != given.truthy("draft") {
        return fail(format!("Draft field does not match reservation (build id = {id})"));
    }
    let release = need(given, "release")?.display();
    let release = if build.draft { nvr::draft_release(&release, id) } else { release };
    let same = build.name == need(given, "name")?.display()
        && build.version == need(given, "version")?.display()
        && build.release == release;
    if !same {
        return fail(format!("Build ({id}) NVR is different"));
    }
    if let Some(epoch) = given.get("epoch")
        && Option::<i64>::from_value(epoch.clone())? != build.epoch
    {
        return fail(format!("Build ({id}) epoch is different"));
    }
    Ok(build)
}

/// Refuses a name that is taken, unless by a build that failed or was cancelled.
async fn refuse_known(call: &mut Call, given: &Map) -> Result<(), Fault> {
    let Some(build) = build::find(call, &Value::Struct(given.clone())).await? else {
        return Ok(());
    };
    if matches!(build.state, BuildState::Canceled | BuildState::Failed) {
        return Ok(());
    }
    Err(Fault::generic(format!("Build already exists: {} (id={})", build.nvr(), build.id)))
}

/// The task of the build: where the standard has it, or where older generators put it.
fn task_id(given: &Map) -> Result<Option<i64>, Fault> {
    let number = |value: &Value| match value {
        Value::Nil => Err(Fault::parameter("Invalid type, expected type <class 'int'>")),
        other => i64::from_value(other.clone()),
    };
    let own = given.get("task_id").map(number).transpose()?;
    let older = given.value("extra").as_struct().and_then(|e| e.get("container_koji_task_id"));
    let Some(older) = older.map(number).transpose()? else { return Ok(own) };
    if let Some(own) = own.filter(|own| *own != older) {
        return Err(Fault::generic(format!(
            "CG provided non-matching task_id {own} and container_koji_task_id {older}"
        )));
    }
    Ok(Some(older))
}

async fn owner(call: &mut Call, given: &Map) -> Result<Option<i64>, Fault> {
    let Some(owner) = given.get("owner").filter(|owner| owner.truthy()) else { return Ok(None) };
    let wrong =
        || Fault::generic(format!("Invalid owner format (expected username): {}", owner.display()));
    owner.as_str().ok_or_else(wrong)?;
    Ok(Some(user::need(call, owner).await?.id))
}

/// Puts the older types' details to the others, and returns all.
fn types(extra: &mut Map) -> Result<Map, Fault> {
    let mut types = match extra.value("typeinfo") {
        Value::Nil => Map::new(),
        Value::Struct(types) => types.clone(),
        _ => return Err(Fault::unexpected("typeinfo is no mapping")),
    };
    for btype in OLD_TYPES {
        let Some(info) = extra.get(btype) else { continue };
        if types.contains_key(btype) {
            return Err(Fault::generic(format!("Duplicate typeinfo for '{btype}'")));
        }
        types.insert(btype, info);
    }
    extra.insert("typeinfo", types.clone());
    Ok(types)
}
