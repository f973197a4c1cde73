//! Messages of every bus become the same events.

use serde_json::json;
use toji_client::{BuildState, Client, Event, Map, MessageError, Options, TaskState, Value, map};

fn hub() -> Client {
    let weburl = Some("https://koji.example.com/koji".to_owned());
    Client::new("http://127.0.0.1:1/kojihub", Options { weburl, ..Options::default() }).unwrap()
}

fn read(topic: &str, headers: Map, body: serde_json::Value) -> Result<Event, MessageError> {
    Event::parse(topic, &headers, body.to_string().as_bytes(), &hub())
}

/// The message of `protonmsg`, of `koji-fedoramessaging` and of Toji itself about the same thing.
fn three(
    kind: &str,
    address: &str,
    callback: serde_json::Value,
    fedora: (&str, serde_json::Value),
    own: (&str, serde_json::Value),
) -> [Event; 3] {
    [
        read(address, map! {"type" => kind}, callback).unwrap(),
        read(
            &format!("org.fedoraproject.prod.buildsys.{}", fedora.0),
            map! {"fedora_messaging_severity" => 20},
            fedora.1,
        )
        .unwrap(),
        read(own.0, Map::new(), own.1).unwrap(),
    ]
}

#[tokio::test]
async fn builds() {
    let info = json!({"id": 7, "build_id": 7, "name": "bash", "version": "5.3", "release": "1", "owner_name": "alice", "owner_id": 2,
                      "state": 0, "task_id": 30, "creation_ts": 1795315988.0});
    let all = three(
        "BuildStateChange",
        "topic://koji.build.complete",
        json!({"attribute": "state", "old": 0, "new": 1, "info": info, "btypes": {"rpm": null}}),
        (
            "build.state.change",
            json!({"build_id": 7, "name": "bash", "version": "5.3", "release": "1", "epoch": null, "owner": "alice",
            "old": 0, "new": 1, "attribute": "state", "task_id": 30, "instance": "primary", "creation_time": "2026-11-22T02:53:08",
            "completion_time": null, "task": null, "request": null}),
        ),
        (
            "build.state",
            json!({"id": 7, "nvr": "bash-5.3-1", "name": "bash", "old": "BUILDING", "new": "COMPLETE", "task_id": 30,
            "owner_id": 2, "owner_name": "alice"}),
        ),
    );
    for event in all {
        let Event::BuildState { build, old, new } = &event else { panic!("{event:?}") };
        assert_eq!(
            (*old, *new, build.state()),
            (Some(BuildState::Building), BuildState::Complete, Some(BuildState::Complete))
        );
        assert_eq!(
            (build.id(), build.nvr().as_deref(), build.task_id()),
            (Some(7), Some("bash-5.3-1"), Some(30))
        );
        assert_eq!(
            event.url().as_deref(),
            Some("https://koji.example.com/koji/buildinfo?buildID=7")
        );
        assert_eq!(event.user().await.unwrap().as_deref(), Some("alice"));
        if build.created().is_some() {
            assert_eq!(build.created().unwrap().unix_timestamp(), 1795315988);
        }
    }
    let new = read(
        "x",
        map! {"type" => "BuildStateChange"},
        json!({"attribute": "state", "old": null, "new": 0, "info": {}}),
    );
    assert!(matches!(new, Ok(Event::BuildState { old: None, new: BuildState::Building, .. })));
}

#[tokio::test]
async fn tasks() {
    let request = json!(["git+https://src.example.com/bash#1", "f43", {"scratch": true}]);
    let info = json!({"id": 30, "method": "build", "owner": 2, "request": request, "state": 0, "parent": null, "arch": "noarch"});
    let [proton, fedora, own] = three(
        "TaskStateChange",
        "/topic/koji.task.closed",
        json!({"attribute": "state", "old": "OPEN", "new": "CLOSED", "info": info}),
        (
            "task.state.change",
            json!({"id": 30, "method": "build", "attribute": "state", "old": "OPEN", "new": "CLOSED",
            "owner": "alice", "instance": "primary", "info": info}),
        ),
        (
            "task.state",
            json!({"id": 30, "method": "build", "old": "OPEN", "new": "CLOSED", "owner": 2, "arch": "noarch"}),
        ),
    );
    for event in [&proton, &fedora, &own] {
        let Event::TaskState { task, old, new } = event else { panic!("{event:?}") };
        assert_eq!(
            (*old, *new, task.state()),
            (Some(TaskState::Open), TaskState::Closed, Some(TaskState::Closed))
        );
        assert_eq!((task.id(), task.method()), (Some(30), "build"));
        assert_eq!(
            event.url().as_deref(),
            Some("https://koji.example.com/koji/taskinfo?taskID=30")
        );
    }
    let Event::TaskState { task, .. } = &proton else { unreachable!() };
    assert!(task.is_scratch());
    assert_eq!((task.target(), task.package().as_deref()), ("f43".into(), Some("bash")));
    assert_eq!(fedora.user().await.unwrap().as_deref(), Some("alice"));
}

#[tokio::test]
async fn tags_and_repositories() {
    let build = json!({"id": 7, "name": "bash", "version": "5.3", "release": "1"});
    for (kind, fedora, own) in [("Tag", "tag", "build.tag"), ("Untag", "untag", "build.untag")] {
        let all = three(
            kind,
            "topic://koji.build.tag",
            json!({"tag": {"id": 4, "name": "f43"}, "build": build, "user": {"id": 2, "name": "alice"}, "force": null}),
            (
                fedora,
                json!({"build_id": 7, "name": "bash", "version": "5.3", "release": "1", "tag": "f43", "tag_id": 4, "user": "alice",
                "owner": "bob", "instance": "primary"}),
            ),
            (
                own,
                json!({"tag_id": 4, "tag": "f43", "build_id": 7, "nvr": "bash-5.3-1", "name": "bash", "user": "alice"}),
            ),
        );
        for event in all {
            assert_eq!(matches!(event, Event::Tag(_)), kind == "Tag", "{event:?}");
            let (Event::Tag(tagging) | Event::Untag(tagging)) = &event else { panic!("{event:?}") };
            assert_eq!((tagging.tag.as_str(), tagging.build.id()), ("f43", Some(7)));
            assert_eq!(tagging.build.nvr().as_deref(), Some("bash-5.3-1"));
            assert_eq!(event.tag().await.unwrap().as_deref(), Some("f43"));
            assert_eq!(event.user().await.unwrap().as_deref(), Some("alice"));
        }
    }
    let all = three(
        "RepoDone",
        "topic://koji.repo.done",
        json!({"repo": {"id": 5, "tag_name": "f43-build", "task_id": 9}, "expire": false}),
        (
            "repo.done",
            json!({"repo_id": 5, "tag": "f43-build", "tag_id": 4, "instance": "primary"}),
        ),
        (
            "repo.done",
            json!({"repo_id": 5, "tag": "f43-build", "tag_id": 4, "task_id": 9, "expire": false}),
        ),
    );
    for event in all {
        let Event::RepoDone(repo) = event else { panic!("{event:?}") };
        assert_eq!((repo.id, repo.tag.as_str()), (5, "f43-build"));
    }
}

#[test]
fn the_rest() {
    let sign = json!({"sigkey": "abcd", "rpm": {"name": "bash"}, "build": {"id": 7}});
    for event in [
        read("x", map! {"type" => "RPMSign"}, sign.clone()),
        read("a.buildsys.rpm.sign", Map::new(), sign),
    ] {
        let Ok(Event::RpmSign { rpm, build, key }) = event else { panic!("{event:?}") };
        assert_eq!((rpm.str("name"), build.id(), key.as_str()), (Some("bash"), Some(7), "abcd"));
    }
    let list = json!({"tag": {"name": "f43"}, "package": {"name": "bash"}, "action": "add", "user": {"name": "alice"}});
    let list = read("x", map! {"type" => "PackageListChange"}, list).unwrap();
    assert!(
        matches!(list, Event::PackageList { tag, user: Some(user), .. } if tag == "f43" && user == "alice")
    );
    let other = read("host.update", Map::new(), json!({"host_id": 3})).unwrap();
    assert_eq!(other, Event::Other { name: "host.update".into(), body: map! {"host_id" => 3} });
    let import =
        read("x", map! {"type" => "Import"}, json!({"type": "rpm", "build": {"id": 7}})).unwrap();
    assert_eq!(import.build().and_then(|build| build.id()), Some(7));
}

#[test]
fn what_is_no_message() {
    let parse = |topic: &str, body: &[u8]| Event::parse(topic, &Map::new(), body, &hub());
    assert_eq!(parse("x", b"").unwrap_err(), MessageError::Body);
    assert_eq!(parse("x", b"[1]").unwrap_err(), MessageError::Body);
    assert_eq!(parse("x", "[".repeat(100_000).as_bytes()).unwrap_err(), MessageError::Body);
    assert_eq!(parse("x", &vec![b' '; 17 << 20]).unwrap_err(), MessageError::TooLong);
    let missing = parse("task.state", b"{\"new\": 77}").unwrap_err();
    assert!(matches!(missing, MessageError::Missing { member: "new", .. }));
    assert!(parse("build.tag", b"{}").is_err() && parse("repo.done", b"{}").is_err());
    assert!(matches!(
        parse("build.state", b"{\"new\": 1, \"info\": 3}"),
        Ok(Event::BuildState { .. })
    ));
    assert_eq!(
        read("x", map! {"type" => Value::Nil}, json!({})).unwrap(),
        Event::Other { name: "x".into(), body: Map::new() }
    );
}
