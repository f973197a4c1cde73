//! From the hub's answers to what a template shows.

use std::collections::BTreeMap;

use toji_types::{BuildState, RepoState, TaskState};
use toji_value::Value;

/// A hub's value as a template's value.
pub(crate) fn template_value(value: &Value) -> minijinja::Value {
    match value {
        Value::Nil => minijinja::Value::from(()),
        Value::Bool(b) => (*b).into(),
        Value::Int(i) => (*i).into(),
        Value::Double(d) => (*d).into(),
        Value::Str(s) | Value::DateTime(s) => s.as_str().into(),
        Value::Bytes(b) => format!("{} bytes", b.len()).into(),
        Value::Array(items) => {
            items.iter().map(template_value).collect::<Vec<minijinja::Value>>().into()
        }
        Value::Struct(map) => {
            let members = map.iter().map(|(k, v)| (k.to_owned(), template_value(v)));
            members.collect::<BTreeMap<String, minijinja::Value>>().into()
        }
    }
}

/// A list answer, with a word for the numeric `state` of each item.
pub(crate) fn with_states(answer: Value, word: fn(i64) -> &'static str) -> Vec<minijinja::Value> {
    let Value::Array(items) = answer else { return Vec::new() };
    items.into_iter().map(|item| with_state(item, word)).collect()
}

/// A list of tasks with decoded requests: words for their states, and what each is about.
pub(crate) fn tasks(answer: Value) -> Vec<minijinja::Value> {
    let Value::Array(mut tasks) = answer else { return Vec::new() };
    for task in &mut tasks {
        let about = about(task.get("request"));
        if let (Some(about), Some(map)) = (about, task.as_struct_mut()) {
            map.insert("about", about);
        }
    }
    with_states(Value::Array(tasks), task_word)
}

/// What a request is about: the texts it begins with, such as source and target of a build, or a tag; of sources the last part.
fn about(request: &Value) -> Option<String> {
    let texts = request.as_array()?.iter().map_while(Value::as_str).filter(|text| !text.is_empty());
    let parts: Vec<&str> = texts.take(2).map(name).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The last part of a path or a URL.
fn name(source: &str) -> &str {
    let path = source.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(source)
}

/// One answer, with a word for its numeric `state`.
pub(crate) fn with_state(mut item: Value, word: fn(i64) -> &'static str) -> minijinja::Value {
    let state = item.get("state").as_int().map_or("unknown", word);
    if let Some(map) = item.as_struct_mut() {
        map.insert("state_word", state);
    }
    template_value(&item)
}

/// The word for a task's state.
pub(crate) fn task_word(state: i64) -> &'static str {
    TaskState::try_from(state).map_or("unknown", |state| match state {
        TaskState::Free => "free",
        TaskState::Open => "open",
        TaskState::Closed => "closed",
        TaskState::Canceled => "canceled",
        TaskState::Assigned => "assigned",
        TaskState::Failed => "failed",
    })
}

/// The word for a build's state.
pub(crate) fn build_word(state: i64) -> &'static str {
    BuildState::try_from(state).map_or("unknown", |state| match state {
        BuildState::Building => "building",
        BuildState::Complete => "complete",
        BuildState::Deleted => "deleted",
        BuildState::Failed => "failed",
        BuildState::Canceled => "canceled",
    })
}

/// The word for a repository's state.
pub(crate) fn repo_word(state: i64) -> &'static str {
    RepoState::try_from(state).map_or("unknown", |state| match state {
        RepoState::Init => "init",
        RepoState::Ready => "ready",
        RepoState::Expired => "expired",
        RepoState::Deleted => "deleted",
        RepoState::Problem => "problem",
    })
}

#[cfg(test)]
mod tests {
    use toji_value::{Value, list, map};

    #[test]
    fn requests_have_a_subject() {
        for (request, wanted) in [
            (
                list!["cli-build/1.x/talker-1-1.src.rpm", "f43", map! {}],
                Some("talker-1-1.src.rpm, f43"),
            ),
            (list!["git+https://host/rpms/bash/?#abc", "f43"], Some("bash, f43")),
            (list!["f43-build"], Some("f43-build")),
            (list![7, "x"], None),
            (list![], None),
        ] {
            assert_eq!(super::about(&request).as_deref(), wanted);
        }
        assert_eq!(super::about(&Value::Nil), None);
    }

    #[test]
    fn members_reach_the_template() {
        let task = Value::Struct(map! { "id" => 7, "state" => 2, "files" => list!["a", "b"] });
        let shown = super::with_state(task, super::task_word);
        let env = minijinja::Environment::new();
        let text = "{{ task.id }} {{ task.state_word }} {{ task.files|join('+') }}";
        let context = minijinja::context! { task => shown };
        assert_eq!(env.render_str(text, context).ok().as_deref(), Some("7 closed a+b"));
    }
}
