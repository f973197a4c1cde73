//! The scheduler on a database: what it reads, what it writes, whom it wakes.

use std::time::Duration;

use toji_bus::Topic;
use toji_db::{Db, Param};
use toji_hub::scheduler::{run_once, serve};
use toji_hub::task::make::{Options, make};
use toji_sched::WaitReason;
use toji_testkit::both_databases;
use toji_types::{TaskId, TaskState};
use toji_value::{Map, Value, list, map};

use super::world::World;

async fn state(world: &World, task: i64) -> (i64, Value) {
    let state = world.get("SELECT state FROM task WHERE id = $1", &[task.into()]).await;
    let host = world.get("SELECT host_id FROM task WHERE id = $1", &[task.into()]).await;
    (state.as_int().unwrap(), host)
}

async fn log(world: &World, task: i64) -> Vec<String> {
    let args = map! { "clauses" => list![list!["task_id", task]] };
    let rows = world.rpc("scheduler.getLogMessages", vec![], args).await.unwrap();
    rows.as_array().unwrap().iter().map(|row| row.get("msg").display()).collect()
}

async fn assigned_to(world: &World, task: i64, host: i64) -> bool {
    state(world, task).await == (TaskState::Assigned as i64, Value::Int(host))
}

both_databases! {
    async fn assigns_and_says_why_others_wait(db: Db) {
        let world = World::new(db, |_| {}).await;
        let host = world.host("builder").await;
        let late = world.task("default", "noarch", 20).await;
        let first = world.task("default", "i386", 10).await;
        let other = world.task("default", "s390x", 20).await;
        let maven = world.task("createrepo", "noarch", 20).await;
        let mut report = run_once(&world.hub, false).await.unwrap();
        assert_eq!((report.assigned, report.freed), (2, 0));
        report.waiting.sort();
        assert_eq!(report.waiting, [
            (TaskId(other), WaitReason::NoHostWithArch),
            (TaskId(maven), WaitReason::NoHostInChannel),
        ]);
        assert!(assigned_to(&world, first, host).await && assigned_to(&world, late, host).await);
        assert_eq!(log(&world, first).await, ["Assigning task"]);
        let args = map! { "fields" => list!["task_id", "host_name", "active", "state"] };
        let runs = world.rpc("scheduler.getTaskRuns", vec![], args).await.unwrap();
        let run = |task: i64| map! {
            "task_id" => task, "host_name" => "builder", "active" => true, "state" => 4,
        };
        assert_eq!(runs, list![run(late), run(first)]);
        // nothing more to do, and so nothing is written
        let before = world.get("SELECT data FROM scheduler_sys_data", &[]).await;
        let again = run_once(&world.hub, false).await.unwrap();
        assert!(!again.acted());
        assert_eq!(world.get("SELECT data FROM scheduler_sys_data", &[]).await, before);
    }

    async fn wakes_the_host_and_serves_signals(db: Db) {
        let world = World::new(db, |_| {}).await;
        let host = world.host("builder").await;
        let mut woken = world.hub.bus.listen(Topic::Host(host));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = tokio::spawn(serve(world.hub.clone(), async { stopped.await.unwrap_or(()) }));
        for _ in 0..3 {
            let task = world.task("default", "x86_64", 20).await;
            let wait = tokio::time::timeout(Duration::from_secs(20), async {
                while !assigned_to(&world, task, host).await {
                    woken.wait().await;
                }
            });
            wait.await.expect("the task is assigned by a signal");
            let done = [Param::Int(TaskState::Closed as i64), task.into()];
            let mut call = world.call().await;
            call.tx.execute("UPDATE task SET state = $1 WHERE id = $2", &done).await.unwrap();
            call.emit("task.state", &format!("task:{task}"), Map::new());
            call.commit().await.unwrap();
        }
        stop.send(()).unwrap();
        server.await.unwrap();
    }

    async fn an_unopened_task_goes_to_another_host(db: Db) {
        let world = World::new(db, |_| {}).await;
        let slow = world.host("slow").await;
        let task = world.task("default", "noarch", 20).await;
        run_once(&world.hub, false).await.unwrap();
        assert!(assigned_to(&world, task, slow).await);
        let quick = world.host("quick").await;
        world.set("UPDATE scheduler_task_runs SET create_time = toji_ago(301.0)", &[]).await;
        assert_eq!(run_once(&world.hub, false).await.unwrap().freed, 1);
        assert_eq!(state(&world, task).await, (TaskState::Free as i64, Value::Nil));
        run_once(&world.hub, false).await.unwrap();
        assert!(assigned_to(&world, task, quick).await);
        assert_eq!(log(&world, task).await, [
            "Assigning task",
            "Host refused task: assignment timeout",
            "Task assignment timeout",
            "Assigning task",
        ]);
        let refusals = world.rpc("scheduler.getTaskRefusals", vec![], Map::new()).await.unwrap();
        let refusal = &refusals.as_array().unwrap()[0];
        assert_eq!(refusal.get("host_id"), &Value::Int(slow));
        assert_eq!(refusal.get("soft"), &Value::Bool(true));
        // it lapses
        world.set("UPDATE scheduler_task_refusals SET time = toji_ago(901.0)", &[]).await;
        run_once(&world.hub, true).await.unwrap();
        let refusals = world.rpc("scheduler.getTaskRefusals", vec![], Map::new()).await.unwrap();
        assert_eq!(refusals, list![]);
    }

    async fn a_silent_host_loses_its_tasks(db: Db) {
        let world = World::new(db, |_| {}).await;
        let host = world.host("builder").await;
        let task = world.task("default", "noarch", 20).await;
        run_once(&world.hub, false).await.unwrap();
        world.set("UPDATE task SET state = 1 WHERE id = $1", &[task.into()]).await;
        world.set("UPDATE host SET update_time = toji_ago(200.0)", &[]).await;
        let report = run_once(&world.hub, false).await.unwrap();
        assert_eq!((report.silent, report.freed), (1, 0));
        let ready = world.get("SELECT ready FROM host WHERE id = $1", &[host.into()]).await;
        assert_eq!(ready, Value::Bool(false));
        world.set("UPDATE host SET update_time = toji_ago(901.0)", &[]).await;
        assert_eq!(run_once(&world.hub, false).await.unwrap().freed, 1);
        assert_eq!(log(&world, task).await[1..], ["Freeing task from unresponsive host"]);
    }

    async fn runs_of_ended_tasks_end(db: Db) {
        let world = World::new(db, |_| {}).await;
        world.host("builder").await;
        let task = world.task("default", "noarch", 20).await;
        run_once(&world.hub, false).await.unwrap();
        world.set("UPDATE task SET state = 2 WHERE id = $1", &[task.into()]).await;
        run_once(&world.hub, true).await.unwrap();
        let args = map! { "clauses" => list![list!["active", true]], "opts" => map! { "countOnly" => true } };
        assert_eq!(world.rpc("scheduler.getTaskRuns", vec![], args).await.unwrap(), Value::Int(0));
    }

    async fn numbers_in_quotes_select_like_numbers(db: Db) {
        let world = World::new(db, |_| {}).await;
        let host = world.host("7").await;
        let task = world.task("default", "noarch", 20).await;
        run_once(&world.hub, false).await.unwrap();
        for clause in [
            list!["host_id", host.to_string()],
            list!["task_id", list![task.to_string(), "0"]],
            list!["host_name", "7"],
        ] {
            let args = map! { "clauses" => list![clause], "fields" => list!["task_id"] };
            let found = world.rpc("scheduler.getTaskRuns", vec![], args).await.unwrap();
            assert_eq!(found, list![map! { "task_id" => task }]);
        }
    }

    async fn composed_queries_are_checked(db: Db) {
        let world = World::new(db, |_| {}).await;
        for (clauses, want) in [
            (list![list!["bogus", "=", 1]], "Invalid field for query bogus"),
            (list![list!["id", "bogus", 1]], "Invalid operator: BOGUS"),
            (list![list!["id; DROP TABLE task", 1]], "Invalid field for query id; DROP TABLE task"),
            (Value::from("x"), "Invalid clause: x"),
            (list![list!["id"]], "Invalid clause: ['id']"),
        ] {
            let args = map! { "clauses" => clauses };
            let fault = world.rpc("scheduler.getTaskRuns", vec![], args).await.unwrap_err();
            assert_eq!((fault.code, fault.message.as_str()), (1019, want));
        }
        let fault = world.rpc("scheduler.doRun", vec![], Map::new()).await.unwrap_err();
        assert_eq!(fault.message, "admin permission required (user not logged in)");
    }

    async fn hosts_without_an_arch_of_the_build_tag_are_left_out(db: Db) {
        let world = World::new(db, |_| {}).await;
        let fit = world.host("fit").await;
        let unfit = world.host("unfit").await;
        let arches = [Param::from("s390x"), unfit.into()];
        world.set("UPDATE host_config SET arches = $1 WHERE host_id = $2", &arches).await;
        let parent = world.tag("parent", &[]).await;
        let tag = world.tag("build", &[parent]).await;
        world.set("UPDATE tag_config SET arches = NULL WHERE tag_id = $1", &[tag.into()]).await;
        let mut call = world.call().await;
        let options = Options { owner: Some(world.user), ..Options::default() };
        let args = vec!["git://x".into(), "build".into(), map! {}.into()];
        let task = make(&mut call, "buildSRPMFromSCM", args, options.clone()).await.unwrap();
        let args = vec!["git://x".into(), "nowhere".into(), map! {}.into()];
        let lost = make(&mut call, "buildSRPMFromSCM", args, options).await.unwrap();
        call.commit().await.unwrap();
        let refusals = world.rpc("scheduler.getTaskRefusals", vec![], map! { "fields" => list!["task_id", "host_id", "soft", "msg"] });
        assert_eq!(refusals.await.unwrap(), list![map! {
            "task_id" => task, "host_id" => unfit, "soft" => false, "msg" => "automatic arch refusal",
        }]);
        run_once(&world.hub, false).await.unwrap();
        assert!(assigned_to(&world, task, fit).await);
        assert!(assigned_to(&world, lost, unfit).await);
    }

    async fn two_hubs_never_fill_a_host_twice(db: Db) {
        let world = World::new(db, |_| {}).await;
        for name in ["a", "b", "c"] {
            world.host(name).await;
        }
        for _ in 0..40 {
            world.task("default", "noarch", 20).await;
        }
        // two loops on one database, as two hubs have; signals reach both
        let stop = tokio_util::sync::CancellationToken::new();
        let loops: Vec<_> = (0..2)
            .map(|_| tokio::spawn(serve(world.hub.clone(), stop.clone().cancelled_owned())))
            .collect();
        let mut woken = world.hub.bus.listen(Topic::Outbox);
        let wait = tokio::time::timeout(Duration::from_secs(20), async {
            while world.get("SELECT count(*) FROM task WHERE state = 4", &[]).await != Value::Int(6) {
                woken.wait().await;
            }
        });
        wait.await.expect("all that fits is assigned");
        stop.cancel();
        for one in loops {
            one.await.unwrap();
        }
        run_once(&world.hub, false).await.unwrap();
        let most = "SELECT max(n) FROM (SELECT count(*) AS n FROM task WHERE state = 4 GROUP BY host_id) AS hosts";
        assert_eq!(world.get(most, &[]).await, Value::Int(2));
        assert_eq!(world.get("SELECT count(*) FROM scheduler_task_runs", &[]).await, Value::Int(6));
    }

    async fn explains_a_waiting_task_host_by_host(db: Db) {
        let world = World::new(db, |_| {}).await;
        let host = world.host("builder").await;
        let ahead = world.task("default", "s390x", 20).await;
        let task = world.task("default", "s390x", 20).await;
        let told = world.rpc("scheduler.explain", vec![task.into()], Map::new()).await.unwrap();
        assert_eq!(told.get("reason"), &Value::from("no enabled host of the channel has the arch"));
        assert_eq!((told.get("position"), told.get("queue")), (&Value::Int(2), &Value::Int(2)));
        let own = map! { "id" => host, "name" => "builder", "reason" => "does not have the arch" };
        assert_eq!(told.get("hosts"), &list![own]);
        let missing = world.rpc("scheduler.explain", vec![Value::Int(9999)], Map::new()).await;
        assert_eq!(missing.unwrap_err().message, "No such task: 9999");
        let _ = ahead;
    }

    async fn forecasts_what_more_hosts_would_do(db: Db) {
        let world = World::new(db, |_| {}).await;
        for _ in 0..3 {
            world.task("default", "s390x", 20).await;
        }
        let more = list![map! { "arches" => "s390x", "count" => 2 }];
        let told = world.rpc("scheduler.forecast", vec![more], Map::new()).await.unwrap();
        let count = |assigned: i64, waiting: i64| map! { "assigned" => assigned, "waiting" => waiting };
        assert_eq!(told, list![map! {
            "channel" => "default", "arch" => "s390x", "now" => count(0, 3), "then" => count(3, 0),
        }]);
        let wrong = list![map! { "arches" => "s390x", "channels" => "nowhere" }];
        let refused = world.rpc("scheduler.forecast", vec![wrong], Map::new()).await.unwrap_err();
        assert_eq!(refused.message, "No such channel: nowhere");
        let state = world.get("SELECT count(*) FROM host", &[]).await;
        assert_eq!(state, Value::Int(0), "a forecast changes nothing");
    }
}
