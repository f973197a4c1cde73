//! Tasks from submission to end, as users and builders see them.

use toji_bus::Topic;
use toji_db::Db;
use toji_testkit::both_databases;
use toji_types::TaskState;
use toji_value::{Value, list, map};

use super::people::{BROKEN, DONE, Stage};

async fn state(stage: &Stage, id: i64) -> Option<i64> {
    stage.ok(&stage.alice, "getTaskInfo", list![id]).await.get("state").as_int()
}

both_databases! {
    async fn a_parent_waits_for_its_children(db: Db) {
        let stage = Stage::new(db).await;
        let (alice, builder) = (&stage.alice, &stage.builder);
        let parent = stage.open_task("build", list!["a.src.rpm", "f40", map! {}]).await;
        let make = list!["buildArch", list![1], parent];
        let first = stage.ok(builder, "host.subtask", make.clone()).await.as_int().unwrap();
        let args = list![parent, map! { "label" => "x86_64", "arch" => "x86_64" }, "buildArch", 2];
        let second = stage.ok(builder, "host.subtask2", args.clone()).await;
        assert_eq!(stage.ok(builder, "host.subtask2", args).await, second, "labels find again");
        let second = second.as_int().unwrap();
        let info = stage.ok(alice, "getTaskInfo", list![second, true]).await;
        assert_eq!((info.get("priority"), info.get("arch")), (&Value::Int(19), &"x86_64".into()));
        assert_eq!(info.get("request"), &list![2]);

        stage.ok(builder, "host.taskSetWait", list![parent, Value::Nil]).await;
        let mut woken = stage.world.hub.bus.listen(Topic::Host(stage.host));
        stage.ok(builder, "host.openTask", list![first]).await;
        stage.ok(builder, "host.closeTask", list![first, DONE]).await;
        woken.wait().await;
        let open = stage.ok(builder, "host.getHostTasks", list![]).await;
        assert_eq!(open, list![map! { "id" => parent, "waiting" => true, "weight" => 1.0, "alert" => true }]);
        let polled = stage.ok(builder, "host.taskWait", list![parent]).await;
        assert_eq!(polled, list![list![first], list![second]]);
        stage.ok(builder, "host.openTask", list![second]).await;
        stage.ok(builder, "host.failTask", list![second, BROKEN]).await;
        let wait = list![parent, list![first, second]];
        assert_eq!(stage.refused(builder, "host.taskWaitResults", wait).await, "no");
        let wait = list![parent, list![first, second], list![second]];
        let results = stage.ok(builder, "host.taskWaitResults", wait).await;
        let fault = map! { "faultCode" => 1005, "faultString" => "no" };
        assert_eq!(results, list![list![first, 7], list![second, fault]]);
        assert_eq!(stage.ok(alice, "getTaskResult", list![first]).await, Value::Int(7));
        let below = stage.ok(alice, "getTaskDescendents", list![parent]).await;
        assert_eq!(below.get(&parent.to_string()).as_array().map(<[Value]>::len), Some(2));
    }

    async fn only_the_holder_touches_a_task(db: Db) {
        let stage = Stage::new(db).await;
        let task = stage.ok(&stage.admin, "makeTask", list!["sleep", list![1]]).await;
        let id = task.as_int().unwrap();
        let text = format!("host {} does not own task {id}", stage.host);
        let close = list![id, DONE];
        assert_eq!(stage.refused(&stage.builder, "host.closeTask", close.clone()).await, text);
        let wait = list![id, Value::Nil];
        assert_eq!(stage.refused(&stage.builder, "host.taskSetWait", wait).await, text);
        let subtask = list!["sleep", list![1], id];
        assert_eq!(stage.refused(&stage.builder, "host.subtask", subtask).await, text);
        stage.refused(&stage.alice, "host.openTask", list![id]).await;
        assert_eq!(state(&stage, id).await, Some(TaskState::Free as i64));
        stage.ok(&stage.builder, "host.openTask", list![id]).await;
        assert_eq!(stage.ok(&stage.builder, "host.openTask", list![id]).await, Value::Nil);
        stage.ok(&stage.builder, "host.freeTasks", list![list![id]]).await;
        assert_eq!(state(&stage, id).await, Some(TaskState::Free as i64));
        stage.ok(&stage.admin, "assignTask", list![id, "builder.example.com"]).await;
        let tasks = stage.ok(&stage.builder, "host.getTasks", list![]).await;
        assert_eq!(tasks.as_array().map(<[Value]>::len), Some(1));
        stage.ok(&stage.builder, "host.refuseTask", list![id, false, "no disk"]).await;
        assert_eq!(state(&stage, id).await, Some(TaskState::Free as i64));
        stage.ok(&stage.builder, "host.openTask", list![id]).await;
        stage.ok(&stage.builder, "host.closeTask", close.clone()).await;
        assert_eq!(stage.refused(&stage.builder, "host.closeTask", close).await, text);
    }

    async fn a_group_is_cancelled_and_submitted_again(db: Db) {
        let stage = Stage::new(db).await;
        let top = stage.open_task("build", list!["x", "y"]).await;
        let child = stage.ok(&stage.builder, "host.subtask", list!["sleep", list![1], top]).await;
        let done = stage.ok(&stage.builder, "host.subtask", list!["sleep", list![2], top]).await;
        stage.ok(&stage.builder, "host.openTask", list![done.clone()]).await;
        stage.ok(&stage.builder, "host.closeTask", list![done.clone(), DONE]).await;
        let refused = stage.refused(&stage.alice, "cancelTask", list![top]).await;
        assert_eq!(refused, "Cannot cancel task, not owner");
        let refused = stage.refused(&stage.admin, "cancelTaskFull", list![child.clone()]).await;
        assert_eq!(refused, format!("Task {} is not top-level (parent={top})", child.repr()));
        stage.ok(&stage.admin, "cancelTask", list![top]).await;
        assert_eq!(state(&stage, top).await, Some(TaskState::Canceled as i64));
        assert_eq!(state(&stage, child.as_int().unwrap()).await, Some(TaskState::Canceled as i64));
        assert_eq!(state(&stage, done.as_int().unwrap()).await, Some(TaskState::Closed as i64));
        let text = format!("Task {top} is canceled");
        assert_eq!(stage.refused(&stage.alice, "getTaskResult", list![top]).await, text);
        let again = stage.ok(&stage.admin, "resubmitTask", list![top]).await;
        let request = stage.ok(&stage.alice, "getTaskRequest", list![again]).await;
        assert_eq!(request, list!["x", "y"]);
        let opts = map! { "method" => "build", "state" => list![3], "decode" => true };
        let found = stage.ok(&stage.alice, "listTasks", list![opts]).await;
        let [task] = found.as_array().unwrap() else { panic!("{}", found.repr()) };
        assert_eq!((task.get("id"), task.get("owner_name")), (&Value::Int(top), &"root".into()));
    }
}
