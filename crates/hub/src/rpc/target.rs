//! Build targets.

use toji_api::target::*;
use toji_bus::Topic;
use toji_db::lookup::{self, Names};
use toji_db::target::Filter;
use toji_value::{Fault, Value, map};

use crate::dispatch::Handle;
use crate::tag::{self, When};
use crate::{Call, listing, target};

impl Handle for CreateBuildTarget {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let rules = call.names()?;
        let name = rules.internal(&self.name)?;
        refuse_known(call, &self.name).await?;
        let (build_tag, dest_tag) = tags(call, &self.build_tag, &self.dest_tag).await?;
        let id = call.find_or_make(Names::BuildTarget, &self.name).await?.id;
        lookup::hold(&mut call.tx, Names::BuildTarget, id).await?;
        refuse_known(call, &self.name).await?;
        let actor = call.actor()?;
        toji_db::target::configure(&mut call.tx, id, build_tag, dest_tag, actor).await?;
        tell(call, "target.create", id, name);
        Ok(Value::Nil)
    }
}

async fn refuse_known(call: &mut Call, name: &Value) -> Result<(), Fault> {
    if target::find(call, name, None).await?.is_none() {
        return Ok(());
    }
    let text = format!("A build target with the name '{}' already exists", name.display());
    Err(Fault::generic(text))
}

/// Build tag and destination tag that a caller names.
async fn tags(call: &mut Call, build: &Value, dest: &Value) -> Result<(i64, i64), Fault> {
    let missing = |kind: &str, info: &Value| {
        Fault::generic(format!("{kind} tag '{}' does not exist", info.display()))
    };
    let build_tag = tag::find(call, build, When::Now).await?;
    let build_tag = build_tag.ok_or_else(|| missing("build", build))?;
    let dest_tag = tag::find(call, dest, When::Now).await?;
    let dest_tag = dest_tag.ok_or_else(|| missing("destination", dest))?;
    Ok((build_tag.id, dest_tag.id))
}

fn tell(call: &mut Call, kind: &str, id: i64, name: &str) {
    call.signal(Topic::Repositories);
    call.emit(kind, &format!("target:{id}"), map! { "target_id" => id, "target" => name });
}

/// The target that a caller names, deleted ones included, held until the end of the call.
async fn hold(call: &mut Call, info: &Value) -> Result<crate::lookup::Entry, Fault> {
    let missing = || Fault::generic(format!("No such build target: {}", info.display()));
    call.hold(Names::BuildTarget, info).await?.ok_or_else(missing)
}

impl Handle for EditBuildTarget {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let rules = call.names()?;
        let name = rules.internal(&self.name)?;
        let old = hold(call, &self.build_target_info).await?;
        let (build_tag, dest_tag) = tags(call, &self.build_tag, &self.dest_tag).await?;
        if old.name != name {
            if let Some(row) = lookup::by_name(&mut call.tx, Names::BuildTarget, name).await? {
                let id: i64 = row.get("id")?;
                let text = format!("name \"{name}\" is already taken by build target {id}");
                return Err(Fault::generic(text));
            }
            lookup::rename(&mut call.tx, Names::BuildTarget, old.id, name).await?;
        }
        let actor = call.actor()?;
        toji_db::target::configure(&mut call.tx, old.id, build_tag, dest_tag, actor).await?;
        tell(call, "target.edit", old.id, name);
        Ok(Value::Nil)
    }
}

impl Handle for DeleteBuildTarget {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let old = hold(call, &self.build_target_info).await?;
        let actor = call.actor()?;
        toji_db::target::delete(&mut call.tx, old.id, actor).await?;
        tell(call, "target.delete", old.id, &old.name);
        Ok(Value::Nil)
    }
}

impl Handle for GetBuildTarget {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let event = crate::lookup::event(&self.event)?;
        let found = match self.info.truthy() {
            true => target::find(call, &self.info, event).await?,
            false => None,
        };
        match found {
            Some(found) => Ok(found.to_map().into()),
            None if self.strict => {
                Err(Fault::generic(format!("No such build target: {}", self.info.display())))
            }
            None => Ok(Value::Nil),
        }
    }
}

impl Handle for GetBuildTargets {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let filter = Filter {
            target: if self.info.truthy() { Some(target::key(&self.info)?) } else { None },
            build_tag: tag_id(call, &self.build_tag_id).await?,
            dest_tag: tag_id(call, &self.dest_tag_id).await?,
            event: crate::lookup::event(&self.event)?,
        };
        let opts = listing::options(&self.query_opts)?;
        Ok(toji_db::target::list(&mut call.tx, &filter, &opts).await?)
    }
}

/// The tag that a listing is limited to; one that does not exist matches nothing.
async fn tag_id(call: &mut Call, info: &Value) -> Result<Option<i64>, Fault> {
    match info {
        Value::Nil => Ok(None),
        Value::Int(id) => Ok(Some(crate::lookup::fit(*id))),
        other => Ok(Some(call.find(Names::Tag, other).await?.map_or(-1, |entry| entry.id))),
    }
}
