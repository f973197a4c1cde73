//! Calls of builders about Maven, Windows and image builds.

mod buildroot;
mod scratch;

use toji_api::host_archive::*;
use toji_types::BuildState;
use toji_value::{Fault, Map, Value};

use super::import::{import_one, need_maven, need_win};
use crate::build::{self, Build, complete, fresh, typed};
use crate::dispatch::Handle;
use crate::{Call, task};

/// What a new build of a task is made from.
async fn of_task(call: &mut Call, task_id: i64, info: Map) -> Result<Map, Fault> {
    let owner = task::lock_held(call, task_id).await?.owner;
    let mut data = info;
    data.insert("task_id", task_id);
    data.insert("owner", owner);
    data.insert("state", BuildState::Building.number());
    data.insert("completion_time", Value::Nil);
    Ok(data)
}

impl Handle for HostInitMavenBuild {
    async fn handle(self, call: &mut Call) -> Result<Map, Fault> {
        need_maven(call)?;
        let mut info = self.build_info;
        // The release always is the one after the newest.
        info.insert("release", Value::Nil);
        let mut data = of_task(call, self.task_id, info).await?;
        let id = fresh::make_next(call, &mut data).await?;
        data.insert("id", id);
        typed::make_maven(call, id, &self.maven_info).await?;
        Ok(data)
    }
}

impl Handle for HostInitImageBuild {
    async fn handle(self, call: &mut Call) -> Result<Map, Fault> {
        let mut data = of_task(call, self.task_id, self.build_info).await?;
        let id = fresh::make_next(call, &mut data).await?;
        data.insert("id", id);
        typed::make_image(call, id).await?;
        Ok(data)
    }
}

impl Handle for HostInitWinBuild {
    async fn handle(self, call: &mut Call) -> Result<Map, Fault> {
        need_win(call)?;
        let mut data = of_task(call, self.task_id, self.build_info).await?;
        let id = fresh::make(call, data.clone()).await?;
        data.insert("id", id);
        typed::make_win(call, id, &self.win_info).await?;
        Ok(data)
    }
}

/// The build that a builder names: by the number in a mapping, or as any caller does.
async fn named(call: &mut Call, info: &Value) -> Result<Build, Fault> {
    match info.get("id") {
        Value::Nil => build::need(call, info).await,
        id => build::need(call, id).await,
    }
}

impl Handle for HostCreateMavenBuild {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        need_maven(call)?;
        let build = named(call, &self.build_info).await?;
        task::claim::check_maker(call, &build).await?;
        typed::make_maven(call, build.id, &self.maven_info).await?;
        Ok(Value::Nil)
    }
}

impl Handle for HostCompleteMavenBuild {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        need_maven(call)?;
        let (task, build) = (self.task_id, self.build_id);
        complete::maven(call, task, build, &self.maven_results, &self.rpm_results).await?;
        Ok(Value::Nil)
    }
}

impl Handle for HostCompleteWinBuild {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        need_win(call)?;
        let (task, build) = (self.task_id, self.build_id);
        complete::win(call, task, build, &self.results, &self.rpm_results).await?;
        Ok(Value::Nil)
    }
}

impl Handle for HostCompleteImageBuild {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        complete::image(call, self.task_id, self.build_id, &self.results).await?;
        Ok(Value::Nil)
    }
}

impl Handle for HostImportImage {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let build = named(call, &self.build_info).await?;
        complete::images(call, self.task_id, &build, &self.results).await?;
        Ok(Value::Nil)
    }
}

impl Handle for HostImportWrapperRPMs {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        need_maven(call)?;
        complete::wrapper(call, self.task_id, self.build_id, &self.rpm_results).await?;
        Ok(Value::Nil)
    }
}

impl Handle for HostImportArchive {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        match self.type_.as_str() {
            "maven" => need_maven(call)?,
            "win" => need_win(call)?,
            other => return Err(Fault::generic(format!("unsupported archive type: {other}"))),
        }
        let rel = task_file(call, &self.filepath).await?;
        let build = named(call, &self.buildinfo).await?;
        task::claim::check_maker(call, &build).await?;
        import_one(call, &build, &rel, &self.type_, &self.type_info).await?;
        Ok(Value::Nil)
    }
}

/// The path, relative to the work directory, of a file that a task of the calling host has made.
///
/// A Koji hub takes any path from any builder; here the builder must work on the task.
async fn task_file(call: &mut Call, path: &str) -> Result<String, Fault> {
    let missing = || Fault::generic(format!("No such file: {path}"));
    let work = format!("{}/", call.hub.paths.work(None));
    let rel = path.strip_prefix(&work).unwrap_or(path);
    let rel = toji_store::normalize(rel).map_err(|_| missing())?;
    let task = match rel.split('/').collect::<Vec<_>>().as_slice() {
        ["tasks", _, id, _, ..] => id.parse::<i64>().ok(),
        _ => None,
    };
    let task = task.ok_or_else(missing)?;
    if !rel.starts_with(&format!("{}/", call.hub.paths.taskrelpath(task))) {
        return Err(missing());
    }
    task::check_open(call, task).await?;
    Ok(rel)
}
