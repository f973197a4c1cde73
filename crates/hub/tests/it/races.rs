//! Races that other build farms had to fix, each as a test with its name.

use std::time::Duration;

use toji_bus::Topic;
use toji_db::{Db, Param};
use toji_hub::scheduler::run_once;
use toji_hub::{Request, relay};
use toji_testkit::both_databases;
use toji_types::TaskState;
use toji_value::{Value, list, map};

use super::people::{Stage, login};

/// How often a race is run.
const TIMES: usize = 25;

async fn second_builder(stage: &Stage) -> (i64, Request) {
    let host = stage.world.host("second.example.com").await;
    let mut call = stage.world.call().await;
    toji_db::setup::set_password(&mut call.tx, "second.example.com", "secret").await.unwrap();
    call.commit().await.unwrap();
    let request = login(&stage.world, "second.example.com").await;
    stage.ok(&request, "exclusiveSession", list![]).await;
    (host, request)
}

async fn state(stage: &Stage, task: i64) -> (i64, Value) {
    let info = stage.ok(&stage.admin, "getTaskInfo", list![task]).await;
    (info.get("state").as_int().unwrap(), info.get("host_id").clone())
}

/// How often the outbox tells that a task has ended.
async fn endings(stage: &Stage, task: i64) -> usize {
    let events = relay::read(&stage.world.hub, 0).await.unwrap();
    let ended = |body: &str| {
        ["CLOSED", "FAILED", "CANCELED"].iter().any(|s| body.contains(&format!("\"new\":\"{s}\"")))
    };
    let key = format!("task:{task}");
    events.iter().filter(|e| *e.key == *key && ended(&e.body.replace(": ", ":"))).count()
}

async fn assign(stage: &Stage, task: i64, host: i64) {
    let sql = "UPDATE task SET state = 4, host_id = $2 WHERE id = $1";
    stage.world.set(sql, &[task.into(), host.into()]).await;
}

both_databases! {
    async fn only_the_owning_builder_may_finalise_a_task(db: Db) {
        let stage = Stage::new(db).await;
        let (second, other) = second_builder(&stage).await;
        let task = stage.open_task("sleep", list![1]).await;
        for method in ["host.closeTask", "host.failTask"] {
            let refused = stage.refused(&other, method, list![task, "x"]).await;
            assert_eq!(refused, format!("host {second} does not own task {task}"));
        }
        stage.ok(&stage.builder, "host.closeTask", list![task, "x"]).await;
        for method in ["host.closeTask", "host.failTask"] {
            let refused = stage.refused(&stage.builder, method, list![task, "x"]).await;
            assert_eq!(refused, format!("host {} does not own task {task}", stage.host));
        }
        assert_eq!(endings(&stage, task).await, 1);
    }

    async fn a_result_is_atomic_against_a_new_dispatch(db: Db) {
        let stage = Stage::new(db).await;
        let (second, other) = second_builder(&stage).await;
        let (mut won, mut lost) = (0, 0);
        for n in 0..TIMES {
            let task = stage.open_task("sleep", list![1]).await;
            let method = if n % 2 == 0 { "host.closeTask" } else { "host.failTask" };
            let (report, freed) = tokio::join!(
                stage.call(&stage.builder, method, list![task, "x"]),
                stage.call(&stage.admin, "freeTask", list![task]),
            );
            let (now, _) = state(&stage, task).await;
            if report.is_ok() {
                won += 1;
                assert!(now == TaskState::Closed as i64 || now == TaskState::Failed as i64);
                assert!(freed.is_err(), "an ended task was freed");
            } else {
                lost += 1;
                freed.unwrap();
                assert_eq!(now, TaskState::Free as i64);
                // The next holder's result counts, the first one's does not.
                assign(&stage, task, second).await;
                stage.ok(&other, "host.openTask", list![task]).await;
                stage.refused(&stage.builder, method, list![task, "late"]).await;
                stage.ok(&other, "host.closeTask", list![task, "x"]).await;
            }
            assert_eq!(endings(&stage, task).await, 1);
        }
        assert_eq!(won + lost, TIMES);
    }

    async fn no_wake_up_is_lost_when_dependencies_are_attached(db: Db) {
        let stage = Stage::new(db).await;
        let (second, other) = second_builder(&stage).await;
        for _ in 0..TIMES {
            let parent = stage.open_task("dependantTask", list![list![], list![]]).await;
            let child = stage.ok(&stage.builder, "host.subtask", list!["sleep", list![1], parent]).await;
            assign(&stage, child.as_int().unwrap(), second).await;
            stage.ok(&other, "host.openTask", list![child.clone()]).await;
            let mut woken = stage.world.hub.bus.listen(Topic::Host(stage.host));
            let (waits, closed) = tokio::join!(
                stage.call(&stage.builder, "host.taskSetWait", list![parent, list![child.clone()]]),
                stage.call(&other, "host.closeTask", list![child.clone(), "x"]),
            );
            waits.unwrap();
            closed.unwrap();
            // Whichever came first: the host is woken, and sees then that the parent may go on.
            let seen = tokio::time::timeout(Duration::from_secs(20), async {
                loop {
                    let mut tx = stage.world.hub.db.begin();
                    let work = toji_db::host_work::of_host(&mut tx, stage.host).await.unwrap();
                    drop(tx);
                    if work.iter().any(|w| w.task_id == parent && w.woken) {
                        return;
                    }
                    woken.wait().await;
                }
            });
            seen.await.expect("a wake-up was lost");
            let answer = stage.ok(&stage.builder, "host.taskWait", list![parent]).await;
            assert_eq!(answer, list![list![child], list![]]);
            stage.ok(&stage.builder, "host.closeTask", list![parent, "x"]).await;
        }
    }

    async fn orphaned_tasks_are_freed_when_a_machine_vanishes(db: Db) {
        let stage = Stage::new(db).await;
        let opened = stage.open_task("sleep", list![1]).await;
        stage.world.set("UPDATE host SET update_time = toji_ago(100000.0)", &[]).await;
        for _ in 0..3 {
            run_once(&stage.world.hub, true).await.unwrap();
        }
        assert_eq!(state(&stage, opened).await, (TaskState::Free as i64, Value::Nil));
        assert_eq!(endings(&stage, opened).await, 0);
    }

    async fn work_of_a_removed_machine_is_freed_and_not_failed(db: Db) {
        let stage = Stage::new(db).await;
        let (second, other) = second_builder(&stage).await;
        let task = stage.open_task("sleep", list![1]).await;
        stage.ok(&stage.admin, "disableHost", list!["builder.example.com"]).await;
        stage.world.set("UPDATE host SET update_time = toji_ago(100000.0) WHERE id = $1", &[stage.host.into()]).await;
        for _ in 0..3 {
            run_once(&stage.world.hub, true).await.unwrap();
        }
        assert_eq!(state(&stage, task).await, (TaskState::Assigned as i64, Value::Int(second)));
        stage.ok(&other, "host.openTask", list![task]).await;
        stage.ok(&other, "host.closeTask", list![task, "x"]).await;
        assert_eq!(endings(&stage, task).await, 1);
    }

    async fn stale_reports_are_rejected(db: Db) {
        let stage = Stage::new(db).await;
        let task = stage.open_task("sleep", list![1]).await;
        stage.ok(&stage.admin, "freeTask", list![task]).await;
        // It is to run on the same host again, which has not begun yet.
        assign(&stage, task, stage.host).await;
        let before = state(&stage, task).await;
        for (method, args) in [
            ("host.closeTask", list![task, "late"]),
            ("host.failTask", list![task, "late"]),
            ("host.setTaskWeight", list![task, 3.0]),
            ("host.subtask", list!["sleep", list![1], task]),
            ("host.taskSetWait", list![task, Value::Nil]),
        ] {
            let refused = stage.refused(&stage.builder, method, args).await;
            assert_eq!(refused, format!("host {} does not own task {task}", stage.host), "{method}");
        }
        assert_eq!(state(&stage, task).await, before);
        // A session that another one has replaced says nothing any more.
        let newer = login(&stage.world, "builder.example.com").await;
        stage.ok(&newer, "exclusiveSession", list![true]).await;
        stage.ok(&newer, "host.openTask", list![task]).await;
        assert!(stage.call(&stage.builder, "host.closeTask", list![task, "late"]).await.is_err());
        assert_eq!(state(&stage, task).await.0, TaskState::Open as i64);
    }

    async fn rows_are_locked_in_one_order_and_deadlocks_are_repeated(db: Db) {
        let stage = Stage::new(db).await;
        for _ in 0..TIMES {
            let parent = stage.open_task("dependantTask", list![list![], list![]]).await;
            let mut tasks = vec![parent];
            for _ in 0..4 {
                let child = stage.ok(&stage.builder, "host.subtask", list!["sleep", list![1], parent]).await;
                assign(&stage, child.as_int().unwrap(), stage.host).await;
                stage.ok(&stage.builder, "host.openTask", list![child.clone()]).await;
                tasks.push(child.as_int().unwrap());
            }
            let mut backwards = tasks.clone();
            backwards.reverse();
            let (one, two, three, four) = tokio::join!(
                stage.call(&stage.builder, "host.freeTasks", list![tasks.clone()]),
                stage.call(&stage.builder, "host.freeTasks", list![backwards]),
                stage.call(&stage.admin, "cancelTaskFull", list![parent]),
                run_once(&stage.world.hub, true),
            );
            for outcome in [one.map(drop), two.map(drop), three.map(drop), four.map(drop)] {
                outcome.expect("a deadlock reached a caller");
            }
            for task in tasks {
                assert_eq!(state(&stage, task).await.0, TaskState::Canceled as i64);
                assert_eq!(endings(&stage, task).await, 1);
            }
        }
    }

    async fn brief_exhaustion_of_the_pool_is_waited_out(db: Db) {
        let stage = std::sync::Arc::new(Stage::new(db).await);
        // Many times more callers than the pool has connections.
        let calls: Vec<_> = (0..200)
            .map(|n| {
                let stage = stage.clone();
                tokio::spawn(async move {
                    let method = if n % 2 == 0 { "listTasks" } else { "createTag" };
                    let args = if n % 2 == 0 { list![] } else { list![format!("tag-{n}")] };
                    stage.call(&stage.admin, method, args).await.map(drop)
                })
            })
            .collect();
        for call in calls {
            call.await.unwrap().expect("a call found no connection");
        }
        assert_eq!(stage.world.get("SELECT count(*) FROM tag", &[]).await, Value::Int(100));
    }

    async fn events_larger_than_a_notification_are_told(db: Db) {
        let stage = Stage::new(db).await;
        let mut events = stage.world.hub.bus.subscribe();
        let relaying = tokio::spawn(relay::run(stage.world.hub.clone()));
        let text = "x".repeat(50_000);
        // The relay begins at the newest event; ask until it is there.
        let told = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                let mut call = stage.world.call().await;
                call.emit("test.large", "test:1", map! { "text" => &text });
                call.commit().await.unwrap();
                let waited = tokio::time::timeout(Duration::from_millis(200), events.recv()).await;
                if let Ok(Ok(event)) = waited {
                    return event;
                }
            }
        });
        assert!(told.await.expect("the event is told").body.contains(&text));
        relaying.abort();
    }

    async fn the_time_of_those_who_wait_does_not_limit_what_they_wait_for(db: Db) {
        let stage = Stage::new(db).await;
        let (_, other) = second_builder(&stage).await;
        let parent = stage.open_task("dependantTask", list![list![], list![]]).await;
        let child = stage.ok(&stage.builder, "host.subtask", list!["sleep", list![1], parent]).await;
        stage.ok(&stage.builder, "host.taskSetWait", list![parent, list![child.clone()]]).await;
        stage.ok(&other, "host.openTask", list![child.clone()]).await;
        // Both have been at it for a month; their builders are well.
        let old = "UPDATE task SET create_time = toji_ago(2600000.0), start_time = toji_ago(2600000.0)";
        stage.world.set(old, &[]).await;
        stage.world.set("UPDATE scheduler_task_runs SET create_time = toji_ago(2600000.0)", &[]).await;
        run_once(&stage.world.hub, true).await.unwrap();
        let child = child.as_int().unwrap();
        for task in [parent, child] {
            assert_eq!(state(&stage, task).await.0, TaskState::Open as i64);
        }
    }

    async fn a_recursive_query_does_not_idle_builders(db: Db) {
        let stage = Stage::new(db).await;
        // One task group as a chain of a thousand, which is asked for again and again.
        let top = stage.open_task("dependantTask", list![list![], list![]]).await;
        let mut call = stage.world.call().await;
        let channel = call.tx.scalar("SELECT channel_id FROM task WHERE id = $1", &[top.into()]).await;
        let channel: i64 = channel.unwrap();
        let mut parent = top;
        for _ in 0..1000 {
            let task = toji_db::task::New {
                state: TaskState::Closed,
                host_id: None,
                owner: stage.world.user,
                method: "sleep",
                request: "",
                priority: 20,
                parent: Some(parent),
                label: None,
                channel_id: channel,
                arch: "noarch",
            };
            parent = toji_db::task::insert(&mut call.tx, &task).await.unwrap();
        }
        call.commit().await.unwrap();
        let asking = async {
            for _ in 0..5 {
                stage.ok(&stage.admin, "getTaskDescendents", list![top]).await;
                stage.ok(&stage.admin, "cancelTaskChildren", list![top]).await;
            }
        };
        let working = async {
            for _ in 0..TIMES {
                let task = stage.ok(&stage.admin, "makeTask", list!["sleep", list![1]]).await;
                let task = task.as_int().unwrap();
                run_once(&stage.world.hub, false).await.unwrap();
                assert_eq!(state(&stage, task).await, (TaskState::Assigned as i64, Value::Int(stage.host)));
                stage.ok(&stage.builder, "host.openTask", list![task]).await;
                stage.ok(&stage.builder, "host.closeTask", list![task, "x"]).await;
            }
        };
        let both = async { tokio::join!(asking, working) };
        tokio::time::timeout(Duration::from_secs(120), both).await.expect("builders are idle");
    }

    async fn two_dispatchers_give_a_task_to_one_builder(db: Db) {
        let stage = Stage::new(db).await;
        second_builder(&stage).await;
        for _ in 0..TIMES {
            let made = stage.ok(&stage.admin, "makeTask", list!["sleep", list![1]]).await;
            let task = made.as_int().unwrap();
            let (one, two) = tokio::join!(run_once(&stage.world.hub, false), run_once(&stage.world.hub, false));
            let assigned = one.unwrap().assigned + two.unwrap().assigned;
            assert_eq!(assigned, 1);
            let runs = "SELECT count(*) FROM scheduler_task_runs WHERE task_id = $1";
            assert_eq!(stage.world.get(runs, &[task.into()]).await, Value::Int(1));
            let done = [Param::Int(TaskState::Closed as i64), task.into()];
            stage.world.set("UPDATE task SET state = $1 WHERE id = $2", &done).await;
        }
    }
}
