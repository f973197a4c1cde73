//! Who is told of builds that ended, and by which tasks.

use toji_db::Db;
use toji_testkit::both_databases;
use toji_types::BuildState;
use toji_value::{Value, list, map};

use super::people::Stage;

/// A build of alice's in a target, in progress.
struct Running {
    stage: Stage,
    task: i64,
    build: i64,
}

impl Running {
    async fn new(db: Db, change: impl FnOnce(&mut toji_hub::Config)) -> Running {
        let stage = Stage::with(db, change).await;
        let tag = stage.world.tag("f40", &[]).await;
        stage.world.target("f40-candidate", tag).await;
        stage.ok(&stage.admin, "packageListAdd", list!["f40", "hello", "alice"]).await;
        let args = list!["hello.src.rpm", "f40-candidate", map! {}];
        let task = stage.open_task("build", args).await;
        let alice = stage.world.id("users", "alice").await;
        stage.world.set("UPDATE task SET owner = $1", &[alice.into()]).await;
        let data = map! {
            "task_id" => task, "name" => "hello", "version" => "1", "release" => "1",
            "epoch" => Value::Nil,
        };
        let build = stage.ok(&stage.builder, "host.initBuild", list![data]).await;
        Running { stage, task, build: build.as_int().unwrap() }
    }

    /// The arguments of the messages that were submitted, with their owners' names.
    async fn told(&self) -> Vec<(String, Value)> {
        let query = map! { "method" => "buildNotification", "decode" => true };
        let order = map! { "order" => "id" };
        let tasks = self.stage.ok(&self.stage.admin, "listTasks", list![query, order]).await;
        let mut found = Vec::new();
        for task in tasks.as_array().unwrap() {
            let owner = self.stage.ok(&self.stage.admin, "getUser", list![task.get("owner")]).await;
            found.push((owner.get("name").display(), task.get("request").clone()));
        }
        found
    }
}

both_databases! {
    async fn the_end_of_a_build_is_told_once(db: Db) {
        let running = Running::new(db, |config| config.email_domain = "example.org".into()).await;
        let stage = &running.stage;
        let subscribe = list!["alice", Value::Nil, Value::Nil, false];
        stage.ok(&stage.alice, "createNotification", subscribe).await;
        stage.ok(&stage.admin, "createNotification", list!["root", "hello", "f40", false]).await;
        // somebody who wants to hear of successes only, and somebody without interest
        stage.ok(&stage.admin, "createNotification", list!["kojira", "hello", "f40", true]).await;
        stage.ok(&stage.builder, "host.failBuild", list![running.task, running.build]).await;
        let told = running.told().await;
        assert_eq!(told.len(), 1);
        let (owner, request) = &told[0];
        assert_eq!(owner, "builder.example.com");
        let [addresses, build, target, web] = request.as_array().unwrap() else { panic!("{request:?}") };
        assert_eq!(addresses, &list!["alice@example.org", "root@example.org"]);
        assert_eq!(build.get("nvr"), &"hello-1-1".into());
        assert_eq!(build.get("state"), &BuildState::Failed.number().into());
        assert_eq!(target.get("dest_tag_name"), &"f40".into());
        assert!(web.as_str().unwrap().starts_with("http"));
    }

    async fn who_cancels_owns_the_message(db: Db) {
        let running = Running::new(db, |_| {}).await;
        let stage = &running.stage;
        stage.ok(&stage.admin, "cancelTask", list![running.task]).await;
        let told = running.told().await;
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].0, "root");
        let build = &told[0].1.as_array().unwrap()[1];
        assert_eq!(build.get("state"), &BuildState::Canceled.number().into());
    }

    async fn a_block_silences(db: Db) {
        let running = Running::new(db, |_| {}).await;
        let stage = &running.stage;
        stage.ok(&stage.alice, "createNotificationBlock", list!["alice", "hello"]).await;
        stage.ok(&stage.builder, "host.failBuild", list![running.task, running.build]).await;
        assert!(running.told().await.is_empty());
    }

    async fn messages_can_be_turned_off(db: Db) {
        let running = Running::new(db, |config| config.disable_notifications = true).await;
        let stage = &running.stage;
        stage.ok(&stage.builder, "host.failBuild", list![running.task, running.build]).await;
        assert!(running.told().await.is_empty());
    }
}
