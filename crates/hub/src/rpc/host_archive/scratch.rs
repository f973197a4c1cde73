//! Scratch results of Maven, Windows and image builds.

use toji_api::host_archive::*;
use toji_value::{Fault, FromValue, Map, Value};

use crate::build::complete::{ScratchFile, to_scratch};
use crate::build::typed::lacks;
use crate::dispatch::Handle;
use crate::rpc::import::{need_maven, need_win, results};
use crate::{Call, task};

/// Files on their way to a scratch directory.
struct Move {
    owner: String,
    files: Vec<ScratchFile>,
}

impl Move {
    async fn new(call: &mut Call, task_id: i64) -> Result<Self, Fault> {
        let owner = task::check_open(call, task_id).await?;
        let owner = crate::user::by_id(call, owner).await?;
        let owner = owner.ok_or_else(|| Fault::generic("the task's owner is gone"))?.name;
        toji_store::join(&[&owner]).map_err(|e| Fault::generic(e.to_string()))?;
        Ok(Move { owner, files: Vec::new() })
    }

    /// Adds a file of the task `made_by`, below the directory of the task `of` and `sub`.
    fn add(
        &mut self,
        call: &Call,
        made_by: i64,
        of: i64,
        sub: &str,
        rel: &str,
    ) -> Result<(), Fault> {
        let rel = crate::archive::file::plain(rel)?;
        let owner = &self.owner;
        self.files.push(ScratchFile {
            from: format!("{}/{rel}", call.hub.paths.taskrelpath(made_by)),
            to: format!("{owner}/task_{of}/{sub}{rel}"),
        });
        Ok(())
    }

    /// Adds the files of a wrapper task, if there are any.
    async fn wrapper(
        &mut self,
        call: &mut Call,
        task_id: i64,
        of: i64,
        rpms: &Value,
    ) -> Result<(), Fault> {
        let Some(rpms) = rpms.as_struct().filter(|rpms| !rpms.is_empty()) else { return Ok(()) };
        let made_by = maker(call, task_id, rpms).await?;
        let srpm = rpms.get("srpm").ok_or_else(|| lacks("srpm"))?.display();
        self.add(call, made_by, of, "rpms/", &srpm)?;
        for rel in list(rpms, "rpms")?.into_iter().chain(list(rpms, "logs")?) {
            self.add(call, made_by, of, "rpms/", &rel)?;
        }
        Ok(())
    }
}

fn list(results: &Map, key: &str) -> Result<Vec<String>, Fault> {
    Vec::from_value(results.get(key).ok_or_else(|| lacks(key))?.clone())
}

/// The task that made the files: the one that the caller holds, or one right below it.
async fn maker(call: &mut Call, task_id: i64, results: &Map) -> Result<i64, Fault> {
    let id = i64::from_value(results.get("task_id").ok_or_else(|| lacks("task_id"))?.clone())?;
    task::check_part(call, task_id, id).await?;
    Ok(id)
}

impl Handle for HostMoveMavenBuildToScratch {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        need_maven(call)?;
        let mut files = Move::new(call, self.task_id).await?;
        let (of, found) = (self.task_id, self.results);
        let made_by = maker(call, of, &found).await?;
        let by_dir = found.get("files").ok_or_else(|| lacks("files"))?;
        for (dir, names) in Map::from_value(by_dir.clone())?.iter() {
            for name in Vec::<String>::from_value(names.clone())? {
                let rel = crate::archive::file::join(&[dir, &name])?;
                files.add(call, made_by, of, "", &rel)?;
            }
        }
        for log in list(&found, "logs")? {
            files.add(call, made_by, of, "", &log)?;
        }
        files.wrapper(call, of, of, &self.rpm_results).await?;
        to_scratch(call, files.files).await?;
        Ok(Value::Nil)
    }
}

impl Handle for HostMoveWinBuildToScratch {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        need_win(call)?;
        let mut files = Move::new(call, self.task_id).await?;
        let (of, found) = (self.task_id, self.results);
        let made_by = maker(call, of, &found).await?;
        let output = found.get("output").ok_or_else(|| lacks("output"))?;
        for rel in Map::from_value(output.clone())?.keys() {
            files.add(call, made_by, of, "", rel)?;
        }
        for log in list(&found, "logs")? {
            files.add(call, made_by, of, "", &log)?;
        }
        files.wrapper(call, of, of, &self.rpm_results).await?;
        to_scratch(call, files.files).await?;
        Ok(Value::Nil)
    }
}

impl Handle for HostMoveImageBuildToScratch {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let found = results(&self.results)?;
        let mut files = Move::new(call, self.task_id).await?;
        for (name, sub) in found.iter() {
            let sub = Map::from_value(sub.clone())?;
            if !sub.contains_key("task_id") {
                tracing::warn!(task = self.task_id, image = name, "no image, its task failed");
                continue;
            }
            let made_by = maker(call, self.task_id, &sub).await?;
            for rel in list(&sub, "files")?.into_iter().chain(list(&sub, "logs")?) {
                files.add(call, made_by, made_by, "", &rel)?;
            }
            files.wrapper(call, self.task_id, made_by, sub.value("rpmresults")).await?;
        }
        to_scratch(call, files.files).await?;
        Ok(Value::Nil)
    }
}
