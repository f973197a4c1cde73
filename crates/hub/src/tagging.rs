//! Putting builds into tags and taking them out, with the checks that guard it.

pub mod notice;

use toji_bus::Topic;
use toji_db::tagging as db;
use toji_types::BuildState;
use toji_value::{Fault, Map, Value, map};

use crate::build::Build;
use crate::package::{self, edit};
use crate::tag::Tag;
use crate::user::User;
use crate::{Call, policy};

/// The policy's data for an operation of `operation` `tag`, `untag` or `move`.
fn values(tag: Value, build: i64, fromtag: Value, operation: &str) -> Map {
    map! { "tag" => tag, "build" => build, "fromtag" => fromtag, "operation" => operation }
}

/// On whose behalf a task tags.
#[derive(Clone, Copy, Debug)]
pub struct Behalf {
    /// The owner of the task.
    pub user: i64,
    /// Whether another task waits for this one: the last step of a build, not a request to tag.
    pub subtask: bool,
}

/// Asks the policy `tag` whether a build may enter, leave or change tags.
///
/// # Errors
/// `ActionNotAllowed` with the policy's reason.
pub async fn check_policy(
    call: &mut Call,
    to: Option<&Tag>,
    from: Option<&Tag>,
    build: &Build,
    behalf: Option<Behalf>,
    force: bool,
) -> Result<(), Fault> {
    let operation = match (to, from) {
        (Some(_), None) => "tag",
        (None, _) => "untag",
        (Some(_), Some(_)) => "move",
    };
    let id = |tag: Option<&Tag>| tag.map(|t| Value::Int(t.id)).unwrap_or_default();
    let mut values = values(id(to), build.id, id(from), operation);
    if let Some(behalf) = behalf {
        values.insert("user_id", behalf.user);
        values.insert("by_tag_subtask", behalf.subtask);
    }
    let data = policy::data(&values.into())?;
    call.assert_policy("tag", &data, force).await
}

/// Refuses builds that are not complete.
///
/// # Errors
/// `TagError`.
pub fn check_state(build: &Build) -> Result<(), Fault> {
    if build.state == BuildState::Complete {
        return Ok(());
    }
    Err(Fault::tag(format!("build {} not complete: state {}", build.nvr(), build.state)))
}

/// Refuses packages that a tag does not list; with `force`, an administrator's package is added.
///
/// # Errors
/// `TagError`; `shown` is how the tag is called in it.
pub async fn check_package(
    call: &mut Call,
    tag: &Tag,
    shown: &str,
    package: (i64, &str),
    force: bool,
) -> Result<(), Fault> {
    let question = package::Question {
        tag: Some(tag.id),
        package: Some(package.0),
        inherit: true,
        with_owners: false,
        ..package::Question::default()
    };
    let name = package.1;
    let problem = match package::read(call, &question).await?.pop() {
        None => format!("Package {name} not in list for {shown}"),
        Some(entry) if entry.blocked => format!("Package {name} blocked in {shown}"),
        Some(_) => return Ok(()),
    };
    if !force || !call.has_perm("admin").await? {
        return Err(Fault::tag(problem));
    }
    let request = edit::Request {
        tag: Value::Int(tag.id),
        package: Value::Int(package.0),
        owner: Value::Nil,
        block: Value::Bool(false),
        extra_arches: Value::Nil,
        force: true,
        update: false,
    };
    edit::add(call, request, edit::Check::Done).await
}

/// Puts a build into a tag; what may not be done even with `force` is checked here.
///
/// # Errors
/// `TagError` for a build that is not complete, or tagged already and not forced.
pub async fn add(
    call: &mut Call,
    tag: &Tag,
    build: &Build,
    user: &User,
    force: bool,
) -> Result<(), Fault> {
    call.callback("preTag", || told(tag, build, user, force, None)).await?;
    check_state(build)?;
    if db::is_tagged(&mut call.tx, tag.id, build.id).await? {
        if !force {
            let text = format!("build {} already tagged ({})", build.nvr(), tag.name);
            return Err(Fault::tag(text));
        }
        // A build that is tagged again becomes the newest of its package.
        db::remove(&mut call.tx, tag.id, build.id, user.id).await?;
    }
    db::add(&mut call.tx, tag.id, build.id, user.id).await?;
    tell(call, "build.tag", tag, build, user);
    call.callback("postTag", || told(tag, build, user, force, None)).await
}

/// What plugins are told of a tagging.
fn told(tag: &Tag, build: &Build, user: &User, force: bool, strict: Option<bool>) -> Map {
    let mut args = map! {
        "tag" => tag.to_map(false), "build" => build.shown.clone(), "user" => user.to_map(),
        "force" => force,
    };
    if let Some(strict) = strict {
        args.insert("strict", strict);
    }
    args
}

/// Takes a build out of a tag.
///
/// # Errors
/// With `strict`, `TagError` for a build that is not there.
pub async fn remove(
    call: &mut Call,
    tag: &Tag,
    build: &Build,
    user: &User,
    strict: bool,
    force: bool,
) -> Result<(), Fault> {
    call.callback("preUntag", || told(tag, build, user, force, Some(strict))).await?;
    if db::remove(&mut call.tx, tag.id, build.id, user.id).await? {
        tell(call, "build.untag", tag, build, user);
        crate::sidetag::after_untag(call, tag).await?;
    } else if strict {
        return Err(Fault::tag(format!("build {} not in tag {}", build.nvr(), tag.name)));
    }
    call.callback("postUntag", || told(tag, build, user, force, Some(strict))).await
}

fn tell(call: &mut Call, kind: &str, tag: &Tag, build: &Build, user: &User) {
    let body = map! {
        "tag_id" => tag.id, "tag" => &tag.name, "build_id" => build.id, "nvr" => build.nvr(),
        "name" => &build.name, "user" => &user.name, "owner_id" => build.owner_id,
        "task_id" => build.task_id,
    };
    call.emit(kind, &format!("tag:{}", tag.id), body);
    call.signal(Topic::Repositories);
}
