//! Tasks that work in a buildroot for its own sake: who may submit them, and for what.

use toji_db::Db;
use toji_testkit::both_databases;
use toji_types::RepoState;
use toji_value::{Value, list, map};

use super::people::{BROKEN, Stage};

both_databases! {
    async fn commands_need_a_permission(db: Db) {
        let stage = Stage::new(db).await;
        stage.world.tag("f40", &[]).await;
        let args = list!["f40", "x86_64", list!["ls", "-l"]];
        let refused = stage.refused(&stage.alice, "runroot", args.clone()).await;
        assert_eq!(refused, "runroot permission required (logged in as alice)");
        let refused = stage.refused(&stage.admin, "runroot", args.clone()).await;
        assert_eq!(refused, "No such channel: runroot");
        let join = list!["builder.example.com", "runroot"];
        stage.ok_kw(&stage.admin, "addHostToChannel", join, map! { "create" => true }).await;
        let kw = map! { "packages" => list!["bash"], "weight" => 2.5 };
        let task = stage.ok_kw(&stage.admin, "runroot", args, kw).await;
        let info = stage.ok_kw(&stage.alice, "getTaskInfo", list![task], map! { "request" => true }).await;
        assert_eq!((info.get("arch"), info.get("priority")), (&"x86_64".into(), &Value::Int(15)));
        let request = info.get("request").as_array().unwrap();
        assert_eq!(request[..3], [Value::from("f40"), "x86_64".into(), list!["ls", "-l"]]);
        assert_eq!(request[3].get("weight"), &Value::Double(2.5));
        let bad = stage.refused(&stage.admin, "runroot", list!["f40", "x86;64", "ls"]).await;
        assert_eq!(bad, "Architecture can be only [a-zA-Z0-9_-]");
        let bad = stage.refused(&stage.admin, "runroot", list!["f40", "x86_64", 5]).await;
        assert_eq!(bad, "Invalid type for value '5': <class 'int'>");
        let bad = stage.refused(&stage.admin, "runroot", list!["nope", "x86_64", "ls"]).await;
        assert_eq!(bad, "No such tagInfo: 'nope'");
    }

    async fn a_command_for_any_arch_gets_one_that_works(db: Db) {
        let stage = Stage::new(db).await;
        stage.world.tag("f40", &[]).await;
        let join = list!["builder.example.com", "runroot"];
        stage.ok_kw(&stage.admin, "addHostToChannel", join, map! { "create" => true }).await;
        // the host has i386 too, for which the tag has no buildroot
        let task = stage.ok(&stage.admin, "runroot", list!["f40", "noarch", "ls"]).await;
        let info = stage.ok(&stage.alice, "getTaskInfo", list![task]).await;
        assert_eq!(info.get("arch"), &Value::from("x86_64"));
        stage.ok_kw(&stage.admin, "editTag2", list!["f40"], map! { "arches" => "ppc64le" }).await;
        let refused = stage.refused(&stage.admin, "runroot", list!["f40", "noarch", "ls"]).await;
        assert_eq!(refused, "no common arches for tag/channel: f40/runroot");
        stage.ok_kw(&stage.admin, "editTag2", list!["f40"], map! { "arches" => "" }).await;
        let refused = stage.refused(&stage.admin, "runroot", list!["f40", "noarch", "ls"]).await;
        assert_eq!(refused, "no arches defined for tag f40");
    }

    async fn trees_of_failed_tasks_are_kept_for_their_owners(db: Db) {
        let stage = Stage::with(db, |config| {
            config.save_failed_tree = Some(vec!["buildArch".into()]);
        })
        .await;
        let tag = stage.world.tag("f40", &[]).await;
        let repo = stage.world.repo(tag, RepoState::Ready, None).await;
        let mut roots = Vec::new();
        let mut tasks = Vec::new();
        for method in ["buildArch", "rebuildSRPM"] {
            let task = stage.open_task(method, list!["x"]).await;
            let root = stage.ok(&stage.builder, "host.newBuildRoot", list![repo, "x86_64", task]).await;
            roots.push(root.as_int().unwrap());
            tasks.push(task);
        }
        let save = |root: i64| list![root];
        let early = stage.refused(&stage.admin, "saveFailedTree", save(roots[0])).await;
        let (built, rebuilt) = (tasks[0], tasks[1]);
        assert_eq!(early, format!("Task {built} has not failed. Only failed tasks can upload their buildroots."));
        for task in &tasks {
            stage.ok(&stage.builder, "host.failTask", list![*task, BROKEN]).await;
        }
        let other = stage.refused(&stage.admin, "saveFailedTree", save(roots[1])).await;
        assert_eq!(other, format!("Only buildArch tasks can upload their buildroots (Task {rebuilt} is rebuildSRPM)."));
        let foreign = stage.refused(&stage.alice, "saveFailedTree", save(roots[0])).await;
        assert_eq!(foreign, "Only owner of failed task or 'admin' can run this task.");
        let none = stage.refused(&stage.admin, "saveFailedTree", save(999_999)).await;
        assert_eq!(none, "No such buildroot: 999999");
        let task = stage.ok_kw(&stage.admin, "saveFailedTree", save(roots[0]), map! { "full" => true }).await;
        let info = stage.ok(&stage.admin, "getTaskInfo", list![task]).await;
        assert_eq!((info.get("host_id"), info.get("state")), (&Value::Int(stage.host), &Value::Int(4)));
        stage.ok(&stage.admin, "disableHost", list!["builder.example.com"]).await;
        let off = stage.refused(&stage.admin, "saveFailedTree", save(roots[0])).await;
        assert_eq!(off, "Host is disabled.");
    }

    async fn trees_are_not_kept_where_nothing_is_configured(db: Db) {
        let stage = Stage::new(db).await;
        let fault = stage.call(&stage.alice, "saveFailedTree", list![1]).await.unwrap_err();
        assert_eq!(fault.code, toji_value::code::CONFIGURATION);
        assert_eq!(fault.message, "Config file /etc/koji-hub/plugins/save_failed_tree.conf can't be opened.");
    }

    async fn commands_in_failed_trees_are_not_for_everybody(db: Db) {
        let stage = Stage::new(db).await;
        let tag = stage.world.tag("f40", &[]).await;
        let repo = stage.world.repo(tag, RepoState::Ready, None).await;
        let task = stage.open_task("buildArch", list!["x"]).await;
        let root = stage.ok(&stage.builder, "host.newBuildRoot", list![repo, "x86_64", task]).await;
        let root = root.as_int().unwrap();
        let run = list![root, "ls -l", "/builddir"];
        let early = stage.refused(&stage.admin, "runInFailedTree", run.clone()).await;
        assert_eq!(early, format!("task {task} of buildroot {root} has not failed"));
        stage.ok(&stage.builder, "host.failTask", list![task, BROKEN]).await;
        let foreign = stage.refused(&stage.alice, "runInFailedTree", run.clone()).await;
        assert!(foreign.ends_with("Only the owner of the failed task and admin can do this via default policy"), "{foreign}");
        let none = stage.refused(&stage.admin, "runInFailedTree", list![999_999, "ls"]).await;
        assert_eq!(none, "No such buildroot: 999999");
        let command = stage.ok(&stage.admin, "runInFailedTree", run).await;
        let info = stage.ok_kw(&stage.admin, "getTaskInfo", list![command], map! { "request" => true }).await;
        // It is given to the builder that has the tree, and to no other.
        assert_eq!((info.get("host_id"), info.get("state")), (&Value::Int(stage.host), &Value::Int(4)));
        assert_eq!(info.get("request"), &list![root, "ls -l", "/builddir"]);
        stage.ok(&stage.admin, "disableHost", list!["builder.example.com"]).await;
        let off = stage.refused(&stage.admin, "runInFailedTree", list![root, "ls"]).await;
        assert_eq!(off, "Host is disabled.");
    }

    async fn a_policy_lets_others_into_failed_trees(db: Db) {
        let rules = "match method buildArch :: allow\nall :: deny not that one";
        let stage = Stage::with(db, |config| {
            config.policies = vec![("failed_tree".into(), rules.into())];
        })
        .await;
        let tag = stage.world.tag("f40", &[]).await;
        let repo = stage.world.repo(tag, RepoState::Ready, None).await;
        for (method, allowed) in [("buildArch", true), ("rebuildSRPM", false)] {
            let task = stage.open_task(method, list!["x"]).await;
            let root = stage.ok(&stage.builder, "host.newBuildRoot", list![repo, "x86_64", task]).await;
            stage.ok(&stage.builder, "host.failTask", list![task, BROKEN]).await;
            if allowed {
                stage.ok(&stage.alice, "runInFailedTree", list![root, "ls"]).await;
            } else {
                let refused = stage.refused(&stage.alice, "runInFailedTree", list![root, "ls"]).await;
                assert!(refused.ends_with("not that one"), "{refused}");
            }
        }
    }
}
