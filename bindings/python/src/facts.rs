//! What the library knows of builds, tasks and messages, as values for Python.

use toji_client::time::OffsetDateTime;
use toji_client::{Build, Event, Map, Task, Value, map};

/// Seconds since 1970.
pub(crate) fn seconds(time: OffsetDateTime) -> f64 {
    time.unix_timestamp_nanos() as f64 / 1e9
}

pub(crate) fn task(task: &Task) -> Value {
    let arches: Vec<Value> = task.arches().into_iter().map(Value::from).collect();
    let facts = map! {
        "tag" => task.tag(), "target" => task.target(), "package" => task.package(), "source" => task.source(),
        "arch" => task.arch(), "arches" => Value::Array(arches), "is_scratch" => task.is_scratch(),
        "build_id" => task.build_id(), "params" => Value::Array(task.request()), "named" => task.params(),
        "created" => task.created().map(seconds), "started" => task.started().map(seconds),
        "completed" => task.completed().map(seconds), "url" => task.url(),
        "state_name" => task.state().map(|state| state.name().to_owned()),
    };
    facts.into()
}

pub(crate) fn build(build: &Build) -> Value {
    let facts = map! {
        "id" => build.id(), "task_id" => build.task_id(), "nvr" => build.nvr(), "commit" => build.commit().map(str::to_owned),
        "created" => build.created().map(seconds), "started" => build.started().map(seconds),
        "completed" => build.completed().map(seconds), "url" => build.url(),
        "state_name" => build.state().map(|state| state.name().to_owned()),
    };
    facts.into()
}

pub(crate) fn event(event: &Event) -> Value {
    let build = |build: &Build| Value::Struct(build.info().clone());
    let facts: Map = match event {
        Event::BuildState { build: b, old, new } => map! {
            "type" => "BuildStateChange", "build" => build(b), "old" => old.map(|s| s.name().to_owned()), "event" => new.name(),
        },
        Event::TaskState { task, old, new } => map! {
            "type" => "TaskStateChange", "task" => task.info().clone(), "old" => old.map(|s| s.name().to_owned()), "event" => new.name(),
        },
        Event::Tag(t) | Event::Untag(t) => map! {
            "type" => "TagUntag", "event" => if matches!(event, Event::Tag(_)) { "Tag" } else { "Untag" },
            "build" => build(&t.build), "tag" => &t.tag, "user" => t.user.clone(),
        },
        Event::RepoInit(r) | Event::RepoDone(r) => map! {
            "type" => "Repo", "event" => if matches!(event, Event::RepoInit(_)) { "RepoInit" } else { "RepoDone" },
            "repo_id" => r.id, "tag" => &r.tag, "task_id" => r.task_id,
        },
        Event::Import { build: b, what } => {
            map! { "type" => "Import", "event" => what, "build" => build(b) }
        }
        Event::RpmSign { rpm, build: b, key } => map! {
            "type" => "RPMSign", "event" => "RPMSign", "rpm" => rpm.clone(), "build" => build(b), "sigkey" => key,
        },
        Event::PackageList { tag, package, action, user } => map! {
            "type" => "PackageListChange", "event" => action, "tag" => tag, "package" => package, "user" => user.clone(),
        },
        Event::Promote { build: b, user } => map! {
            "type" => "BuildPromote", "event" => "BuildPromote", "build" => build(b), "user" => user.clone(),
        },
        Event::Other { name, body } => {
            map! { "type" => "Other", "event" => name, "body" => body.clone() }
        }
        // The library's list may grow.
        _ => map! { "type" => "Other", "event" => Value::Nil },
    };
    facts.into()
}
