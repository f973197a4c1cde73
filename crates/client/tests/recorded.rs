//! Objects and estimates against recorded answers of a Koji hub, and against answers made for the purpose.

#[path = "recorded/story.rs"]
mod story;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use story::at;
use toji_client::{Build, Client, Course, Fault, Options, Task, Value, args, list, map};
use toji_value::Args;
use toji_xmlrpc::{Limits, parse_call, write_fault, write_response};

/// What a hub answers, by call and arguments; what is not known is a fault that no hub has.
#[derive(Default)]
struct Answers(BTreeMap<String, Result<Value, Fault>>);

/// A call with its arguments bound to the declared parameters, so that position or name makes no difference.
fn key(method: &str, args: Args) -> String {
    let declared = toji_api::declarations().find(|d| d.signature.name == method);
    let bound = declared.and_then(|d| args.clone().bind(&d.signature).ok());
    match bound {
        Some(values) => format!("{method} {values:?}"),
        None => format!("{method} {args:?}"),
    }
}

impl Answers {
    fn recorded() -> Answers {
        let text = include_str!("recorded/answers.json");
        let all: Vec<serde_json::Value> = serde_json::from_str(text).unwrap();
        let mut answers = Answers::default();
        for one in all {
            let value = |name: &str| Value::from_json(one[name].clone());
            let Value::Array(positional) = value("args") else { panic!("{one}") };
            let Value::Struct(keywords) = value("kwargs") else { panic!("{one}") };
            let fault = one.get("fault").map(|fault| Fault {
                code: fault["faultCode"].as_i64().unwrap() as i32,
                message: fault["faultString"].as_str().unwrap().to_owned(),
            });
            let args = Args { positional, keywords };
            let answer = fault.map_or_else(|| Ok(value("result")), Err);
            answers.0.insert(key(one["method"].as_str().unwrap(), args), answer);
        }
        answers
    }

    fn set(&mut self, method: &str, args: Args, answer: impl Into<Value>) {
        self.0.insert(key(method, args), Ok(answer.into()));
    }

    fn run(&self, method: &str, params: Vec<Value>) -> Result<Value, Fault> {
        if method == "multiCall" {
            let calls = params[0].as_array().unwrap().iter().map(|call| {
                let params = call.get("params").as_array().unwrap().to_vec();
                match self.run(call.get("methodName").as_str().unwrap(), params) {
                    Ok(value) => list![value],
                    Err(fault) => {
                        map! {"faultCode" => fault.code, "faultString" => fault.message}.into()
                    }
                }
            });
            return Ok(Value::Array(calls.collect()));
        }
        let key = key(method, Args::decode(params));
        self.0
            .get(&key)
            .cloned()
            .unwrap_or_else(|| Err(Fault { code: 7, message: format!("not recorded: {key}") }))
    }

    async fn serve(self) -> Client {
        let answer = |State(answers): State<Arc<Answers>>, body: Bytes| async move {
            let (method, params) = parse_call(&body, &Limits::CALL).unwrap();
            let mut out = Vec::new();
            match answers.run(&method, params) {
                Ok(value) => write_response(&value, &mut out),
                Err(fault) => write_fault(&fault, &mut out),
            }
            Response::new(axum::body::Body::from(out)).into_response()
        };
        let routes = Router::new().route("/kojihub", post(answer)).with_state(Arc::new(self));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/kojihub", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let weburl = Some(story::WEB.to_owned());
        let poll_interval = Duration::from_millis(1);
        Client::new(&url, Options { weburl, poll_interval, ..Options::default() }).unwrap()
    }
}

#[tokio::test]
async fn builds_of_a_koji_hub() {
    story::builds(&Answers::recorded().serve().await).await.unwrap();
}

#[tokio::test]
async fn tasks_of_a_koji_hub() {
    story::tasks(&Answers::recorded().serve().await).await.unwrap();
}

#[tokio::test]
async fn pages_lead_to_objects() {
    story::pages(&Answers::recorded().serve().await).await.unwrap();
}

/// A task as a hub tells of it.
fn told(id: i64, method: &str, state: i64, times: [Option<f64>; 3], request: Value) -> Value {
    let [made, began, ended] = times;
    let info = map! {
        "id" => id, "method" => method, "state" => state, "create_ts" => made, "start_ts" => began, "completion_ts" => ended,
        "request" => request, "arch" => "noarch", "channel_id" => 1, "owner" => 3, "parent" => Value::Nil,
    };
    info.into()
}

#[tokio::test]
async fn estimates() {
    let mut answers = Answers::default();
    answers.set("getPackage", args!("bash"), map! {"id" => 7, "name" => "bash"});
    let build = |id: i64, task: i64, from: f64, to: f64| {
        map! { "build_id" => id, "task_id" => task, "start_ts" => from, "completion_ts" => to, "state" => 1 }
    };
    let last =
        args!(7; "state" => 1, "queryOpts" => map! { "order" => "-completion_time", "limit" => 5 });
    answers.set("listBuilds", last, list![build(1, 10, 0.0, 1000.0), build(2, 20, 0.0, 2000.0)]);
    // Waits 100 and 300 s, builds 600 and 1200 s on the slowest arch, needs 50 and 150 s for the rest.
    for (id, begin, slow, end) in [(10, 100.0, 600.0, 50.0), (20, 300.0, 1200.0, 150.0)] {
        let whole =
            told(id, "build", 2, [Some(0.0), Some(0.0), Some(begin + slow + end)], Value::Nil);
        answers.set("getTaskInfo", args!(id), whole);
        let fast = told(
            id + 1,
            "buildArch",
            2,
            [Some(begin), Some(begin), Some(begin + 10.0)],
            Value::Nil,
        );
        let slow = told(
            id + 2,
            "buildArch",
            2,
            [Some(begin), Some(begin), Some(begin + slow)],
            Value::Nil,
        );
        let srpm =
            told(id + 3, "buildSRPMFromSCM", 2, [Some(0.0), Some(0.0), Some(9999.0)], Value::Nil);
        let mut below = toji_value::Map::new();
        below.insert(id.to_string(), list![srpm, fast, slow]);
        answers.set("getTaskDescendents", args!(id), below);
    }
    answers.set("getAverageBuildDuration", args!("bash"), 1234.5);
    let source =
        list!["git+https://src.example.com/rpms/bash.git#abc", "f43", map! {"scratch" => true}];
    let running =
        told(30, "build", 1, [Some(9000.0), Some(10_000.0), Value::Nil.as_f64()], source.clone());
    answers.set("getTaskInfo", args!(30; "request" => true), running);
    let mut begun = toji_value::Map::new();
    begun.insert(
        "30",
        list![told(31, "buildArch", 1, [Some(10_500.0), Some(10_700.0), None], Value::Nil)],
    );
    answers.set("getTaskDescendents", args!(30; "request" => true), begun);
    let waiting = told(40, "build", 0, [Some(9000.0), None, None], source);
    answers.set("getTaskInfo", args!(40; "request" => true), waiting);
    answers.set("getTaskDescendents", args!(40; "request" => true), map! {"40" => list![]});
    let repos = list![
        told(51, "newRepo", 2, [Some(0.0), Some(0.0), Some(60.0)], Value::Nil),
        told(52, "newRepo", 2, [Some(0.0), Some(0.0), Some(80.0)], Value::Nil)
    ];
    let others = map! {"method" => "newRepo", "state" => list![2], "arch" => list!["noarch"], "decode" => true};
    answers.set(
        "listTasks",
        args!(others, map! { "order" => "-completion_time", "limit" => 5 }),
        repos,
    );
    answers.set(
        "getTaskInfo",
        args!(50; "request" => true),
        told(50, "newRepo", 1, [Some(0.0), Some(100.0), None], list!["f43"]),
    );
    let hub = answers.serve().await;

    let seconds = |s: f64| Some(Duration::from_secs_f64(s));
    assert_eq!(hub.average_build_duration("bash").await.unwrap(), seconds(1234.5));
    assert_eq!(hub.average_build_durations(&["bash"]).await.unwrap(), [seconds(1234.5)]);
    assert_eq!(hub.average_last_builds("bash", 5).await.unwrap(), seconds(1500.0));
    let course = hub.average_course("bash", 5).await.unwrap().unwrap();
    let wanted = Course {
        before: Duration::from_secs(200),
        arch: Duration::from_secs(900),
        after: Duration::from_secs(100),
    };
    assert_eq!(course, wanted);
    let task = hub.task(10).await;
    assert!(task.is_err(), "only what was asked for is answered");

    let now = at(10_800.0);
    let running = hub.task(30).await.unwrap().unwrap();
    assert!(running.is_scratch());
    let estimate = running.estimate(now).await.unwrap().unwrap();
    // The arch began at 10,700: 900 s from then, and 100 s for the rest.
    assert_eq!(estimate.completes, at(11_700.0));
    assert_eq!(
        (estimate.duration, estimate.left(now)),
        (Duration::from_secs(1700), Duration::from_secs(900))
    );
    assert_eq!(running.build_time(now).await.unwrap(), seconds(100.0));
    let waiting = hub.task(40).await.unwrap().unwrap();
    // A host within 45 s, 200 s until the arches begin.
    let estimate = waiting.estimate(now).await.unwrap().unwrap();
    assert_eq!(estimate.left(now), Duration::from_secs(45 + 200 + 900 + 100));
    let repo = hub.task(50).await.unwrap().unwrap();
    assert_eq!(repo.estimate(now).await.unwrap().unwrap().completes, at(170.0));
}

#[tokio::test]
async fn requests_of_every_method() {
    let hub = Answers::default().serve().await;
    let task = |method: &str, request: Value| {
        Task::new(map! {"id" => 1, "method" => method, "request" => request}, &hub)
    };
    let named = map! {"id" => 4, "name" => "f43-build"};
    let git = "git+https://src.example.com/rpms/bash.git#abc";
    let scratch = map! {"scratch" => true};
    let starred = map! {"opts" => scratch.clone(), "__starstar" => true};
    // Method, request; tag, target, package, arches, scratch.
    let cases = [
        (
            "build",
            list![git, "f43", scratch.clone()],
            Value::Nil,
            "f43".into(),
            Some("bash"),
            vec![],
            true,
        ),
        (
            "build",
            list!["cli-build/x/bash-5.3-1.src.rpm", "f43", starred],
            Value::Nil,
            "f43".into(),
            Some("bash"),
            vec![],
            true,
        ),
        (
            "build",
            list![map! {"__method__" => "build", "src" => git, "target" => named.clone()}],
            Value::Nil,
            "f43-build".into(),
            Some("bash"),
            vec![],
            false,
        ),
        (
            "buildArch",
            list!["tasks/1/bash-5.3-1.src.rpm", 4, "ppc64le", true, scratch.clone()],
            4.into(),
            Value::Nil,
            Some("bash"),
            vec!["ppc64le"],
            true,
        ),
        (
            "buildContainer",
            list!["git://src/containers/httpd#1", "c9", map! {}],
            Value::Nil,
            "c9".into(),
            Some("httpd-container"),
            vec![],
            false,
        ),
        (
            "buildMaven",
            list![git, named.clone(), map! {}],
            "f43-build".into(),
            Value::Nil,
            Some("bash"),
            vec![],
            false,
        ),
        (
            "buildSRPMFromSCM",
            list![git, 4, map! {}],
            4.into(),
            Value::Nil,
            Some("bash"),
            vec![],
            false,
        ),
        (
            "buildNotification",
            list![list!["a@b"], map! {"name" => "bash"}, named.clone(), "http://x"],
            Value::Nil,
            "f43-build".into(),
            Some("bash"),
            vec![],
            false,
        ),
        (
            "chainbuild",
            list![list![list![git]], "f43"],
            Value::Nil,
            "f43".into(),
            None,
            vec![],
            false,
        ),
        (
            "createrepo",
            list![7, "s390x", Value::Nil],
            Value::Nil,
            Value::Nil,
            None,
            vec!["s390x"],
            false,
        ),
        (
            "createdistrepo",
            list!["f43", 7, "aarch64", list![], map! {}],
            "f43".into(),
            Value::Nil,
            None,
            vec!["aarch64"],
            false,
        ),
        (
            "distRepo",
            list!["f43", 7, list![], map! {}],
            "f43".into(),
            Value::Nil,
            None,
            vec![],
            false,
        ),
        (
            "image",
            list!["disk", "43", list!["x86_64", "aarch64"], "f43", "http://tree", scratch.clone()],
            Value::Nil,
            "f43".into(),
            Some("disk"),
            vec!["x86_64", "aarch64"],
            true,
        ),
        (
            "createImage",
            list!["disk", "43", "1", "x86_64", named.clone(), 4, map! {}, "http://tree", map! {}],
            4.into(),
            "f43-build".into(),
            Some("disk"),
            vec!["x86_64"],
            false,
        ),
        (
            "indirectionimage",
            list![
                map! {"name" => "disk", "arch" => "x86_64", "target" => "f43", "scratch" => true}
            ],
            Value::Nil,
            "f43".into(),
            Some("disk"),
            vec!["x86_64"],
            true,
        ),
        (
            "livecd",
            list!["cd", "43", "x86_64", "f43", "ks"],
            Value::Nil,
            "f43".into(),
            Some("cd"),
            vec!["x86_64"],
            false,
        ),
        ("newRepo", list!["f43-build"], "f43-build".into(), Value::Nil, None, vec![], false),
        (
            "runroot",
            list!["f43-build", "x86_64", "ls"],
            "f43-build".into(),
            Value::Nil,
            None,
            vec!["x86_64"],
            false,
        ),
        ("tagBuild", list![4, 9, false], 4.into(), Value::Nil, None, vec![], false),
        (
            "tagNotification",
            list![
                list![],
                true,
                named.clone(),
                Value::Nil,
                map! {"name" => "bash", "id" => 9},
                map! {}
            ],
            "f43-build".into(),
            Value::Nil,
            Some("bash"),
            vec![],
            false,
        ),
        ("waitrepo", list!["f43-build", 5], "f43-build".into(), Value::Nil, None, vec![], false),
        (
            "wrapperRPM",
            list![
                git,
                named.clone(),
                map! {"name" => "bash", "build_id" => 9},
                Value::Nil,
                map! {}
            ],
            Value::Nil,
            "f43-build".into(),
            Some("bash"),
            vec![],
            false,
        ),
        (
            "kiwiBuild",
            list!["f43", list!["x86_64"], git, "x.kiwi", map! {}],
            Value::Nil,
            "f43".into(),
            Some("bash"),
            vec!["x86_64"],
            false,
        ),
        ("unheard", list![1, "x"], Value::Nil, Value::Nil, None, vec![], false),
        ("build", Value::Nil, Value::Nil, Value::Nil, None, vec![], false),
        ("build", "no XML".into(), Value::Nil, Value::Nil, None, vec![], false),
    ];
    for (method, request, tag, target, package, arches, is_scratch) in cases {
        let task = task(method, request);
        assert_eq!((task.tag(), task.target()), (tag, target), "{task:?}");
        assert_eq!(task.package().as_deref(), package, "{task:?}");
        assert_eq!(
            (task.arches(), task.is_scratch()),
            (arches.into_iter().map(str::to_owned).collect(), is_scratch),
            "{task:?}"
        );
    }
    // The form in which hubs keep requests, and bodies of messages have them.
    let mut text = Vec::new();
    toji_xmlrpc::write_call("build", &[git.into(), "f43".into()], &mut text);
    let text = String::from_utf8(text).unwrap();
    assert_eq!(task("build", text.into()).target(), "f43".into());
}

#[tokio::test]
async fn task_of_a_container_build() {
    let hub = Answers::default().serve().await;
    let build = |extra: Value| {
        Build::new(map! {"id" => 1, "task_id" => Value::Nil, "extra" => extra}, &hub)
    };
    assert_eq!(build(map! {"container_koji_task_id" => 17}.into()).task_id(), Some(17));
    assert_eq!(build(map! {"container_koji_task_id" => "18"}.into()).task_id(), Some(18));
    assert_eq!(build(Value::Nil).task_id(), None);
}
