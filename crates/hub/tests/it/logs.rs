//! Logs of tasks: those of earlier runs stay, those of ended tasks are compressed.

use base64::Engine as _;
use toji_db::Db;
use toji_hub::gc::{Action, Finding, Notice, Options, Run, Sending, Watch};
use toji_testkit::both_databases;
use toji_value::{Value, list, map};

use super::people::Stage;

struct Nobody;

impl Watch for Nobody {
    fn tell(&self, _: &Finding) {}

    fn post<'a>(&'a self, _: &'a Notice) -> Sending<'a> {
        Box::pin(async { Ok(()) })
    }

    fn stopped(&self) -> bool {
        false
    }
}

/// Has the builder write a log of its task.
async fn write(stage: &Stage, task: i64, name: &str, text: &str) {
    let data = base64::engine::general_purpose::STANDARD.encode(text);
    let args = list![format!("tasks/{task}/{task}"), name, text.len(), Value::Nil, 0, data];
    assert_eq!(stage.ok(&stage.builder, "uploadFile", args).await, Value::Bool(true));
}

async fn text(stage: &Stage, task: i64, name: &str) -> Option<String> {
    let answer = stage.call(&stage.alice, "downloadTaskOutput", list![task, name]).await.ok()?;
    let data = base64::engine::general_purpose::STANDARD.decode(answer.as_str()?).unwrap();
    Some(String::from_utf8(data).unwrap())
}

async fn names(stage: &Stage, task: i64) -> Vec<String> {
    let found = stage.ok(&stage.alice, "listTaskOutput", list![task]).await;
    let mut names: Vec<String> =
        found.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

async fn collect(stage: &Stage, action: Action, dry: bool) -> usize {
    let options = Options { compress_logs: Some(-1000.0), ..Options::default() };
    let run = Run { hub: &stage.world.hub, options: &options, dry, watch: &Nobody };
    run.take(action).await.unwrap()
}

both_databases! {
    async fn a_task_that_begins_anew_keeps_its_logs(db: Db) {
        let stage = Stage::new(db).await;
        let task = stage.open_task("sleep", list![1]).await;
        write(&stage, task, "build.log", "first").await;
        write(&stage, task, "a.rpm", "rpm").await;
        stage.ok(&stage.builder, "host.freeTasks", list![list![task]]).await;
        assert_eq!(text(&stage, task, "build.log").await.as_deref(), Some("first"));
        stage.ok(&stage.builder, "host.openTask", list![task]).await;
        assert_eq!(names(&stage, task).await, ["a.rpm", "build.log.1"]);
        write(&stage, task, "build.log", "second").await;
        // What does not open the task moves nothing.
        assert_eq!(stage.ok(&stage.builder, "host.openTask", list![task]).await, Value::Nil);
        stage.ok(&stage.admin, "freeTask", list![task]).await;
        stage.ok(&stage.admin, "assignTask", list![task, "builder.example.com"]).await;
        assert_eq!(names(&stage, task).await, ["a.rpm", "build.log", "build.log.1"]);
        stage.ok(&stage.builder, "host.openTask", list![task]).await;
        write(&stage, task, "build.log", "third").await;
        for (name, wanted) in [("build.log.1", "first"), ("build.log.2", "second"), ("build.log", "third")] {
            assert_eq!(text(&stage, task, name).await.as_deref(), Some(wanted), "{name}");
        }
    }

    async fn logs_of_ended_tasks_are_compressed(db: Db) {
        let stage = Stage::new(db).await;
        let long = "a line that comes again\n".repeat(5000);
        let (ended, open) = (stage.open_task("sleep", list![1]).await, stage.open_task("sleep", list![2]).await);
        for task in [ended, open] {
            write(&stage, task, "build.log", &long).await;
            write(&stage, task, "not.a-log", &long).await;
        }
        stage.ok(&stage.builder, "host.freeTasks", list![list![ended]]).await;
        stage.ok(&stage.admin, "cancelTask", list![ended]).await;
        let place = |task: i64, name: &str| {
            stage.dir.path().join(format!("work/tasks/{task}/{task}/{name}"))
        };
        let length = |task, name: &str| std::fs::metadata(place(task, name)).unwrap().len();
        assert_eq!(collect(&stage, Action::CompressLogs, true).await, 1);
        assert_eq!(length(ended, "build.log"), long.len() as u64);
        assert_eq!(collect(&stage, Action::CompressLogs, false).await, 1);
        assert!(length(ended, "build.log") < 1000);
        assert_eq!(length(ended, "not.a-log"), long.len() as u64);
        assert_eq!(length(open, "build.log"), long.len() as u64, "its task still runs");
        assert_eq!(text(&stage, ended, "build.log").await.as_deref(), Some(&*long));
        let part = stage.ok(&stage.alice, "downloadTaskOutput", list![ended, "build.log", 7, 4]).await;
        assert_eq!(part, "dGhhdA==".into());
        let tail = stage.ok(&stage.alice, "downloadTaskOutput", list![ended, "build.log", -6]).await;
        assert_eq!(tail, "YWdhaW4K".into());
        let stats = stage.ok_kw(&stage.alice, "listTaskOutput", list![ended], map! { "stat" => true }).await;
        assert_eq!(stats.get("build.log").get("st_size"), &long.len().to_string().into());
        let args = list![format!("tasks/{ended}/{ended}"), "build.log", "md5"];
        let packed = stage.ok(&stage.alice, "checkUpload", args.clone()).await;
        assert_eq!(collect(&stage, Action::CompressLogs, false).await, 0);
        assert_eq!(collect(&stage, Action::ExpandLogs, false).await, 1);
        assert_eq!(std::fs::read_to_string(place(ended, "build.log")).unwrap(), long);
        assert_eq!(stage.ok(&stage.alice, "checkUpload", args).await, packed);
        assert_eq!(packed.get("size"), &Value::Int(long.len() as i64));
    }
}
