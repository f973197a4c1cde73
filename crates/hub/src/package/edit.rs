//! Changing the package lists of tags.

use toji_bus::Topic;
use toji_db::lookup::Names;
use toji_db::package::{self, Entry};
use toji_value::{Fault, Map, Value, map};

use super::{Listed, config};
use crate::policy::{Data, data};
use crate::tag::edit::parse_arches;
use crate::tag::{self, Tag};
use crate::{Call, user};

/// What an entry of a package list is to become.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The tag.
    pub tag: Value,
    /// The package; made if it is a new name.
    pub package: Value,
    /// The owner; nil keeps the present one.
    pub owner: Value,
    /// Whether to block; nil keeps the present state.
    pub block: Value,
    /// Arches beside the tag's; nil keeps the present ones.
    pub extra_arches: Value,
    /// Against policy and blocks, for administrators.
    pub force: bool,
    /// Only change what is there.
    pub update: bool,
}

/// Who asked for a change: someone the policy must allow, or the hub itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Ask the policy `package_list`.
    Policy,
    /// Allowed already.
    Done,
}

/// Adds a package to a tag's list, or changes its entry.
///
/// # Errors
/// `ActionNotAllowed` by policy; `GenericError` for a blocked package and a missing owner.
pub async fn add(call: &mut Call, request: Request, check: Check) -> Result<(), Fault> {
    let tag = tag::hold(call, &request.tag).await?;
    let known = call.find(Names::Package, &request.package).await?;
    if known.is_none() && request.package.as_str().is_none() {
        let text = format!("No such package: {}", request.package.display());
        return Err(Fault::generic(text));
    }
    let mut owner = match &request.owner {
        Value::Nil => None,
        info => Some(user::need(call, info).await?.id),
    };
    let action = match (request.update, request.block.truthy()) {
        (true, _) => "update",
        (false, true) => "block",
        (false, false) => "add",
    };
    if check == Check::Policy {
        demand(call, &tag, action, &request.package, request.force).await?;
    }
    let package = call.find_or_make(Names::Package, &request.package).await?;
    let mut extra_arches = match &request.extra_arches {
        Value::Nil => None,
        arches => Some(parse_arches(arches)?),
    };
    let mut blocked = request.block.truthy();
    let previous = config(call, tag.id, package.id, None).await?;
    let mut changed = previous.is_none();
    let mut changed_owner = false;
    if let Some(previous) = &previous {
        owner = owner.or(previous.owner_id);
        changed_owner = owner != previous.owner_id;
        if request.block.is_nil() {
            blocked = previous.blocked;
        }
        extra_arches = extra_arches.or_else(|| previous.extra_arches.clone());
        changed = blocked != previous.blocked || extra_arches != previous.extra_arches;
        if !changed && !changed_owner && !request.force {
            return Ok(());
        }
        if previous.blocked && !blocked && !request.force {
            let text = format!("package {} is blocked in tag {}", package.name, tag.name);
            return Err(Fault::generic(text));
        }
    } else if request.update && !request.force {
        let text =
            format!("cannot update: tag {} has no data for package {}", tag.name, package.name);
        return Err(Fault::generic(text));
    }
    let actor = call.actor()?;
    let forced = request.force.then_some(actor);
    let missing = || Fault::generic("owner not specified");
    let owner = owner.or(forced).ok_or_else(missing)?;
    let entry = Entry { tag_id: tag.id, package_id: package.id, owner, blocked, extra_arches };
    let mut args = told(call, action, &tag, package.id, &package.name).await?;
    args.extend(map! {
        "owner" => owner, "block" => blocked, "extra_arches" => entry.extra_arches.clone(),
        "force" => request.force, "update" => request.update,
    });
    call.callback("prePackageListChange", || args.clone()).await?;
    if changed {
        package::set(&mut call.tx, &entry, actor).await?;
    } else if changed_owner {
        package::set_owner(&mut call.tx, tag.id, package.id, owner, actor).await?;
    }
    tell(call, action, &tag, package.id, &package.name);
    call.callback("postPackageListChange", || args).await
}

/// What plugins are told of a change; empty when none listens.
async fn told(
    call: &mut Call,
    action: &str,
    tag: &Tag,
    package_id: i64,
    package: &str,
) -> Result<Map, Fault> {
    if !call.listens("prePackageListChange") && !call.listens("postPackageListChange") {
        return Ok(Map::new());
    }
    let actor = call.actor()?;
    let user = user::by_id(call, actor).await?.map(|user| Value::from(user.to_map()));
    Ok(map! {
        "action" => action, "tag" => tag.to_map(false),
        "package" => map! { "id" => package_id, "name" => package },
        "user" => user.unwrap_or_default(),
    })
}

/// Asks the policy `package_list`.
async fn demand(
    call: &mut Call,
    tag: &Tag,
    action: &str,
    package: &Value,
    force: bool,
) -> Result<(), Fault> {
    call.login()?;
    let facts = map! {
        "tag" => tag.id, "action" => action, "package" => package, "force" => force
    };
    let facts: Data = data(&facts.into())?;
    call.assert_policy("package_list", &facts, force).await
}

fn tell(call: &mut Call, action: &str, tag: &Tag, package_id: i64, package: &str) {
    call.signal(Topic::Repositories);
    let body = map! {
        "action" => action,
        "tag_id" => tag.id,
        "tag" => &tag.name,
        "package_id" => package_id,
        "package" => package,
    };
    call.emit("package.list", &format!("tag:{}", tag.id), body);
}

/// Removes a package from a tag's own list.
///
/// # Errors
/// `ActionNotAllowed` by policy; `GenericError` for an unknown tag or package.
pub async fn remove(
    call: &mut Call,
    tag: &Value,
    package: &Value,
    force: bool,
    check: Check,
) -> Result<(), Fault> {
    let tag = tag::hold(call, tag).await?;
    let package = call.need(Names::Package, package).await?;
    if check == Check::Policy {
        demand(call, &tag, "remove", &Value::Int(package.id), force).await?;
    }
    let actor = call.actor()?;
    let args = told(call, "remove", &tag, package.id, &package.name).await?;
    call.callback("prePackageListChange", || args.clone()).await?;
    package::remove(&mut call.tx, tag.id, package.id, actor).await?;
    tell(call, "remove", &tag, package.id, &package.name);
    call.callback("postPackageListChange", || args).await
}

/// Blocks a package that is listed in a tag.
///
/// # Errors
/// `GenericError` for a package that is not listed.
pub async fn block(
    call: &mut Call,
    tag_info: Value,
    package_info: Value,
    force: bool,
) -> Result<(), Fault> {
    let tag = tag::hold(call, &tag_info).await?;
    let package = call.need(Names::Package, &package_info).await?;
    if config(call, tag.id, package.id, None).await?.is_none() {
        let text = format!("Package {} is not in tag listing for {}", package.name, tag.name);
        return Err(Fault::generic(text));
    }
    let request = Request {
        tag: tag_info,
        package: package_info,
        block: Value::Bool(true),
        force,
        ..Request::default()
    };
    add(call, request, Check::Policy).await
}

/// Unblocks a package: removes the tag's own block, or overrides an inherited one.
///
/// # Errors
/// `GenericError` for a package that is not blocked.
pub async fn unblock(
    call: &mut Call,
    tag: &Value,
    package: &Value,
    force: bool,
) -> Result<(), Fault> {
    let tag = tag::hold(call, tag).await?;
    let package = call.need(Names::Package, package).await?;
    demand(call, &tag, "unblock", &Value::Int(package.id), force).await?;
    let (name, tag_name) = (&package.name, &tag.name);
    let missing = || {
        let text = format!("no data (blocked or otherwise) for package {name} in tag {tag_name}");
        Fault::generic(text)
    };
    let previous = config(call, tag.id, package.id, None).await?.ok_or_else(missing)?;
    if !previous.blocked {
        return Err(Fault::generic(format!("package {name} NOT blocked in tag {tag_name}")));
    }
    let actor = call.actor()?;
    let open = open_entry(&tag, &previous, actor);
    let args = told(call, "unblock", &tag, package.id, name).await?;
    call.callback("prePackageListChange", || args.clone()).await?;
    let inherited = previous.tag_id != tag.id;
    if !inherited {
        package::remove(&mut call.tx, tag.id, package.id, actor).await?;
    }
    // What is left may be nothing, or another block further back.
    let left = config(call, tag.id, package.id, None).await?;
    if left.is_none_or(|entry| entry.blocked) {
        package::set(&mut call.tx, &open, actor).await?;
    }
    tell(call, "unblock", &tag, package.id, name);
    call.callback("postPackageListChange", || args).await
}

/// The entry without its block, in the tag itself.
fn open_entry(tag: &Tag, previous: &Listed, actor: i64) -> Entry {
    Entry {
        tag_id: tag.id,
        package_id: previous.package_id,
        owner: previous.owner_id.unwrap_or(actor),
        blocked: false,
        extra_arches: previous.extra_arches.clone(),
    }
}
