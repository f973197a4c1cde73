//! Messages in the form of Fedora's plugin `koji-fedoramessaging`, for those who listen with `fedora-messaging`.
//!
//! They go to the outbox in the transaction of what they tell, as events of the kind [`KIND`], each under the key of its
//! object; a relay with `Format = fedora` brings them to a broker. Topics, members of bodies and what is left out are
//! the plugin's (version 1.2); the schemas that listeners check are of the package koji-fedoramessaging-messages 1.3.

use std::collections::BTreeMap;

use toji_db::task as db;
use toji_plugin::Settings;
use toji_value::{Fault, Map, Value, map};

use crate::task::{text, with_request};
use crate::{Call, json, user};

/// The kind of the events.
pub(crate) const KIND: &str = "fedora.message";

/// The callbacks that are told.
pub(super) const CALLBACKS: &[&str] = &[
    "postPackageListChange",
    "postTaskStateChange",
    "postBuildStateChange",
    "postRPMSign",
    "postTag",
    "postUntag",
    "postRepoInit",
    "postRepoDone",
];

/// Severities of fedora-messaging.
const DEBUG: i64 = 10;
const INFO: i64 = 20;

/// A message, as far as listeners sort by it.
struct Message {
    topic: &'static str,
    schema: &'static str,
    key: String,
    severity: i64,
    priority: i64,
    users: Vec<Value>,
    packages: Vec<Value>,
    body: Map,
}

impl Message {
    fn new(topic: &'static str, schema: &'static str, key: String, body: Map) -> Message {
        let (users, packages) = (Vec::new(), Vec::new());
        Message { topic, schema, key, severity: DEBUG, priority: 0, users, packages, body }
    }

    /// What fedora-messaging's own publishers put into the headers of a message of this schema.
    fn headers(&self) -> Map {
        let mut headers = map! {
            "fedora_messaging_schema" => format!("koji_fedoramessaging.{}", self.schema),
            "fedora_messaging_schema_package" => "koji_fedoramessaging_messages",
            "fedora_messaging_severity" => self.severity,
            "priority" => self.priority,
        };
        for (what, names) in [("user", &self.users), ("rpm", &self.packages)] {
            for name in names.iter().filter_map(Value::as_str) {
                headers.insert(format!("fedora_messaging_{what}_{name}"), true);
            }
        }
        headers
    }
}

/// Writes the message about a callback to the outbox, if there is one.
pub(super) async fn queue(
    call: &mut Call,
    name: &str,
    args: &Map,
    settings: &Settings,
) -> Result<(), Fault> {
    let option = |name: &str| {
        let value = settings.value("message").get(name).as_str().map(str::trim);
        value.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let web = call.hub.config.web_url.trim_end_matches('/').to_owned();
    let base = web.strip_suffix("/koji").unwrap_or(&web).to_owned();
    let files = option("files_url").unwrap_or_else(|| format!("{base}/kojifiles"));
    let site = Site { base, web, work: format!("{}/work", files.trim_end_matches('/')) };
    let Some(mut message) = message(call, name, args, &site).await? else { return Ok(()) };
    message.body.insert("base_url", &site.base);
    message.body.insert("instance", option("instance").unwrap_or_else(|| "primary".to_owned()));
    let headers = message.headers();
    let body = scrubbed(Value::Struct(message.body));
    let event = map! {
        "topic" => format!("buildsys.{}", message.topic), "headers" => headers,
        "priority" => message.priority, "body" => json::dumps(&body),
    };
    call.emit(KIND, &message.key, event);
    Ok(())
}

/// Where the hub's pages and files are.
struct Site {
    base: String,
    web: String,
    work: String,
}

async fn message(
    call: &mut Call,
    name: &str,
    args: &Map,
    site: &Site,
) -> Result<Option<Message>, Fault> {
    let (build, tag) = (args.value("build"), args.value("tag"));
    Ok(match name {
        "postPackageListChange" => {
            let owner = owner(call, args.value("owner")).await?;
            let package = args.value("package").get("name").clone();
            let body = map! {
                "tag" => tag.get("name"), "package" => &package, "action" => args.value("action"),
                "owner" => &owner, "block" => args.value("block"),
                "extra_arches" => args.value("extra_arches"), "force" => args.value("force"),
                "update" => args.value("update"),
            };
            let key = format!("tag:{}", tag.get("id").display());
            let message = Message::new("package.list.change", "package.ListChangeV1", key, body);
            Some(Message { users: vec![owner], packages: vec![package], ..message })
        }
        "postTaskStateChange" => task(call, args, site).await?,
        "postBuildStateChange" if args.str("attribute") == Some("volume_id") => None,
        "postBuildStateChange" => Some(build_state(call, args, site).await?),
        "postTag" | "postUntag" => {
            let owner = owner(call, build.get("owner_id")).await?;
            let (name_of_tag, by) = (tag.get("name"), args.value("user").get("name").clone());
            let body = map! {
                "tag" => name_of_tag, "tag_id" => tag.get("id"), "build_id" => build.get("id"),
                "name" => build.get("name"), "version" => build.get("version"),
                "release" => build.get("release"), "user" => &by, "owner" => &owner,
            };
            let (topic, schema) = match name {
                "postTag" => ("tag", "tag.TagV1"),
                _ => ("untag", "tag.UntagV1"),
            };
            let priority = priority(name_of_tag.as_str().unwrap_or_default());
            let key = format!("tag:{}", tag.get("id").display());
            let packages = vec![build.get("name").clone()];
            let message = Message::new(topic, schema, key, body);
            Some(Message { priority, users: vec![by, owner], packages, ..message })
        }
        "postRepoInit" => {
            let id = args.value("repo_id");
            let body =
                map! { "tag" => tag.get("name"), "tag_id" => tag.get("id"), "repo_id" => id };
            Some(Message::new("repo.init", "repo.InitV1", format!("repo:{}", id.display()), body))
        }
        "postRepoDone" => {
            let repo = args.value("repo");
            let id = repo.get("id");
            let body = map! {
                "tag" => repo.get("tag_name"), "tag_id" => repo.get("tag_id"), "repo_id" => id,
            };
            Some(Message::new("repo.done", "repo.DoneV1", format!("repo:{}", id.display()), body))
        }
        "postRPMSign" if !args.value("sigkey").truthy() => None,
        "postRPMSign" => {
            let body = map! {
                "sigkey" => args.value("sigkey"), "sighash" => args.value("sighash"),
                "build" => shown(build), "rpm" => shown(args.value("rpm")),
            };
            let key = format!("build:{}", build.get("id").display());
            let (users, packages) = (build.get("owner_name"), build.get("name"));
            let (users, packages) = (vec![users.clone()], vec![packages.clone()]);
            let message = Message::new("rpm.sign", "rpm.SignV1", key, body);
            Some(Message { users, packages, ..message })
        }
        _ => None,
    })
}

/// Mass rebuilds matter least, then the tags of Fedora's ELN, as listeners' queues sort them.
fn priority(tag: &str) -> i64 {
    let release = tag.strip_prefix('f').and_then(|rest| rest.strip_suffix("-rebuild"));
    match release {
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => 0,
        _ if tag == "eln" || tag.starts_with("eln-") => 1,
        _ => 2,
    }
}

/// Only scratch builds are told of, by their topmost task.
async fn task(call: &mut Call, args: &Map, site: &Site) -> Result<Option<Message>, Fault> {
    let info = args.value("info");
    let scratch = |request: &Value| {
        let last = request.as_array().and_then(|list| list.last());
        last.is_some_and(|opts| opts.get("scratch").truthy())
    };
    let told = args.str("attribute") == Some("state") && !info.get("parent").truthy();
    let Some(id) = info.get("id").as_int().filter(|_| told) else { return Ok(None) };
    // Of a task that was just made the callback has the request as it is stored.
    let stored = info.get("request").as_str().map(text::read_request).transpose()?;
    let request = stored.map_or_else(|| info.get("request").clone(), Value::Array);
    if !scratch(&request) {
        return Ok(None);
    }
    let Some(info) = tree(call, id, site).await? else { return Ok(None) };
    let source = request.as_array().and_then(|list| list.first()).and_then(Value::as_str);
    let srpm = source.unwrap_or("/").rsplit('/').next().unwrap_or_default().to_owned();
    let owner = info.get("owner").clone();
    let body = map! {
        "method" => info.get("method"), "id" => id, "owner" => &owner, "attribute" => "state",
        "old" => args.value("old"), "new" => args.value("new"), "files_base_url" => &site.work,
        "srpm" => srpm, "info" => info,
    };
    let (topic, key) = ("task.state.change", format!("task:{id}"));
    let message = Message::new(topic, "task.TaskStateChangeV1", key, body);
    Ok(Some(Message { severity: INFO, users: vec![owner], ..message }))
}

async fn build_state(call: &mut Call, args: &Map, site: &Site) -> Result<Message, Fault> {
    let info = args.value("info");
    let id = info.get("id").clone();
    let task_id = info.get("task_id").as_int();
    let task = match task_id {
        Some(id) => tree(call, id, site).await?.unwrap_or_default(),
        None => Value::Nil,
    };
    let owner = match info.get("owner_name") {
        Value::Nil => owner(call, info.get("owner_id")).await?,
        name => name.clone(),
    };
    let url = format!("{}/buildinfo?buildID={}", site.web, id.display());
    let body = map! {
        "name" => info.get("name"), "version" => info.get("version"),
        "release" => info.get("release"), "epoch" => info.get("epoch"),
        "attribute" => args.value("attribute"), "old" => args.value("old"),
        "new" => args.value("new"), "build_id" => &id, "task_id" => task_id, "owner" => &owner,
        "files_base_url" => &site.work, "url" => url, "request" => task.get("request"),
        "task" => task, "creation_time" => iso(info.get("creation_time")),
        "completion_time" => iso(info.get("completion_time")),
    };
    let (key, packages) = (format!("build:{}", id.display()), vec![info.get("name").clone()]);
    let message = Message::new("build.state.change", "build.BuildStateChangeV1", key, body);
    Ok(Message { severity: INFO, users: vec![owner], packages, ..message })
}

/// The name of a user by number.
async fn owner(call: &mut Call, id: &Value) -> Result<Value, Fault> {
    let Some(id) = id.as_int() else { return Ok(Value::Nil) };
    let found = user::by_id(call, id).await?;
    Ok(found.map(|user| user.name.into()).unwrap_or_default())
}

/// A task with all below it, their results and the names of their hosts.
async fn tree(call: &mut Call, id: i64, site: &Site) -> Result<Option<Value>, Fault> {
    let Some(top) = db::get_with_requests(&mut call.tx, &[id]).await?.pop() else {
        return Ok(None);
    };
    let mut rows = db::descendants(&mut call.tx, id).await?;
    rows.push(top);
    let ids = rows.iter().map(|row| row.get("id")).collect::<Result<Vec<i64>, _>>()?;
    let mut results = BTreeMap::new();
    for row in db::results(&mut call.tx, &ids).await? {
        let stored: Option<String> = row.get("result")?;
        // A result that cannot be read, or a fault, is none.
        let read = stored.and_then(|stored| text::read_result(&stored).ok()?.ok());
        results.insert(row.get::<i64>("id")?, read.unwrap_or_default());
    }
    let mut hosts = BTreeMap::new();
    for row in db::host_names(&mut call.tx, &ids).await? {
        hosts.insert(row.get::<i64>("id")?, row.value("name").clone());
    }
    let mut owners: BTreeMap<i64, Value> = BTreeMap::new();
    let mut below: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
    // Children have higher numbers than their parents.
    rows.sort_by_key(|row| std::cmp::Reverse(row.value("id").as_int()));
    for row in rows {
        let (task, parent): (i64, Option<i64>) = (row.get("id")?, row.get("parent")?);
        let mut info = with_request(row, true)?;
        let Value::Struct(map) = &mut info else { continue };
        seconds(map);
        let by = map.value("owner").as_int().unwrap_or_default();
        // Mostly one user has them all.
        let name = match owners.get(&by) {
            Some(name) => name.clone(),
            None => owner(call, map.value("owner")).await?,
        };
        owners.insert(by, name.clone());
        let mut children = below.remove(&task).unwrap_or_default();
        children.reverse();
        map.extend(map! {
            "owner" => name, "children" => children,
            "host_name" => hosts.remove(&task).unwrap_or_default(),
            "result" => results.remove(&task).unwrap_or_default(),
            "url" => format!("{}/taskinfo?taskID={task}", site.web),
        });
        if task == id {
            return Ok(Some(info));
        }
        below.entry(parent.unwrap_or_default()).or_default().push(info);
    }
    Ok(None)
}

/// Moments as whole seconds since 1970, as the plugin sends them; the hub shows them as texts.
fn seconds(map: &mut Map) {
    for (text, number) in [
        ("completion_time", "completion_ts"),
        ("create_time", "create_ts"),
        ("start_time", "start_ts"),
        ("creation_time", "creation_ts"),
    ] {
        if map.contains_key(text) {
            let moment = map.value(number).as_f64().map(f64::floor);
            map.insert(text, moment);
        }
    }
}

/// A build or an RPM. Members that are nil are left out where the schema wants something in them.
fn shown(value: &Value) -> Value {
    const MAY_BE_NIL: [&str; 4] = ["epoch", "cg_id", "cg_name", "completion_time"];
    let Value::Struct(map) = value else { return value.clone() };
    let mut map = map.clone();
    seconds(&mut map);
    if let Some(start) = map.value("start_ts").as_f64() {
        map.insert("start_time", start.floor() as i64);
    }
    let kept = map.into_iter().filter(|(name, value)| {
        !value.is_nil() || MAY_BE_NIL.iter().any(|known| **known == **name)
    });
    Value::Struct(kept.collect())
}

/// A moment as Python's `isoformat` writes it.
fn iso(moment: &Value) -> Value {
    let Some(text) = moment.as_str() else { return Value::Nil };
    let text = text.replacen(' ', "T", 1);
    let hours_only = text.len().checked_sub(3).and_then(|at| text.get(at..));
    let short = hours_only.is_some_and(|zone| zone.starts_with(['+', '-']));
    Value::from(if short { format!("{text}:00") } else { text })
}

/// Without the members that the plugin leaves out everywhere.
fn scrubbed(value: Value) -> Value {
    const LEFT_OUT: [&str; 4] = ["weight", "start_ts", "create_ts", "completion_ts"];
    match value {
        Value::Array(list) => Value::Array(list.into_iter().map(scrubbed).collect()),
        Value::Struct(map) => {
            let kept = map.into_iter().filter(|(name, _)| !LEFT_OUT.iter().any(|n| **n == **name));
            Value::Struct(kept.map(|(name, value)| (name, scrubbed(value))).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_have_priorities() {
        let tags = ["f41-rebuild", "f-rebuild", "fx-rebuild", "eln", "eln-build", "elno", "f41"];
        assert_eq!(tags.map(priority), [0, 2, 2, 1, 1, 2, 2]);
    }

    #[test]
    fn moments() {
        assert_eq!(iso(&"2026-11-23 11:02:03.45+00".into()), "2026-11-23T11:02:03.45+00:00".into());
        assert_eq!(iso(&"2026-11-23T11:02:03+00:00".into()), "2026-11-23T11:02:03+00:00".into());
        assert_eq!(iso(&Value::Nil), Value::Nil);
        let build = map! { "creation_time" => "x", "creation_ts" => 5.7, "extra" => Value::Nil, "epoch" => Value::Nil };
        let want = map! { "creation_time" => 5.0, "creation_ts" => 5.7, "epoch" => Value::Nil };
        assert_eq!(shown(&build.into()), want.into());
    }

    #[test]
    fn what_differs_between_hubs_is_left_out() {
        let body = map! { "a" => Value::Array(vec![map! { "weight" => 1, "id" => 2 }.into()]), "start_ts" => 3 };
        assert_eq!(
            scrubbed(body.into()),
            map! { "a" => Value::Array(vec![map! { "id" => 2 }.into()]) }.into()
        );
    }
}
