//! Cancelling, freeing and submitting again, through whole trees: what a Koji 1.36 hub answered to the same calls.

use std::collections::BTreeMap;

use toji_db::Db;
use toji_hub::Request;
use toji_testkit::both_databases;
use toji_types::TaskState::{Canceled, Closed, Failed, Free, Open};
use toji_types::{BuildState, TaskState};
use toji_value::{Value, list, map};

use super::people::{BROKEN, DONE, Stage};

const NOBODY: i64 = 99_999_999;

/// A tree of tasks: `top` with `closed`, `open`, `free` and `failed`; below `open` there are `leaf` and `inner`, below that `deep`.
struct Tree<'s> {
    stage: &'s Stage,
    ids: BTreeMap<&'static str, i64>,
}

impl<'s> Tree<'s> {
    async fn new(stage: &'s Stage) -> Tree<'s> {
        let top = stage.open_task("sleep", list![1]).await;
        let mut tree = Tree { stage, ids: [("top", top)].into() };
        for (name, above, opened) in [
            ("closed", "top", true),
            ("open", "top", true),
            ("free", "top", false),
            ("failed", "top", true),
            ("leaf", "open", false),
            ("inner", "open", true),
            ("deep", "inner", false),
        ] {
            let above = tree.id(above);
            let made = tree.sub(above, name).await;
            tree.ids.insert(name, made);
            if opened {
                stage.ok(&stage.builder, "host.openTask", list![made]).await;
            }
        }
        let (closed, failed) = (tree.id("closed"), tree.id("failed"));
        stage.ok(&stage.builder, "host.closeTask", list![closed, DONE]).await;
        stage.ok(&stage.builder, "host.failTask", list![failed, BROKEN]).await;
        tree
    }

    fn id(&self, name: &str) -> i64 {
        self.ids[name]
    }

    async fn sub(&self, above: i64, label: &str) -> i64 {
        let args = list![above, map! { "label" => label }, "sleep", 2];
        self.stage.ok(&self.stage.builder, "host.subtask2", args).await.as_int().unwrap()
    }

    async fn state(&self, name: &str) -> TaskState {
        let info = self.stage.ok(&self.stage.alice, "getTaskInfo", list![self.id(name)]).await;
        TaskState::try_from(info.get("state").as_int().unwrap()).unwrap()
    }

    /// The states of the tasks that can change, in a fixed order.
    async fn are(&self, wanted: [TaskState; 6], when: &str) {
        let mut found = Vec::new();
        for name in ["top", "open", "free", "leaf", "inner", "deep"] {
            found.push(self.state(name).await);
        }
        assert_eq!(found, wanted, "{when}");
        assert_eq!(
            (self.state("closed").await, self.state("failed").await),
            (Closed, Failed),
            "{when}"
        );
    }

    /// How often an event told that the task got the state.
    async fn told(&self, name: &str, state: &str) -> i64 {
        let sql = "SELECT count(*) FROM toji_outbox WHERE kind = 'task.state' AND key = $1 AND REPLACE(CAST(body AS TEXT), ' ', '') LIKE $2";
        let like = format!("%\"new\":\"{state}\"%");
        let key = format!("task:{}", self.id(name));
        self.stage.world.get(sql, &[key.into(), like.into()]).await.as_int().unwrap()
    }
}

async fn refused(stage: &Stage, who: &Request, method: &str, args: Value) -> (i32, String) {
    let fault = stage.call(who, method, args).await.expect_err(method);
    (fault.code, fault.message)
}

both_databases! {
    async fn a_cancelled_task_takes_what_hangs_below_it(db: Db) {
        let stage = Stage::new(db).await;
        let tree = Tree::new(&stage).await;
        let cancel = async |name: &str, recurse: bool| {
            stage.ok(&stage.admin, "cancelTask", list![tree.id(name), recurse]).await
        };
        cancel("open", false).await;
        tree.are([Open, Canceled, Free, Free, Open, Free], "one task alone").await;
        let text = format!("host {} does not own task {}", stage.host, tree.id("open"));
        let late = list![tree.id("open"), DONE];
        assert_eq!(refused(&stage, &stage.builder, "host.closeTask", late).await, (1004, text));
        // What is below a task that has ended is not looked at.
        cancel("top", true).await;
        tree.are([Canceled, Canceled, Canceled, Free, Open, Free], "the top").await;
        for name in ["top", "closed", "failed"] {
            assert_eq!(cancel(name, true).await, Value::Nil, "{name} has ended");
        }
        stage.ok(&stage.admin, "cancelTaskFull", list![tree.id("top")]).await;
        tree.are([Canceled; 6], "the group").await;
        for (name, times) in [("top", 1), ("open", 1), ("deep", 1), ("closed", 0)] {
            assert_eq!(tree.told(name, "CANCELED").await, times, "events of {name}");
        }
    }

    async fn a_group_is_found_from_any_of_its_tasks(db: Db) {
        let stage = Stage::new(db).await;
        let tree = Tree::new(&stage).await;
        let deep = tree.id("deep");
        let text = format!("Task {deep} is not top-level (parent={})", tree.id("inner"));
        assert_eq!(refused(&stage, &stage.admin, "cancelTaskFull", list![deep]).await, (1000, text));
        assert_eq!(stage.ok(&stage.admin, "cancelTaskFull", list![deep, false]).await, Value::Nil);
        tree.are([Canceled; 6], "the group of the deepest").await;
        for (method, text) in [
            ("cancelTask", "No such task: 99999999"),
            ("cancelTaskFull", "query returned no rows"),
            ("cancelTaskChildren", "No such task: 99999999"),
            ("freeTask", "query returned no rows"),
            ("resubmitTask", "query returned no rows"),
        ] {
            let found = refused(&stage, &stage.admin, method, list![NOBODY]).await;
            assert_eq!(found, (1000, text.to_owned()), "{method}");
        }
        let found = refused(&stage, &stage.admin, "setTaskPriority", list![NOBODY, 3]).await;
        assert_eq!(found, (1000, "query returned no rows".to_owned()));
    }

    async fn the_host_of_a_task_cancels_its_children(db: Db) {
        let stage = Stage::new(db).await;
        let tree = Tree::new(&stage).await;
        let (top, builder) = (tree.id("top"), &stage.builder);
        for method in ["cancelTask", "cancelTaskChildren"] {
            let found = refused(&stage, &stage.alice, method, list![top]).await;
            assert_eq!(found, (1004, "Cannot cancel task, not owner".to_owned()), "{method}");
        }
        // A free task is nobody's, whoever holds the one above it.
        let found = refused(&stage, builder, "cancelTask", list![tree.id("free")]).await;
        assert_eq!(found, (1004, "Cannot cancel task, not owner".to_owned()));
        stage.ok(builder, "host.taskSetWait", list![top, Value::Nil]).await;
        stage.ok(builder, "cancelTaskChildren", list![top]).await;
        tree.are([Open, Canceled, Canceled, Canceled, Canceled, Canceled], "the children").await;
        let waited = stage.ok(builder, "host.taskWait", list![top]).await;
        let mut ended: Vec<i64> = (waited.as_array().unwrap()[0].as_array().unwrap().iter())
            .filter_map(Value::as_int)
            .collect();
        ended.sort_unstable();
        assert_eq!(ended, ["closed", "open", "free", "failed"].map(|name| tree.id(name)));
        let gone = tree.id("free");
        let wait = list![top, list![gone]];
        let text = format!("Task {gone} is canceled");
        assert_eq!(refused(&stage, builder, "host.taskWaitResults", wait).await, (1000, text));
    }

    async fn a_freed_task_begins_anew_with_its_children(db: Db) {
        let stage = Stage::new(db).await;
        let tree = Tree::new(&stage).await;
        let (open, top, builder) = (tree.id("open"), tree.id("top"), &stage.builder);
        let free = async |id: i64| stage.call(&stage.admin, "freeTask", list![id]).await;
        let before = tree.told("open", "FREE").await;
        assert_eq!(free(open).await, Ok(Value::Nil));
        tree.are([Open, Free, Free, Free, Open, Free], "one is free").await;
        let info = stage.ok(&stage.admin, "getTaskInfo", list![open]).await;
        assert_eq!((info.get("host_id"), info.get("completion_time")), (&Value::Nil, &Value::Nil));
        assert_eq!(tree.told("open", "FREE").await, before + 1);
        let text = format!("host {} does not own task {open}", stage.host);
        let late = list![open, DONE];
        assert_eq!(refused(&stage, builder, "host.closeTask", late).await, (1004, text));
        for (id, text) in [
            (open, format!("No such task: {open}")),
            (tree.id("closed"), format!("Cannot free task {}, state is CLOSED", tree.id("closed"))),
            (tree.id("failed"), format!("Cannot free task {}, state is FAILED", tree.id("failed"))),
        ] {
            let fault = free(id).await.unwrap_err();
            assert_eq!((fault.code, fault.message), (1000, text));
        }
        let fault = stage.call(&stage.alice, "freeTask", list![open]).await.unwrap_err();
        assert_eq!(fault.code, 1004);
        // The new run asks for its children by label, and finds those of the run before it.
        stage.ok(builder, "host.openTask", list![open]).await;
        assert_eq!(tree.sub(open, "inner").await, tree.id("inner"));
        // A list that has others' tasks, or ended ones, frees only what is the host's.
        let mixed = list![open, tree.id("closed"), tree.id("free"), top];
        stage.ok(builder, "host.freeTasks", list![mixed]).await;
        tree.are([Free, Free, Free, Free, Open, Free], "what the host gave back").await;
        let text = "No such task: 99999999".to_owned();
        let found = refused(&stage, builder, "host.freeTasks", list![list![NOBODY]]).await;
        assert_eq!(found, (1000, text));
    }

    async fn a_priority_goes_down_the_tree(db: Db) {
        let stage = Stage::new(db).await;
        let tree = Tree::new(&stage).await;
        stage.ok(&stage.admin, "setTaskPriority", list![tree.id("top"), 3]).await;
        stage.ok(&stage.admin, "setTaskPriority", list![tree.id("inner"), 4, false]).await;
        for (name, wanted) in [("top", 3), ("closed", 3), ("leaf", 3), ("inner", 4), ("deep", 3)] {
            let info = stage.ok(&stage.alice, "getTaskInfo", list![tree.id(name)]).await;
            assert_eq!(info.get("priority"), &Value::Int(wanted), "{name}");
        }
        let ended = list![tree.id("closed"), 4];
        let text = "Finished task's priority can't be updated".to_owned();
        assert_eq!(refused(&stage, &stage.admin, "setTaskPriority", ended).await, (1000, text));
        let found = refused(&stage, &stage.alice, "setTaskPriority", list![tree.id("top"), 1]).await;
        assert_eq!(found.0, 1004);
    }

    async fn only_what_was_cancelled_or_failed_is_submitted_again(db: Db) {
        let stage = Stage::new(db).await;
        let tree = Tree::new(&stage).await;
        let again = async |who: &Request, id: i64| stage.call(who, "resubmitTask", list![id]).await;
        let of = |fault: toji_value::Fault| (fault.code, fault.message);
        let only = (1000, "only canceled or failed tasks may be resubmitted".to_owned());
        assert_eq!(again(&stage.admin, tree.id("top")).await.map_err(of), Err(only.clone()));
        assert_eq!(again(&stage.admin, tree.id("closed")).await.map_err(of), Err(only));
        let top_only = (1000, "only top-level tasks may be resubmitted".to_owned());
        assert_eq!(again(&stage.admin, tree.id("failed")).await.map_err(of), Err(top_only));
        let args = list!["cli-build/x.src.rpm", Value::Nil, map! { "scratch" => true, "repo_id" => 1 }, 3];
        let task = stage.ok(&stage.alice, "build", args).await.as_int().unwrap();
        stage.ok(&stage.admin, "setTaskPriority", list![task, 1]).await;
        stage.ok(&stage.alice, "cancelTask", list![task]).await;
        let owner = (1000, "only the task owner or an admin may resubmit a task".to_owned());
        assert_eq!(again(&stage.builder, task).await.map_err(of), Err(owner));
        let info = async |id: &Value| stage.ok(&stage.alice, "getTaskInfo", list![id, true]).await;
        let old = info(&Value::Int(task)).await;
        for (who, name) in [(&stage.alice, "alice"), (&stage.admin, "root")] {
            let new = again(who, task).await.unwrap();
            let new = info(&new).await;
            // Arguments, channel, arch and priority are the old ones; it belongs to whoever asked.
            for key in ["method", "request", "channel_id", "arch", "priority", "label", "parent"] {
                assert_eq!(new.get(key), old.get(key), "{key}");
            }
            let user = stage.ok(&stage.alice, "getUser", list![new.get("owner")]).await;
            assert_eq!((user.get("name"), new.get("state")), (&name.into(), &Value::Int(0)));
        }
        assert_eq!(info(&Value::Int(task)).await.get("state"), &Value::Int(3), "the old one stays");
    }

    async fn a_build_ends_with_its_task_and_the_other_way_round(db: Db) {
        let stage = Stage::new(db).await;
        let begin = async |name: &str| {
            let args = list!["cli-build/x.src.rpm", Value::Nil, map! { "scratch" => true, "repo_id" => 1 }];
            let task = stage.ok(&stage.alice, "build", args).await;
            stage.ok(&stage.builder, "host.openTask", list![&task]).await;
            let args = list![&task, map! { "label" => "x" }, "sleep", 1];
            let child = stage.ok(&stage.builder, "host.subtask2", args).await;
            let owner = stage.ok(&stage.alice, "getUser", list!["alice"]).await.get("id").clone();
            let data = map! {
                "name" => name, "version" => "1", "release" => "1", "epoch" => Value::Nil, "task_id" => &task, "owner" => owner,
            };
            (stage.ok(&stage.builder, "host.initBuild", list![data]).await, task, child)
        };
        let states = async |(build, task, child): &(Value, Value, Value)| {
            let build = stage.ok(&stage.alice, "getBuild", list![build]).await.get("state").clone();
            let task = stage.ok(&stage.alice, "getTaskInfo", list![task]).await.get("state").clone();
            let child = stage.ok(&stage.alice, "getTaskInfo", list![child]).await.get("state").clone();
            [build, task, child].map(|state| state.as_int().unwrap())
        };
        let ended = BuildState::Canceled.number();
        let all = [ended, Canceled.number(), Canceled.number()];
        let first = begin("first").await;
        let fault = stage.call(&stage.builder, "cancelBuild", list![&first.0]).await.unwrap_err();
        assert_eq!((fault.code, fault.message.as_str()), (1004, "Cannot cancel build, not owner"));
        assert_eq!(stage.ok(&stage.alice, "cancelBuild", list![&first.0]).await, Value::Bool(true));
        assert_eq!(states(&first).await, all, "the build was cancelled");
        assert_eq!(stage.ok(&stage.alice, "cancelBuild", list![&first.0]).await, Value::Bool(false));
        let second = begin("second").await;
        stage.ok(&stage.alice, "cancelTask", list![&second.1]).await;
        assert_eq!(states(&second).await, all, "the task was cancelled");
        let third = begin("third").await;
        stage.ok(&stage.alice, "cancelTask", list![&third.1, false]).await;
        let alone = [ended, Canceled.number(), Free.number()];
        assert_eq!(states(&third).await, alone, "the task was cancelled without its children");
        let fault = stage.call(&stage.builder, "host.failBuild", list![&third.1, &third.0]).await.unwrap_err();
        assert_eq!(fault.code, 1004, "{fault}");
    }
}
