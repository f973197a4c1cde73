//! Copies of tags: options, package lists, builds and groups as they are or were.

pub mod modify;

use toji_value::{Fault, Map, Value};

use super::{Tag, When, edit, find, need};
use crate::group::edit as groups;
use crate::package::edit::{Check, Request, add};
use crate::package::{self, Listed, Question};
use crate::tagged::{self, Filter, Latest};
use crate::user::{self, User};
use crate::{Call, build, group, tagging};

/// What is copied, and how.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Arches, permission, lock and extra values.
    pub config: bool,
    /// The package list.
    pub packages: bool,
    /// Builds; only with packages.
    pub builds: bool,
    /// Groups with their members.
    pub groups: bool,
    /// Only the newest build of each package.
    pub latest_only: bool,
    /// Builds that the source inherits, too.
    pub inherit_builds: bool,
    /// The state of the source at this event.
    pub event: Option<i64>,
    /// Although a tag is locked, and against blocks.
    pub force: bool,
}

impl Options {
    fn check(&self) -> Result<(), Fault> {
        match self.builds && !self.packages {
            true => Err(Fault::parameter("builds can't be used without pkgs in snapshotTag")),
            false => Ok(()),
        }
    }
}

/// Copies a tag to a new one.
///
/// Each change has an event of its own, so that the order of everything is kept.
///
/// # Errors
/// `GenericError` when the new tag exists, or the old one is locked and not forced.
pub async fn create(
    call: &mut Call,
    src: &Value,
    dst: &Value,
    options: Options,
) -> Result<(), Fault> {
    options.check()?;
    if find(call, dst, When::Now).await?.is_some() {
        return Err(Fault::generic("Target tag already exists"));
    }
    let src = need(call, src, options.event.into()).await?;
    if src.config.locked && !options.force {
        return Err(Fault::generic("Source tag is locked, use force to copy"));
    }
    let mut new = edit::New { name: dst.clone(), ..edit::New::default() };
    if options.config {
        new = edit::New {
            arches: src.config.arches.clone().map_or(Value::Nil, Value::Str),
            perm: src.config.perm_id.map_or(Value::Nil, Value::Int),
            locked: src.config.locked,
            maven_support: src.config.maven_support,
            maven_include_all: src.config.maven_include_all,
            extra: src.to_map(false).value("extra").clone(),
            ..new
        };
    }
    let id = edit::create(call, new).await?;
    call.tx.reset_event();
    let dst = need(call, &Value::Int(id), When::Now).await?;
    if options.packages {
        for entry in packages(call, src.id, options.event).await? {
            list(call, &dst, &entry, entry.blocked, false).await?;
        }
    }
    if options.builds {
        let user = caller(call).await?;
        for id in builds(call, &src, options).await? {
            let found = build::need(call, &Value::Int(id)).await?;
            tagging::add(call, &dst, &found, &user, true).await?;
            call.tx.reset_event();
        }
    }
    if options.groups {
        copy_groups(call, &src, &dst, options.event).await?;
    }
    Ok(())
}

async fn caller(call: &mut Call) -> Result<User, Fault> {
    let id = call.actor()?;
    user::need(call, &Value::Int(id)).await
}

/// The package list of a tag as it counts there.
async fn packages(call: &mut Call, tag: i64, event: Option<i64>) -> Result<Vec<Listed>, Fault> {
    let question = Question { tag: Some(tag), event, inherit: true, ..Question::default() };
    package::read(call, &question).await
}

/// Enters a package in a list as it is in another one.
async fn list(
    call: &mut Call,
    dst: &Tag,
    entry: &Listed,
    block: bool,
    update: bool,
) -> Result<(), Fault> {
    let request = Request {
        tag: Value::Int(dst.id),
        package: Value::from(&entry.package_name),
        owner: entry.owner_id.map_or(Value::Nil, Value::Int),
        block: Value::Bool(block),
        extra_arches: entry.extra_arches.clone().map_or(Value::Nil, Value::Str),
        force: true,
        update,
    };
    add(call, request, Check::Done).await?;
    call.tx.reset_event();
    Ok(())
}

/// The builds of the source, oldest tagging first.
async fn builds(call: &mut Call, src: &Tag, options: Options) -> Result<Vec<i64>, Fault> {
    let latest = if options.latest_only { Latest::Newest(1) } else { Latest::All };
    let filter = Filter { event: options.event, ..Filter::default() };
    let rows = tagged::builds(call, src.id, options.inherit_builds, latest, &filter).await?;
    rows.iter().rev().map(|row| Ok(row.get("build_id")?)).collect()
}

/// A member of a group that is to be entered in another tag.
fn member(dst: &Tag, group: &str, block: bool, force: bool) -> groups::Member {
    groups::Member { tag: Value::Int(dst.id), group: group.into(), block, force, opts: Map::new() }
}

async fn copy_groups(
    call: &mut Call,
    src: &Tag,
    dst: &Tag,
    event: Option<i64>,
) -> Result<(), Fault> {
    let parts = group::Parts { packages: true, requirements: true };
    let found = group::read(call, src.id, event, true, parts).await?;
    let to = Value::Int(dst.id);
    for group in found.iter().filter(|group| !group.blocked) {
        let name = group.shown.value("name").display();
        groups::add(call, &to, &Value::from(&name), false, true, Map::new()).await?;
        call.tx.reset_event();
        for (package, shown) in &group.packages {
            if !shown.truthy("blocked") {
                groups::add_package(call, member(dst, &name, false, true), package).await?;
                call.tx.reset_event();
            }
        }
    }
    // Requirements name other groups of the tag, which are all there now.
    for group in found.iter().filter(|group| !group.blocked) {
        let name = group.shown.value("name").display();
        for (_, shown) in &group.requirements {
            if !shown.truthy("blocked") {
                let required = shown.value("name").clone();
                groups::add_requirement(call, member(dst, &name, false, true), &required).await?;
                call.tx.reset_event();
            }
        }
    }
    Ok(())
}
