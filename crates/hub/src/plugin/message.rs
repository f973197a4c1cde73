//! Messages in the form of Koji's plugin `protonmsg`: an address, properties, and a JSON body.
//!
//! They go to the outbox in the transaction of what they tell, as events of the kind `protonmsg`
//! whose body has `address`, `props` and `body`; and if a broker is configured, to the [courier](crate::courier).

use toji_bus::Topic;
use toji_db::message as db;
use toji_plugin::Settings;
use toji_types::BuildState;
use toji_value::{Args, Fault, Map, Value, map};

use super::nested;
use crate::{Call, json};

/// The callbacks that are told.
pub(super) const CALLBACKS: &[&str] = &[
    "postPackageListChange",
    "postTaskStateChange",
    "postBuildStateChange",
    "postImport",
    "postRPMSign",
    "postTag",
    "postUntag",
    "postRepoInit",
    "postRepoDone",
    "postBuildPromote",
];

/// A message of the bus.
struct Message {
    address: String,
    props: Map,
    body: Map,
}

/// Writes the message about a callback to the outbox, if there is one.
pub(super) async fn queue(
    call: &mut Call,
    name: &str,
    args: &Map,
    settings: &Settings,
) -> Result<(), Fault> {
    let Some(mut message) = message(name, args) else { return Ok(()) };
    if name == "postBuildStateChange" {
        let build = args.value("info").get("id").clone();
        let ask = Args { positional: vec![build], keywords: Map::new() };
        message.body.insert("btypes", nested(call, "getBuildType", ask).await?);
    }
    let limit = settings.value("message").get("extra_limit").as_str().unwrap_or_default();
    let limit = limit.trim().trim_start_matches('-').parse().unwrap_or(0);
    for part in ["build", "info"] {
        if let Some(Value::Struct(build)) = message.body.get_mut(part) {
            strip(build, limit);
        }
    }
    let Message { address, props, body } = message;
    let body = json::dumps(&body.into());
    if let Some(options) = &call.hub.config.messages {
        let parcel = toji_bus::Message {
            address: address.clone(),
            props: json::dumps(&props.clone().into()),
            body: body.clone(),
        };
        match options.queue {
            Some(_) => {
                db::insert(&mut call.tx, &parcel.address, &parcel.props, &parcel.body).await?;
                call.signal(Topic::Messages);
            }
            None => call.messages.push(parcel),
        }
    }
    let event = map! { "address" => &address, "props" => props, "body" => body };
    call.emit("protonmsg", &address, event);
    Ok(())
}

/// Drops a build's extra data that are longer than the limit as JSON; 0 is no limit.
fn strip(build: &mut Map, limit: usize) {
    if limit > 0 && build.get("extra").is_some_and(|extra| json::dumps(extra).len() > limit) {
        build.remove("extra");
    }
}

fn message(name: &str, args: &Map) -> Option<Message> {
    let kind = name.strip_prefix("post")?;
    let mut body = args.clone();
    let mut props = map! { "type" => kind };
    let mut tell = |pairs: &[(&'static str, &Value)]| {
        for (key, value) in pairs {
            props.insert(*key, *value);
        }
    };
    let (build, tag, user) = (args.value("build"), args.value("tag"), args.value("user"));
    let nvr = |of: &'static str| {
        let from = args.value(of);
        [
            ("name", from.get("name")),
            ("version", from.get("version")),
            ("release", from.get("release")),
        ]
    };
    let address = match name {
        "postPackageListChange" => {
            let action = args.value("action");
            let package = args.value("package").get("name");
            tell(&[("tag", tag.get("name")), ("package", package), ("action", action)]);
            tell(&[("user", user.get("name"))]);
            format!("package.{}", action.display())
        }
        "postTaskStateChange" => {
            let info = args.value("info");
            tell(&[("id", info.get("id")), ("parent", info.get("parent"))]);
            tell(&[("method", info.get("method"))]);
            change(args, &mut tell)?;
            format!("task.{}", args.str("new")?.to_lowercase())
        }
        "postBuildStateChange" => {
            let state = |key| args.int(key).and_then(|n| BuildState::try_from(n).ok());
            let new = state("new")?.name();
            let old = state("old").map(|state| Value::from(state.name())).unwrap_or_default();
            tell(&nvr("info"));
            change(args, &mut tell)?;
            tell(&[("old", &old), ("new", &Value::from(new))]);
            format!("build.{}", new.to_lowercase())
        }
        "postImport" => {
            tell(&[("importType", args.value("type"))]);
            tell(&nvr("build"));
            format!("import.{}", args.str("type")?)
        }
        "postRPMSign" => {
            let (key, rpm) = (args.value("sigkey"), args.value("rpm"));
            if !key.truthy() {
                return None;
            }
            tell(&[("sigkey", key)]);
            tell(&nvr("build"));
            tell(&[("rpm_name", rpm.get("name")), ("rpm_version", rpm.get("version"))]);
            tell(&[("rpm_release", rpm.get("release")), ("rpm_arch", rpm.get("arch"))]);
            "sign.rpm".to_owned()
        }
        "postTag" | "postUntag" => {
            tell(&[("tag", tag.get("name"))]);
            tell(&nvr("build"));
            tell(&[("user", user.get("name"))]);
            if name == "postTag" { "build.tag" } else { "build.untag" }.to_owned()
        }
        "postRepoInit" => {
            let task = args.value("task_id");
            tell(&[("tag", tag.get("name")), ("repo_id", args.value("repo_id"))]);
            tell(&[("task_id", task)]);
            body.insert("task_id", task);
            "repo.init".to_owned()
        }
        "postRepoDone" => {
            let repo = args.value("repo");
            tell(&[("tag", repo.get("tag_name")), ("repo_id", repo.get("id"))]);
            tell(&[("task_id", repo.get("task_id")), ("expire", args.value("expire"))]);
            body.insert("task_id", args.value("task_id"));
            "repo.done".to_owned()
        }
        "postBuildPromote" => {
            tell(&[("build_id", build.get("id"))]);
            tell(&nvr("build"));
            tell(&[("draft_release", args.value("draft_release"))]);
            tell(&[("target_release", args.value("target_release"))]);
            tell(&[("user", user.get("name"))]);
            "build.promote".to_owned()
        }
        _ => return None,
    };
    Some(Message { address, props, body })
}

/// What changed; only changes of the state are told.
fn change(args: &Map, tell: &mut impl FnMut(&[(&'static str, &Value)])) -> Option<()> {
    let attribute = args.value("attribute");
    if attribute.as_str() != Some("state") {
        return None;
    }
    tell(&[("attribute", attribute), ("old", args.value("old")), ("new", args.value("new"))]);
    Some(())
}

#[cfg(test)]
mod tests {
    use toji_value::{Value, map};

    use super::{message, strip};

    #[test]
    fn a_change_of_a_task_is_told() {
        let args = map! {
            "attribute" => "state", "old" => "OPEN", "new" => "CLOSED",
            "info" => map! { "id" => 5, "parent" => Value::Nil, "method" => "build", "x" => 1 },
        };
        let told = message("postTaskStateChange", &args).unwrap();
        assert_eq!(told.address, "task.closed");
        let want = map! {
            "type" => "TaskStateChange", "id" => 5, "parent" => Value::Nil, "method" => "build",
            "attribute" => "state", "old" => "OPEN", "new" => "CLOSED",
        };
        assert_eq!(told.props, want);
        assert_eq!(told.body, args);
        let mut other = args.clone();
        other.insert("attribute", "weight");
        assert!(message("postTaskStateChange", &other).is_none());
    }

    #[test]
    fn a_change_of_a_build_names_its_states() {
        let info = map! { "name" => "a", "version" => "1", "release" => "2" };
        let args = map! { "attribute" => "state", "old" => Value::Nil, "new" => 1, "info" => info };
        let told = message("postBuildStateChange", &args).unwrap();
        assert_eq!(told.address, "build.complete");
        assert_eq!(told.props.str("new"), Some("COMPLETE"));
        assert_eq!(told.props.value("old"), &Value::Nil);
    }

    #[test]
    fn long_extra_data_are_dropped() {
        let mut build = map! { "extra" => map! { "a" => "bcdef" } };
        strip(&mut build, 0);
        strip(&mut build, 100);
        assert!(build.contains_key("extra"));
        strip(&mut build, 5);
        assert!(!build.contains_key("extra"));
    }
}
