//! Calls of builders about the builds they make.

use toji_api::host_build::*;
use toji_db::build as db;
use toji_types::BuildState;
use toji_value::{Fault, FromValue, Map, Value};

use crate::build::import::{self, Results};
use crate::dispatch::Handle;
use crate::tagging::notice;
use crate::{Call, build, task};

impl Handle for HostInitBuild {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        let data = self.data;
        let task_id = i64::from_value(data.value("task_id").clone())?;
        let owner = task::lock_held(call, task_id).await?.owner;
        let name = text(&data, "name")?
            .ok_or_else(|| Fault::generic("No name or package id provided for build"))?;
        let needed = |key: &str| {
            let missing = || Fault::generic(format!("No {key} value for build"));
            data.get(key).ok_or_else(missing).map(Value::display)
        };
        if !data.contains_key("epoch") {
            return Err(Fault::generic("No epoch value for build"));
        }
        let start = match data.value("start_time") {
            value if value.as_f64().is_some() => value.as_f64().unwrap_or_default(),
            _ => call.now(),
        };
        let new = db::New {
            pkg_id: build::package_id(call, &name).await?,
            version: needed("version")?,
            release: needed("release")?,
            epoch: Option::from_value(data.value("epoch").clone())?,
            draft: data.truthy("draft"),
            state: BuildState::Building.number(),
            task_id: Some(task_id),
            owner,
            source: text(&data, "source")?,
            extra: data.get("extra").filter(|e| !e.is_nil()).cloned(),
            times: (Some(toji_db::Time::from_epoch(start)?), None),
            ..db::New::default()
        };
        let mut given = data;
        given.insert("owner", owner);
        given.insert("state", BuildState::Building.number());
        given.insert("completion_time", Value::Nil);
        let id = build::create(call, &name, new, &given).await?;
        db::add_type(&mut call.tx, id, "rpm").await?;
        Ok(id)
    }
}

fn text(data: &Map, key: &str) -> Result<Option<String>, Fault> {
    Option::from_value(data.value(key).clone())
}

impl Handle for HostCompleteBuild {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        task::check_open(call, self.task_id).await?;
        let results = Results {
            srpm: self.srpm,
            rpms: self.rpms,
            buildroots: buildroots(&self.brmap)?,
            logs: logs(&self.logs)?,
        };
        let done = import::complete(call, self.task_id, self.build_id, results).await?;
        notice::built(call, self.task_id, self.build_id).await?;
        Ok(done.shown.into())
    }
}

impl Handle for HostFailBuild {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        task::lock_held(call, self.task_id).await?;
        let id = self.build_id;
        db::lock(&mut call.tx, id).await?;
        let missing = || Fault::generic(format!("No such build: {id}"));
        let found = build::by_id(call, id).await?.ok_or_else(missing)?;
        if found.task_id != Some(self.task_id) {
            let text = format!("Task {} does not make build {id}", self.task_id);
            return Err(Fault::not_allowed(text));
        }
        if found.state != BuildState::Building {
            let state = found.state;
            return Err(Fault::generic(format!("cannot update build {id}, state: {state}")));
        }
        build::fail(call, &found).await?;
        notice::built(call, self.task_id, id).await?;
        Ok(Value::Nil)
    }
}

impl Handle for HostMoveBuildToScratch {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let owner = task::check_open(call, self.task_id).await?;
        let owner = crate::user::by_id(call, owner).await?;
        let owner = owner.ok_or_else(|| Fault::generic("the task's owner is gone"))?.name;
        let results = Results {
            srpm: self.srpm,
            rpms: self.rpms,
            buildroots: Vec::new(),
            logs: logs(&self.logs)?,
        };
        import::to_scratch(call, self.task_id, &owner, results).await?;
        Ok(Value::Nil)
    }
}

/// The buildroot of each package; other types than a mapping count as none.
fn buildroots(brmap: &Value) -> Result<Vec<(String, i64)>, Fault> {
    let Some(map) = brmap.as_struct() else { return Ok(Vec::new()) };
    let pairs = map.iter().filter(|(_, id)| !id.is_nil());
    pairs.map(|(rel, id)| Ok((rel.to_owned(), i64::from_value(id.clone())?))).collect()
}

/// Directory and path of each log.
fn logs(logs: &Value) -> Result<Vec<(String, String)>, Fault> {
    let mut all = Vec::new();
    for (dir, paths) in logs.as_struct().into_iter().flat_map(Map::iter) {
        for path in Vec::<String>::from_value(paths.clone())? {
            all.push((dir.to_owned(), path));
        }
    }
    Ok(all)
}
