//! Calls that put builds into tags and take them out.

use toji_api::tagging::*;
use toji_db::QueryOpts;
use toji_db::lookup::Names;
use toji_db::tagging as db;
use toji_value::{Fault, FromValue, Value, list, map};

use crate::dispatch::Handle;
use crate::tag::{self, Tag, When, access};
use crate::tagging::{self, notice};
use crate::task::make;
use crate::user::User;
use crate::{Call, build, check, task, user};

async fn tag_now(call: &mut Call, info: &Value) -> Result<Tag, Fault> {
    tag::need(call, info, When::Now).await
}

async fn caller(call: &mut Call) -> Result<User, Fault> {
    let id = call.actor()?;
    let missing = || Fault::generic(format!("No such user: {id}"));
    user::by_id(call, id).await?.ok_or_else(missing)
}

impl Handle for TagBuild {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        submit(call, &self.tag, &self.build, self.force, &self.fromtag).await
    }
}

impl Handle for MoveBuild {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        submit(call, &self.tag2, &self.build, self.force, &self.tag1).await
    }
}

/// Makes the early checks and the task that tags.
async fn submit(
    call: &mut Call,
    tag: &Value,
    build: &Value,
    force: bool,
    fromtag: &Value,
) -> Result<i64, Fault> {
    let user = call.actor()?;
    let build = build::need(call, build).await?;
    let tag = tag_now(call, tag).await?;
    let from = match fromtag.truthy() {
        true => Some(tag_now(call, fromtag).await?),
        false => None,
    };
    tagging::check_state(&build)?;
    access::demand(call, &tag, user, force).await?;
    if let Some(from) = &from {
        access::demand(call, from, user, force).await?;
    }
    let package = (build.package_id, build.name.as_str());
    tagging::check_package(call, &tag, &tag.name, package, force).await?;
    tagging::check_policy(call, Some(&tag), from.as_ref(), &build, None, force).await?;
    let from = from.map(|t| Value::Int(t.id)).unwrap_or_default();
    let args = vec![Value::Int(tag.id), Value::Int(build.id), Value::Bool(force), from];
    let options = make::Options { priority: Some(10), ..make::Options::default() };
    make::make(call, "tagBuild", args, options).await
}

impl Handle for MoveAllBuilds {
    async fn handle(self, call: &mut Call) -> Result<Vec<Value>, Fault> {
        let user = call.actor()?;
        let package = call.need(Names::Package, &self.package).await?;
        let from = tag_now(call, &self.tag1).await?;
        let to = tag_now(call, &self.tag2).await?;
        let shown = format!("tag {}", self.tag2.display());
        let named = self.package.display();
        let known = (package.id, named.as_str());
        tagging::check_package(call, &to, &shown, known, self.force).await?;
        access::demand(call, &from, user, self.force).await?;
        access::demand(call, &to, user, self.force).await?;
        let mut ids = Vec::new();
        for row in db::of_package(&mut call.tx, from.id, package.id).await? {
            let build = build::need(call, row.value("id")).await?;
            tagging::check_policy(call, Some(&to), Some(&from), &build, None, false).await?;
            ids.push(build.id);
        }
        let mut tasks: Vec<Value> = Vec::new();
        for id in ids {
            let args = list![to.id, id, self.force, from.id];
            let options = map! { "priority" => 15 };
            let task = list![list!["tagBuild", args, options]];
            // Each waits for the one before, so that the order of tagging is kept.
            let before = Value::Array(tasks.last().cloned().into_iter().collect());
            let options = make::Options::default();
            let made = make::make(call, "dependantTask", vec![before, task], options).await?;
            tasks.push(Value::Int(made));
        }
        Ok(tasks)
    }
}

impl Handle for TagBuildBypass {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let tag = tag_now(call, &self.tag).await?;
        let build = build::need(call, &self.build).await?;
        let user = caller(call).await?;
        tagging::check_policy(call, Some(&tag), None, &build, None, self.force).await?;
        access::demand(call, &tag, user.id, self.force).await?;
        tagging::add(call, &tag, &build, &user, self.force).await?;
        if self.notify {
            let told = notice::Tagging { to: self.tag, ..success(&user) };
            notice::tagged(call, &build, told).await?;
        }
        Ok(Value::Nil)
    }
}

fn success(user: &User) -> notice::Tagging {
    let user_id = Value::Int(user.id);
    notice::Tagging { succeeded: true, user_id, ..notice::Tagging::default() }
}

/// Takes a build out of a tag with the checks that both calls make.
async fn untag(
    call: &mut Call,
    tag: Value,
    build: &Value,
    strict: bool,
    force: bool,
    notify: bool,
) -> Result<(), Fault> {
    let from = tag_now(call, &tag).await?;
    let build = build::need(call, build).await?;
    let user = caller(call).await?;
    tagging::check_policy(call, None, Some(&from), &build, None, force).await?;
    access::demand(call, &from, user.id, force).await?;
    tagging::remove(call, &from, &build, &user, strict, force).await?;
    if notify {
        let told = notice::Tagging { from: tag, ..success(&user) };
        notice::tagged(call, &build, told).await?;
    }
    Ok(())
}

impl Handle for UntagBuild {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        untag(call, self.tag, &self.build, self.strict, self.force, true).await?;
        Ok(Value::Nil)
    }
}

impl Handle for UntagBuildBypass {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        untag(call, self.tag, &self.build, self.strict, self.force, self.notify).await?;
        Ok(Value::Nil)
    }
}

impl Handle for MassTag {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let tag = tag_now(call, &self.tag).await?;
        let user = caller(call).await?;
        for info in &self.builds {
            let build = build::need(call, info).await?;
            tagging::add(call, &tag, &build, &user, true).await?;
            // An event for each build keeps their order in the tag.
            call.tx.reset_event();
        }
        Ok(Value::Nil)
    }
}

impl Handle for UntaggedBuilds {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let opts = QueryOpts::from_value(&self.query_opts)?;
        Ok(db::untagged(
            &mut call.tx,
            check::text_opt(&self.name)?.map(str::to_owned),
            self.draft,
            &opts,
        )
        .await?)
    }
}

impl Handle for HostTagBuild {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let owner = task::lock_held(call, self.task_id).await?.owner;
        let build = build::need(call, &self.build).await?;
        task::claim::check_build(call, self.task_id, &build).await?;
        let to = tag_now(call, &self.tag).await?;
        let from = match self.fromtag.truthy() {
            true => Some(tag_now(call, &self.fromtag).await?),
            false => None,
        };
        let missing = || Fault::generic(format!("No such user: {owner}"));
        let user = user::by_id(call, owner).await?.ok_or_else(missing)?;
        let subtask = task::parent_of(call, self.task_id).await?.is_some();
        let behalf = Some(tagging::Behalf { user: user.id, subtask });
        let force = self.force;
        tagging::check_policy(call, Some(&to), from.as_ref(), &build, behalf, force).await?;
        let package = (build.package_id, build.name.as_str());
        tagging::check_package(call, &to, &self.tag.display(), package, force).await?;
        if let Some(from) = &from {
            access::demand(call, from, user.id, force).await?;
            tagging::remove(call, from, &build, &user, true, force).await?;
        }
        access::demand(call, &to, user.id, force).await?;
        tagging::add(call, &to, &build, &user, force).await?;
        Ok(Value::Nil)
    }
}

impl Handle for HostTagNotification {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let Some(build) = build::find(call, &self.build_id).await? else { return Ok(Value::Nil) };
        let user_id = match &self.user_id {
            Value::Nil | Value::Int(_) => self.user_id,
            other => Value::Int(user::need(call, other).await?.id),
        };
        let told = notice::Tagging {
            succeeded: self.is_successful.truthy(),
            to: self.tag_id,
            from: self.from_id,
            user_id,
            ignore_success: self.ignore_success.truthy(),
            failure: Option::<String>::from_value(self.failure_msg)?.unwrap_or_default(),
        };
        notice::tagged(call, &build, told).await?;
        Ok(Value::Nil)
    }
}
