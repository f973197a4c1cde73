//! Scripts and programs with their hub, and with their limits.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use toji_plugin::{Error, Event, Host, Kind, Limits, Place, Plugin, load, settings};
use toji_value::{Args, Fault, Value, list, map};

/// A hub that knows one call.
#[derive(Default)]
struct Hub(Vec<String>);

impl Host for Hub {
    async fn call(&mut self, method: &str, args: Args) -> Result<Value, Fault> {
        self.0.push(format!("{method}{}{}", list_text(&args), Value::from(args.keywords).repr()));
        match method {
            "getTag" => Ok(map! { "id" => 7, "extra" => map! { "a" => list![1, 2.5] } }.into()),
            other => Err(Fault::generic(format!("Invalid method: {other}"))),
        }
    }
}

fn list_text(args: &Args) -> String {
    Value::Array(args.positional.clone()).repr()
}

fn limits() -> Limits {
    Limits { time: Duration::from_secs(60), ..Limits::default() }
}

async fn loaded(folder: &Path, name: &str, limits: Limits) -> Result<Plugin, Error> {
    let settings = settings(folder, name)?;
    load(&[folder.to_owned()], name, settings, limits).await
}

async fn script(source: &str) -> Result<Plugin, Error> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("p.rhai"), source).unwrap();
    std::fs::write(folder.path().join("p.conf"), "[a]\nword = hello\n").unwrap();
    loaded(folder.path(), "p", Limits { operations: 100_000, ..limits() }).await
}

async fn program(folder: &Path, body: &str, limits: Limits) -> Result<Plugin, Error> {
    let file = folder.join("p");
    std::fs::write(&file, format!("#!/usr/bin/env python3\nimport json, sys\n{PYTHON}{body}"))
        .unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    loaded(folder, "p", limits).await
}

const PYTHON: &str = r#"
def read():
    return json.loads(sys.stdin.readline())
def write(message):
    print(json.dumps(message), flush=True)
"#;

fn event(kind: Kind, name: &str, args: Vec<Value>) -> Event {
    Event { kind, name: name.to_owned(), args }
}

fn called(args: Vec<Value>) -> Event {
    event(Kind::Call, "hello", args)
}

#[tokio::test]
async fn a_script_registers_and_answers() {
    let plugin = script(
        r#"
        callback("preTag", Fn("check"), #{ ignore_error: true });
        rpc("hello", Fn("greet"), #{ params: ["name", ["times", 2]], access: "admin", doc: "Greets." });
        policy_test("odd", |words, data| data.n % 2 == 1, #{ policies: ["tag"] });
        task("count", Fn("work"));
        command("greet", Fn("work"), #{ help: "Greets." });
        fn check(name, args) { if args.tag.name == "bad" { throw "no " + name } }
        fn greet(name, times) {
            let tag = hub("getTag", [name], #{ strict: true });
            settings().a.word + " " + name + " " + times + " " + tag.extra.a[1]
        }
        fn work(words) { words.len() }
        "#,
    )
    .await
    .unwrap();
    assert!(plugin.manifest.callback("preTag").unwrap().ignore_error);
    assert_eq!(plugin.manifest.calls[0].access, "admin");
    assert_eq!(plugin.manifest.calls[0].params[1].default, Some(Value::Int(2)));
    assert_eq!(plugin.manifest.tests[0].policies, ["tag"]);
    assert_eq!(
        (&*plugin.manifest.tasks[0].name, &*plugin.manifest.commands[0].help),
        ("count", "Greets.")
    );
    let mut hub = Hub::default();
    let answer = plugin.run(called(vec!["x".into(), 3.into()]), &mut hub).await.unwrap();
    assert_eq!(answer, Value::from("hello x 3 2.5"));
    assert_eq!(hub.0, ["getTag['x']{'strict': True}"]);
    let bad = map! { "tag" => map! { "name" => "bad" } };
    let veto = event(Kind::Callback, "preTag", vec!["preTag".into(), bad.into()]);
    let error = plugin.run(veto, &mut hub).await.unwrap_err();
    assert!(matches!(&error, Error::Failed(text) if text == "no preTag"), "{error}");
    let test = event(Kind::Test, "odd", vec![list![], map! { "n" => 3 }.into()]);
    assert_eq!(plugin.run(test, &mut hub).await.unwrap(), Value::Bool(true));
}

#[tokio::test]
async fn faults_pass_through_a_script() {
    let plugin = script(
        r#"
        rpc("hello", |how| {
            if how == "own" { throw #{ code: 1004, message: "not you" } }
            if how == "caught" { try { hub("nothing", []) } catch (e) { return e.message } }
            hub("nothing", [how])
        }, #{ params: ["how"] });
        "#,
    )
    .await
    .unwrap();
    let mut hub = Hub::default();
    let fault = plugin.run(called(vec!["own".into()]), &mut hub).await.unwrap_err().into_fault();
    assert_eq!((fault.code, &*fault.message), (1004, "not you"));
    let fault = plugin.run(called(vec!["hub".into()]), &mut hub).await.unwrap_err().into_fault();
    assert_eq!((fault.code, &*fault.message), (1000, "Invalid method: nothing"));
    let text = plugin.run(called(vec!["caught".into()]), &mut hub).await.unwrap();
    assert_eq!(text, Value::from("Invalid method: nothing"));
}

#[tokio::test]
async fn scripts_keep_within_limits() {
    for (body, want) in [
        ("loop { }", "Too many operations"),
        ("let s = \"x\"; loop { s += s }", "Length of string too large"),
        ("let a = [1]; loop { a += a }", "Size of array"),
        ("deep(0)", "Stack overflow"),
    ] {
        let source =
            "rpc(\"hello\", Fn(\"start\")); fn deep(n) { deep(n + 1) } fn start() { BODY }";
        let plugin = script(&source.replace("BODY", body)).await.unwrap();
        let error = plugin.run(called(vec![]), &mut Hub::default()).await.unwrap_err();
        assert!(matches!(&error, Error::Limit(text) if text.contains(want)), "{body}: {error:?}");
    }
    for source in [
        "eval(\"1\")",
        "import \"x\" as x;",
        "loop { }",
        "let x = ;",
        "callback(\"preX\", |a, b| 1)",
    ] {
        assert!(script(source).await.is_err(), "{source}");
    }
}

#[tokio::test]
async fn a_slow_script_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("p.rhai"), "rpc(\"hello\", || loop { });").unwrap();
    let limits = Limits { time: Duration::from_millis(50), operations: u64::MAX, ..limits() };
    let plugin = loaded(folder.path(), "p", limits).await.unwrap();
    let error = plugin.run(called(vec![]), &mut Hub::default()).await.unwrap_err();
    assert!(matches!(error, Error::TooSlow(_)), "{error:?}");
}

#[tokio::test]
async fn a_program_answers_and_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("p.conf"), "[a]\nword = hello\n").unwrap();
    let body = r#"
import os
hello = read()["hello"]
write({"manifest": {"calls": [{"name": "hello", "params": ["x"]}], "callbacks": ["postTag"]}})
while True:
    event = read()["event"]
    if event["kind"] == "callback":
        write({"error": "no"})
    elif event["args"] == ["fault"]:
        write({"call": {"method": "nothing"}})
        write(read())
    else:
        write({"call": {"method": "getTag", "args": event["args"], "keywords": {"strict": True}}})
        tag = read()["result"]
        write({"done": [hello["settings"]["a"]["word"], tag["extra"]["a"], os.getpid()]})
"#;
    let plugin = program(folder.path(), body, limits()).await.unwrap();
    let mut hub = Hub::default();
    let first = plugin.run(called(vec!["x".into()]), &mut hub).await.unwrap();
    assert_eq!(first.as_array().unwrap()[..2], [Value::from("hello"), list![1, 2.5]]);
    let fault = plugin.run(called(vec!["fault".into()]), &mut hub).await.unwrap_err().into_fault();
    assert_eq!((fault.code, &*fault.message), (1000, "Invalid method: nothing"));
    let error = plugin.run(event(Kind::Callback, "postTag", vec![]), &mut hub).await.unwrap_err();
    assert!(matches!(&error, Error::Failed(text) if text == "no"), "{error:?}");
    let again = plugin.run(called(vec!["x".into()]), &mut hub).await.unwrap();
    assert_eq!(again, first, "the same process");
    assert_eq!(hub.0.len(), 3);
}

#[tokio::test]
async fn a_program_that_misbehaves_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let body = r#"
read()
write({"manifest": {"calls": [{"name": "hello", "params": ["how"]}]}})
while True:
    how = read()["event"]["args"][0]
    if how == "end":
        sys.exit(3)
    elif how == "noise":
        print("noise", flush=True)
    elif how == "long":
        print("x" * 100000, flush=True)
    elif how == "memory":
        try:
            bytearray(3 << 30)
            write({"done": "had it"})
        except MemoryError:
            write({"error": "MemoryError"})
    elif how == "slow":
        sys.stdin.readline()
    else:
        write({"done": how})
"#;
    let limits = Limits { message: 1000, time: Duration::from_secs(5), ..limits() };
    let plugin = program(folder.path(), body, limits).await.unwrap();
    for (how, want) in [
        ("end", "the program ended"),
        ("noise", "a message is not JSON"),
        ("long", "a message is longer than 1000 bytes"),
        ("memory", "MemoryError"),
        ("slow", "took longer than"),
    ] {
        let mut hub = Hub::default();
        let error = plugin.run(called(vec![how.into()]), &mut hub).await.unwrap_err();
        assert!(error.to_string().contains(want), "{how}: {error}");
        let fine = plugin.run(called(vec!["fine".into()]), &mut hub).await.unwrap();
        assert_eq!(fine, Value::from("fine"), "after {how}");
    }
}

#[tokio::test]
async fn a_task_that_takes_too_long_is_ended_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    // What the program starts holds the lock, too.
    let body = r#"
import fcntl, subprocess
read()
write({"manifest": {"tasks": [{"name": "spin"}]}})
print("spinning", *read()["event"]["args"][1], file=sys.stderr, flush=True)
held = open("lock", "w")
fcntl.flock(held, fcntl.LOCK_EX)
none = subprocess.DEVNULL
subprocess.Popen(["sleep", "1000"], pass_fds=[held.fileno()], stdin=none, stdout=none, stderr=none).wait()
"#;
    let limits = Limits::for_tasks(Duration::from_secs(5));
    let plugin = program(folder.path(), body, limits).await.unwrap();
    let (dir, log) = (folder.path().join("task"), folder.path().join("spin.log"));
    std::fs::create_dir(&dir).unwrap();
    let place = Place { dir: dir.clone(), log: std::fs::File::create(&log).unwrap() };
    let args = vec![7.into(), list!["a", "b"], map! {}.into()];
    let done = plugin.run_at(event(Kind::Task, "spin", args), &mut Hub::default(), place).await;
    assert!(matches!(done, Err(Error::TooSlow(_))), "{done:?}");
    assert_eq!(std::fs::read_to_string(log).unwrap(), "spinning a b\n");
    let lock = std::fs::File::open(dir.join("lock")).unwrap();
    let free = tokio::task::spawn_blocking(move || lock.lock());
    let free = tokio::time::timeout(Duration::from_secs(60), free).await;
    free.expect("what the program started still runs").unwrap().unwrap();
}

#[tokio::test]
async fn what_cannot_be_loaded_says_why() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("old.py"), "").unwrap();
    std::fs::write(folder.path().join("text"), "").unwrap();
    for (name, want) in [
        ("none", "not found"),
        ("old", "is a Python module for Koji's hub"),
        ("text", "not found"),
        ("../old", "not found"),
    ] {
        let error = loaded(folder.path(), name, limits()).await.unwrap_err();
        assert!(error.to_string().contains(want), "{name}: {error}");
    }
    let error = program(folder.path(), "write({\"no\": 1})\n", limits()).await.unwrap_err();
    assert!(error.to_string().contains("did not tell its manifest"), "{error}");
}
