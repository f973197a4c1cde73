//! Changing the groups of tags.

use toji_bus::Topic;
use toji_db::Param;
use toji_db::group::{self, Part};
use toji_db::lookup::Names;
use toji_value::{Fault, Map, Value, map};

use super::{Group, Parts, read};
use crate::lookup::Entry;
use crate::tag;
use crate::{Call, check};

/// Options that callers may set: name, and whether it is a truth value.
type Fields = [(&'static str, bool)];

const CONFIG: &Fields = &[
    ("exported", true),
    ("display_name", false),
    ("is_default", true),
    ("uservisible", true),
    ("description", false),
    ("langonly", false),
    ("biarchonly", true),
    ("blocked", true),
];
const PACKAGE: &Fields = &[("type", false), ("basearchonly", true), ("requires", false)];
const REQUIREMENT: &Fields = &[("type", false), ("is_metapkg", true)];

/// The caller's options completed from the present entry, and whether they change it.
fn complete(fields: &Fields, given: &Map, previous: Option<&Map>) -> (Map, bool) {
    let mut opts = Map::new();
    let mut changed = false;
    for (name, _) in fields {
        match (given.get(name), previous.map(|old| old.value(name))) {
            (Some(value), old) => {
                changed |= old.is_none_or(|old| old != value);
                opts.insert(*name, value);
            }
            (None, Some(old)) => drop(opts.insert(*name, old)),
            (None, None) => {}
        }
    }
    (opts, changed)
}

fn default(opts: &mut Map, name: &'static str, value: impl toji_value::IntoValue) {
    if !opts.contains_key(name) {
        opts.insert(name, value);
    }
}

fn columns(fields: &Fields, opts: &Map) -> Result<Vec<(&'static str, Param)>, Fault> {
    let given = fields.iter().filter_map(|(name, flag)| opts.get(name).map(|v| (*name, *flag, v)));
    given
        .map(|(name, flag, value)| {
            let param = match (value, flag) {
                (Value::Nil, _) => Param::Null,
                (value, true) => Param::Bool(value.truthy()),
                (value, false) => Param::from(check::text(value)?),
            };
            Ok((name, param))
        })
        .collect()
}

fn tell(call: &mut Call, tag_id: i64, group: &Entry) {
    call.signal(Topic::Repositories);
    let body = map! { "tag_id" => tag_id, "group_id" => group.id, "group" => &group.name };
    call.emit("group.list", &format!("tag:{tag_id}"), body);
}

/// The tag that a caller names, deleted ones included, held until the end of the call.
async fn hold(call: &mut Call, tag: &Value) -> Result<Entry, Fault> {
    let entry = call.need(Names::Tag, tag).await?;
    toji_db::lookup::hold(&mut call.tx, Names::Tag, entry.id).await?;
    Ok(entry)
}

/// Adds a group to a tag, or changes it.
///
/// # Errors
/// `GenericError` for a blocked group, unless forced.
pub async fn add(
    call: &mut Call,
    tag: &Value,
    group_info: &Value,
    block: bool,
    force: bool,
    mut opts: Map,
) -> Result<(), Fault> {
    let tag = tag::hold(call, tag).await?;
    let group = call.find_or_make(Names::Groups, group_info).await?;
    opts.insert("blocked", block);
    let parts = Parts { packages: false, requirements: false };
    let groups = read(call, tag.id, None, true, parts).await?;
    let previous = groups.iter().find(|known| known.id == group.id);
    if previous.is_some_and(|old| old.blocked) && !force {
        let text = format!("group {} is blocked in tag {}", group.name, tag.name);
        return Err(Fault::generic(text));
    }
    let (mut opts, changed) = complete(CONFIG, &opts, previous.map(|old| &old.shown));
    if !changed {
        return Ok(());
    }
    default(&mut opts, "display_name", &group.name);
    default(&mut opts, "biarchonly", false);
    default(&mut opts, "exported", true);
    default(&mut opts, "uservisible", true);
    let values = columns(CONFIG, &opts)?;
    let actor = call.actor()?;
    group::set(&mut call.tx, tag.id, group.id, &Part::Config, &values, actor).await?;
    tell(call, tag.id, &group);
    Ok(())
}

/// Removes a group from a tag's own list.
///
/// # Errors
/// `GenericError` for a group that the tag does not have, unless forced.
pub async fn remove(call: &mut Call, tag: &Value, info: &Value, force: bool) -> Result<(), Fault> {
    let tag = tag::hold(call, tag).await?;
    let group = call.need(Names::Groups, info).await?;
    let actor = call.actor()?;
    let gone = group::remove(&mut call.tx, tag.id, group.id, &Part::Config, actor).await?;
    if gone == 0 && !force {
        let text = format!("No group: {} found for tag: {}", group.name, tag.name);
        return Err(Fault::generic(text));
    }
    tell(call, tag.id, &group);
    Ok(())
}

/// The group as the tag sees it, which must be there and open.
async fn open(call: &mut Call, tag: &Entry, group: &Entry, parts: Parts) -> Result<Group, Fault> {
    let groups = read(call, tag.id, None, true, parts).await?;
    let found = groups.into_iter().find(|known| known.id == group.id);
    let (name, tag) = (&group.name, &tag.name);
    match found {
        None => Err(Fault::generic(format!("group {name} not present in tag {tag}"))),
        Some(group) if group.blocked => {
            Err(Fault::generic(format!("group {name} is blocked in tag {tag}")))
        }
        Some(group) => Ok(group),
    }
}

/// What is to become of a member of a group.
#[derive(Clone, Debug)]
pub struct Member {
    /// The tag.
    pub tag: Value,
    /// The group.
    pub group: Value,
    /// Whether the member is blocked.
    pub block: bool,
    /// Against blocks.
    pub force: bool,
    /// Options of the member.
    pub opts: Map,
}

/// Adds a package to a group in a tag, or changes its entry.
///
/// # Errors
/// `GenericError` for a group that is not there, and for blocks, unless forced.
pub async fn add_package(call: &mut Call, member: Member, package: &str) -> Result<(), Fault> {
    let tag = hold(call, &member.tag).await?;
    let group = call.need(Names::Groups, &member.group).await?;
    let parts = Parts { packages: true, requirements: false };
    let present = open(call, &tag, &group, parts).await?;
    let previous = present.packages.iter().find(|(name, _)| name == package).map(|(_, map)| map);
    if previous.is_some_and(|old| old.truthy("blocked")) && !member.force {
        let (group, tag) = (&group.name, &tag.name);
        let text = format!("package {package} blocked in group {group}, tag {tag}");
        return Err(Fault::generic(text));
    }
    let (mut opts, changed) = complete(PACKAGE, &member.opts, previous);
    if previous.is_some() && !changed && !member.block && !member.force {
        return Ok(());
    }
    default(&mut opts, "type", "mandatory");
    let part = Part::Package(package.to_owned());
    store(call, &tag, &group, &part, columns(PACKAGE, &opts)?, member.block).await
}

async fn store(
    call: &mut Call,
    tag: &Entry,
    group: &Entry,
    part: &Part,
    mut values: Vec<(&'static str, Param)>,
    block: bool,
) -> Result<(), Fault> {
    values.push(("blocked", Param::Bool(block)));
    let actor = call.actor()?;
    group::set(&mut call.tx, tag.id, group.id, part, &values, actor).await?;
    tell(call, tag.id, group);
    Ok(())
}

/// Lets a group in a tag require another one.
///
/// # Errors
/// `GenericError` for a group that is not there, and for blocks, unless forced.
pub async fn add_requirement(call: &mut Call, member: Member, info: &Value) -> Result<(), Fault> {
    let tag = hold(call, &member.tag).await?;
    let group = call.need(Names::Groups, &member.group).await?;
    let required = call.need(Names::Groups, info).await?;
    let parts = Parts { packages: false, requirements: true };
    let present = open(call, &tag, &group, parts).await?;
    let known = present.requirements.iter().find(|(id, _)| *id == required.id);
    let previous = known.map(|(_, map)| map);
    if previous.is_some_and(|old| old.truthy("blocked")) && !member.force {
        let (name, group, tag) = (&required.name, &group.name, &tag.name);
        let text = format!("requirement on group {name} blocked in group {group}, tag {tag}");
        return Err(Fault::generic(text));
    }
    let (mut opts, changed) = complete(REQUIREMENT, &member.opts, previous);
    if previous.is_some() && !changed && !member.block {
        return Ok(());
    }
    default(&mut opts, "type", "mandatory");
    let part = Part::Requirement(required.id);
    store(call, &tag, &group, &part, columns(REQUIREMENT, &opts)?, member.block).await
}

/// Removes a member from a group in a tag.
///
/// # Errors
/// `GenericError` for an unknown tag or group.
pub async fn remove_member(
    call: &mut Call,
    tag: &Value,
    group: &Value,
    part: Part,
) -> Result<(), Fault> {
    let tag = hold(call, tag).await?;
    let group = call.need(Names::Groups, group).await?;
    let actor = call.actor()?;
    group::remove(&mut call.tx, tag.id, group.id, &part, actor).await?;
    tell(call, tag.id, &group);
    Ok(())
}

/// Removes a tag's own block of a part of a group.
///
/// # Errors
/// `GenericError` for what the tag itself does not block.
pub async fn unblock(call: &mut Call, tag: &Value, group: &Value, part: Part) -> Result<(), Fault> {
    let tag = hold(call, tag).await?;
    let group = call.need(Names::Groups, group).await?;
    let blocked = group::blocked(&mut call.tx, tag.id, group.id, &part).await?;
    if blocked != Some(true) {
        let (group_id, tag_id) = (group.id, tag.id);
        return Err(Fault::generic(match part {
            Part::Config => format!("group {} is NOT blocked in tag {}", group.name, tag.name),
            Part::Package(name) => {
                format!("package {name} is NOT blocked in group {group_id}, tag {tag_id}")
            }
            Part::Requirement(id) => {
                format!("group req {id} is NOT blocked in group {group_id}, tag {tag_id}")
            }
        }));
    }
    let actor = call.actor()?;
    group::remove(&mut call.tx, tag.id, group.id, &part, actor).await?;
    tell(call, tag.id, &group);
    Ok(())
}
