//! Who is told by mail of taggings and of builds that ended, and the tasks that send it.

use toji_db::notice as db;
use toji_types::{BuildState, UserStatus, UserType};
use toji_value::{Fault, Value};

use crate::build::Build;
use crate::task::make;
use crate::{Call, package, tag, user};

/// Addresses of those who want to know of a build and a tag, each once.
async fn recipients(
    call: &mut Call,
    build: &Build,
    tag: Option<i64>,
    succeeded: bool,
) -> Result<Vec<String>, Fault> {
    let rows = db::subscribers(&mut call.tx, build.package_id, tag, succeeded).await?;
    let mut found: Vec<(i64, String)> = Vec::new();
    for row in rows {
        found.push((row.get("user_id")?, row.get("email")?));
    }
    let domain = call.hub.config.email_domain.clone();
    if call.hub.config.notify_on_success || !succeeded {
        if let Some(owner) = user::by_id(call, build.owner_id).await? {
            found.push((owner.id, format!("{}@{domain}", owner.name)));
        }
        if let Some(tag) = tag
            && let Some(entry) = package::config(call, tag, build.package_id, None).await?
            && !entry.blocked
            && let Some(owner) = entry.owner_id
            && let Some(owner) = user::by_id(call, owner).await?
            && owner.status == UserStatus::Normal as i64
            && owner.usertype == UserType::Normal as i64
        {
            found.push((owner.id, format!("{}@{domain}", owner.name)));
        }
    }
    let users: Vec<i64> = found.iter().map(|(id, _)| *id).collect();
    let silent = db::silenced(&mut call.tx, &users, build.package_id, tag).await?;
    let mut addresses: Vec<String> = Vec::new();
    for (id, address) in found {
        if !silent.contains(&id) && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

/// What a message about a tagging tells.
#[derive(Clone, Debug, Default)]
pub struct Tagging {
    /// Whether it succeeded.
    pub succeeded: bool,
    /// The tag that the build entered, by number or name.
    pub to: Value,
    /// The tag that it left.
    pub from: Value,
    /// The user who did it.
    pub user_id: Value,
    /// Whether success is not worth a message.
    pub ignore_success: bool,
    /// Why it failed.
    pub failure: String,
}

/// Submits the message about a tagging, if somebody wants it.
///
/// # Errors
/// When the database fails.
pub async fn tagged(call: &mut Call, build: &Build, what: Tagging) -> Result<(), Fault> {
    if call.hub.config.disable_notifications || what.succeeded && what.ignore_success {
        return Ok(());
    }
    let mut all: Vec<String> = Vec::new();
    for info in [&what.to, &what.from] {
        if !info.truthy() {
            continue;
        }
        if let Some(tag) = tag::find(call, info, tag::When::Now).await? {
            for address in recipients(call, build, Some(tag.id), what.succeeded).await? {
                if !all.contains(&address) {
                    all.push(address);
                }
            }
        }
    }
    if all.is_empty() {
        return Ok(());
    }
    let args = vec![
        Value::Array(all.into_iter().map(Value::from).collect()),
        Value::Bool(what.succeeded),
        what.to,
        what.from,
        Value::Int(build.id),
        what.user_id,
        Value::Bool(what.ignore_success),
        Value::Str(what.failure),
    ];
    make::make(call, "tagNotification", args, make::Options::default()).await.map(drop)
}

/// Submits the message about a build that ended, if somebody wants it.
///
/// The task belongs to the caller: for a cancelled build the message names who cancelled it.
///
/// # Errors
/// When the database fails.
pub async fn built(call: &mut Call, task_id: i64, build_id: i64) -> Result<(), Fault> {
    if call.hub.config.disable_notifications {
        return Ok(());
    }
    let Some(build) = crate::build::by_id(call, build_id).await? else { return Ok(()) };
    let (method, args) = crate::task::request(call, task_id).await?;
    // other methods have no target that the hub knows of
    let named = match method.as_str() {
        "build" | "maven" => args.get(1),
        "winbuild" => args.get(2),
        _ => None,
    };
    let target = match named.filter(|name| name.truthy()) {
        Some(name) => crate::target::find(call, name, None).await?,
        None => None,
    };
    let dest = target.as_ref().map(|t| t.dest_tag);
    let succeeded = build.state == BuildState::Complete;
    let addresses = recipients(call, &build, dest, succeeded).await?;
    if addresses.is_empty() {
        return Ok(());
    }
    let shown = target.map(|t| Value::from(t.to_map())).unwrap_or_default();
    let web_url = call.hub.config.web_url.clone();
    let addresses = Value::Array(addresses.into_iter().map(Value::from).collect());
    let owner = call.user_id().or(Some(build.owner_id));
    let args = vec![addresses, build.shown.into(), shown, web_url.into()];
    let options = make::Options { owner, ..make::Options::default() };
    make::make(call, "buildNotification", args, options).await.map(drop)
}
