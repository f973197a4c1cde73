//! Side tags: who may make them, whose they are, and their end with the last build.

use toji_api::target::{CreateBuildTarget, DeleteBuildTarget};
use toji_db::lookup::{self, Names};
use toji_db::sidetag as db;
use toji_value::{Fault, Map, Value, map};

use crate::dispatch::Handle;
use crate::repo::request;
use crate::tag::{self, Tag, When, edit};
use crate::user::User;
use crate::{Call, policy, target};

/// Whether a tag is a side tag.
pub fn is_sidetag(tag: &Tag) -> bool {
    tag.extra("sidetag").is_some_and(Value::truthy)
}

/// Whether a side tag is the user's own; every one is an administrator's, if one calls.
///
/// # Errors
/// When the database fails.
pub async fn is_owner(call: &mut Call, tag: &Tag, user: &User) -> Result<bool, Fault> {
    if !is_sidetag(tag) {
        return Ok(false);
    }
    let own = tag.extra("sidetag_user_id").and_then(Value::as_int) == Some(user.id);
    Ok(own || call.has_perm("admin").await?)
}

/// The side tag that a caller names, which must be the caller's own.
///
/// # Errors
/// `GenericError` for another tag, `ActionNotAllowed` for another user's.
pub async fn own(call: &mut Call, info: &Value, user: &User) -> Result<Tag, Fault> {
    let found = tag::need(call, info, When::Now).await?;
    if !is_sidetag(&found) {
        return Err(Fault::generic(format!("Not a sidetag: {}", found.name)));
    }
    if !is_owner(call, &found, user).await? {
        return Err(Fault::not_allowed("This is not your sidetag"));
    }
    Ok(found)
}

/// Makes a side tag with a target of the same name.
///
/// # Errors
/// `ActionNotAllowed` by the policy `sidetag`; `GenericError` for a suffix that is not allowed.
pub async fn create(
    call: &mut Call,
    base: &Value,
    user: &User,
    debuginfo: bool,
    suffix: Option<&str>,
) -> Result<Map, Fault> {
    let base = tag::need(call, base, When::Now).await?;
    // Of several that are asked for at the same time, each counts those before it.
    lookup::hold(&mut call.tx, Names::Users, user.id).await?;
    let count = db::count(&mut call.tx, user.id).await?;
    let facts = map! { "tag" => base.id, "number_of_tags" => count };
    call.assert_policy("sidetag", &policy::data(&facts.into())?, false).await?;
    let id = db::reserve(&mut call.tx).await?;
    let name = call.hub.config.sidetag.name(&base.name, id, suffix);
    let shown = Value::from(&name);
    call.names()?.internal(&shown)?;
    if lookup::by_name(&mut call.tx, Names::Tag, &name).await?.is_none() {
        db::enter(&mut call.tx, id, &name).await?;
    }
    let mut extra = map! {
        "sidetag" => true, "sidetag_user" => &user.name, "sidetag_user_id" => user.id,
    };
    if debuginfo {
        extra.insert("with_debuginfo", true);
    }
    let arches = base.config.arches.map_or(Value::Nil, Value::Str);
    let new = edit::New {
        name: shown.clone(),
        parent: Value::Int(base.id),
        arches,
        extra: extra.into(),
        ..edit::New::default()
    };
    let id = edit::create(call, new).await?;
    let (build_tag, dest_tag) = (Value::Int(id), Value::Int(id));
    CreateBuildTarget { name: shown, build_tag, dest_tag }.handle(call).await?;
    let asked = match call.hub.config.sidetag.trigger_new_repo {
        true => ask_for_repo(call, id, user).await?,
        false => Value::Nil,
    };
    Ok(map! { "name" => name, "id" => id, "task_id" => Value::Nil, "request" => asked })
}

async fn ask_for_repo(call: &mut Call, id: i64, user: &User) -> Result<Value, Fault> {
    let found = tag::need(call, &Value::Int(id), When::Now).await?;
    let (min_event, at_event) = request::events(call, &found, &Value::Nil, &Value::Nil).await?;
    let wanted = crate::repo::Wanted { min_event, at_event, ..crate::repo::Wanted::default() };
    let (priority, owner) = (request::DEFAULT_PRIORITY, user.id);
    let asked = request::Request { tag_id: id, wanted, priority, owner, force: false };
    Ok(request::make(call, asked).await?.into_map().value("request").clone())
}

/// Deletes a side tag and its target.
///
/// # Errors
/// `GenericError` when the target is gone or another tag's.
pub async fn remove(call: &mut Call, sidetag: &Tag) -> Result<(), Fault> {
    let found = target::find(call, &Value::from(&sidetag.name), None).await?;
    let found = found.ok_or_else(|| Fault::generic("Target is missing for sidetag"))?;
    if found.build_tag != sidetag.id || found.dest_tag != sidetag.id {
        return Err(Fault::generic("Target does not match sidetag"));
    }
    DeleteBuildTarget { build_target_info: Value::Int(found.id) }.handle(call).await?;
    edit::delete(call, &Value::Int(sidetag.id)).await
}

/// Deletes a side tag that has lost its last build, where the configuration wants that.
///
/// # Errors
/// When the database fails.
pub async fn after_untag(call: &mut Call, tag: &Tag) -> Result<(), Fault> {
    if !call.hub.config.sidetag.remove_empty
        || !is_sidetag(tag)
        || !db::is_empty(&mut call.tx, tag.id).await?
    {
        return Ok(());
    }
    match remove(call, tag).await {
        // Somebody has changed its target: then it is no longer the hub's to delete.
        Err(fault) if fault.code == toji_value::code::GENERIC => Ok(()),
        other => other,
    }
}
