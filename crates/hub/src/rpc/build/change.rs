//! Calls that change builds: owner, time, volume, promotion, and content from scratch builds.

use toji_api::build::*;
use toji_db::build as db;
use toji_db::lookup::Names;
use toji_value::{Fault, Map, Value, map};

use crate::build::import::merge;
use crate::build::{self, Build, promote};
use crate::dispatch::Handle;
use crate::{Call, user, volume};

/// Tells of a change that is none of the build's state.
fn tell(call: &mut Call, found: &Build, attribute: &str, old: Value, new: Value) {
    let mut body: Map = map! {
        "id" => found.id, "attribute" => attribute, "nvr" => found.nvr(), "name" => &found.name,
        "owner_id" => found.owner_id,
    };
    body.insert("old", old);
    body.insert("new", new);
    call.emit("build.change", &format!("build:{}", found.id), body);
}

impl Handle for SetBuildOwner {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let found = build::need(call, &self.build).await?;
        let owner = user::need(call, &self.user).await?;
        let (old, new) = (Value::Int(found.owner_id), Value::Int(owner.id));
        build::changing(call, &found, "owner_id", old.clone(), new.clone()).await?;
        db::set_owner(&mut call.tx, found.id, owner.id).await?;
        tell(call, &found, "owner_id", old.clone(), new.clone());
        build::changed(call, found.id, "owner_id", old, new).await?;
        Ok(Value::Nil)
    }
}

impl Handle for SetBuildTimestamp {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let found = build::need(call, &self.build).await?;
        let seconds = promote::timestamp(&self.ts)?;
        let time = toji_db::Time::from_epoch(seconds)?;
        let old = found.shown.value("completion_ts").clone();
        let new = Value::Double(seconds);
        build::changing(call, &found, "completion_ts", old.clone(), new.clone()).await?;
        db::set_completion(&mut call.tx, found.id, time).await?;
        tell(call, &found, "completion_ts", old.clone(), new.clone());
        build::changed(call, found.id, "completion_ts", old, new).await?;
        Ok(Value::Nil)
    }
}

impl Handle for PromoteBuild {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let found = build::need(call, &self.build).await?;
        Ok(promote::promote(call, &found, self.force).await?.shown.into())
    }
}

impl Handle for ChangeBuildVolume {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let to = call.need(Names::Volume, &self.volume).await?;
        let found = build::need(call, &self.build).await?;
        volume::change(call, &found, &to, self.strict).await?;
        Ok(Value::Nil)
    }
}

impl Handle for ApplyVolumePolicy {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let found = build::need(call, &self.build).await?;
        volume::apply_policy(call, &found, self.strict).await?;
        Ok(Value::Nil)
    }
}

impl Handle for MergeScratch {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        merge::scratch(call, self.task_id).await
    }
}
