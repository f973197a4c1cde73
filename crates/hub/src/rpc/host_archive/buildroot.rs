//! Archives in buildroots.

use toji_api::host_archive::*;
use toji_db::buildroot as db;
use toji_types::BrState;
use toji_value::{Fault, FromValue, Map, Value};

use crate::archive::used;
use crate::build::typed::lacks;
use crate::dispatch::Handle;
use crate::rpc::import::need_maven;
use crate::{Call, buildroot};

/// Adds archives to a standard buildroot that is in use.
async fn add(
    call: &mut Call,
    id: i64,
    state: BrState,
    archives: &[i64],
    project: bool,
) -> Result<(), Fault> {
    let config = &call.hub.config;
    if !config.enable_maven && !config.enable_win {
        return Err(Fault::generic("non-rpm support is not enabled"));
    }
    if state != BrState::Building {
        let number = state.number();
        return Err(Fault::generic(format!("buildroot {id} in wrong state {number}")));
    }
    if archives.is_empty() {
        return Ok(());
    }
    Ok(db::add_archives(&mut call.tx, id, archives, project).await?)
}

impl Handle for HostUpdateBuildrootArchives {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let state = buildroot::lock_own(call, self.brootid, Some(self.task_id)).await?;
        let id = |archive: &Value| {
            let map = archive.as_struct().and_then(|map| map.get("id"));
            i64::from_value(map.ok_or_else(|| lacks("id"))?.clone())
        };
        let ids = self.archives.iter().map(id).collect::<Result<Vec<_>, _>>()?;
        add(call, self.brootid, state, &ids, self.project).await?;
        Ok(Value::Nil)
    }
}

impl Handle for HostUpdateMavenBuildRootList {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        need_maven(call)?;
        let id = self.brootid;
        let state = buildroot::lock_own(call, id, Some(self.task_id)).await?;
        let repo = db::repository(&mut call.tx, id).await?;
        let repo = repo.ok_or_else(|| Fault::generic(format!("Not a standard buildroot: {id}")))?;
        let tag = used::Tag { id: repo.get("tag_id")?, event: repo.get("create_event")? };
        let list = |value: &Value| match value.truthy() {
            true => Vec::<Value>::from_value(value.clone()),
            false => Ok(Vec::new()),
        };
        let question = used::Question {
            entries: entries(&self.mavenlist)?,
            ignore: entries(&list(&self.ignore)?)?,
            extra: list(&self.extra_deps)?,
            ignore_unknown: self.ignore_unknown,
        };
        let ids = used::archives(call, tag, question).await?;
        add(call, id, state, &ids, self.project).await?;
        Ok(Value::Nil)
    }
}

/// Entries of a list of artifacts: what they are, and their files with sizes.
fn entries(list: &[Value]) -> Result<Vec<used::Entry>, Fault> {
    let read = |value: &Value| {
        let map = Map::from_value(value.clone())?;
        let info = map.get("maven_info").ok_or_else(|| lacks("maven_info"))?;
        let files = map.get("files").ok_or_else(|| lacks("files"))?;
        used::Entry::of(info, files)
    };
    list.iter().map(read).collect()
}
