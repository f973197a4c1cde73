//! A builder that lies in its calls: each `host.*` call with what belongs to another, refused without a trace.

use std::collections::BTreeMap;
use std::fs;

use toji_db::Db;
use toji_hub::Request;
use toji_testkit::both_databases;
use toji_types::Lockfile;
use toji_value::{Args, Fault, Map, Value, list, map};

use super::digest;
use super::people::{Stage, login};

/// What an honest builder and a liar have.
struct Scene {
    stage: Stage,
    liar: Request,
    /// The honest builder's task with a subtask, a buildroot, a build in progress and an uploaded file.
    task: i64,
    child: i64,
    root: i64,
    build: i64,
    file: String,
    /// Its repositories in the making.
    repo: i64,
    dist: i64,
    /// A finished build of nobody's task.
    done: i64,
    /// The liar's own.
    mine: i64,
    my_root: i64,
    my_build: i64,
    my_repo: i64,
    my_file: String,
}

impl Scene {
    async fn new(db: Db) -> Scene {
        let stage = Stage::with(db, |config| {
            config.disable_notifications = true;
            config.enable_maven = true;
            config.enable_win = true;
        })
        .await;
        stage.world.host("liar.example.com").await;
        let mut call = stage.world.call().await;
        toji_db::setup::set_password(&mut call.tx, "liar.example.com", "secret").await.unwrap();
        call.commit().await.unwrap();
        let liar = login(&stage.world, "liar.example.com").await;
        stage.ok(&liar, "exclusiveSession", list![]).await;
        for host in ["builder.example.com", "liar.example.com"] {
            let kw = map! { "create" => true };
            stage.ok_kw(&stage.admin, "addHostToChannel", list![host, "createrepo"], kw).await;
        }
        let tag = stage.world.tag("f40", &[]).await;
        let ready = stage.world.repo(tag, toji_types::RepoState::Ready, None).await;
        stage.ok(&stage.admin, "packageListAdd", list!["f40", "hello", "alice"]).await;
        let honest = stage.builder.clone();
        let int = |value: Value| value.as_int().unwrap();

        let task = stage.open_task("build", list!["x.src.rpm", Value::Nil]).await;
        let child = stage.ok(&honest, "host.subtask", list!["buildArch", list!["x"], task]).await;
        let root = stage.ok(&honest, "host.newBuildRoot", list![ready, "x86_64", task]).await;
        let build = stage.ok(&honest, "host.initBuild", list![nvr("hello", task)]).await;
        let repo = stage.ok(&honest, "host.repoInit", list!["f40", task]).await;
        let opts = map! { "arch" => list!["x86_64"], "event" => Value::Nil };
        let making = stage.ok_kw(&stage.admin, "distRepo", list!["f40", list!["k"]], opts).await;
        stage.ok(&honest, "host.openTask", list![making.clone()]).await;
        let request = stage.ok(&stage.admin, "getTaskRequest", list![making]).await;
        let done = map! { "name" => "done", "version" => "1", "release" => "1", "epoch" => 0 };
        stage.ok(&stage.admin, "createImageBuild", list![done]).await;
        let done = stage.ok(&stage.admin, "getBuild", list!["done-1-1"]).await;

        let mine = stage.ok(&stage.admin, "makeTask", list!["sleep", list![1]]).await;
        stage.ok(&liar, "host.openTask", list![mine.clone()]).await;
        let mine = int(mine);
        let my_root = stage.ok(&liar, "host.newBuildRoot", list![ready, "x86_64", mine]).await;
        let my_build = stage.ok(&liar, "host.initBuild", list![nvr("hers", mine)]).await;
        let my_repo = stage.ok(&liar, "host.repoInit", list!["f40", mine]).await;
        let file = put(&stage, task);
        let my_file = put(&stage, mine);
        let first = |pair: &Value| pair.as_array().unwrap()[0].as_int().unwrap();
        Scene {
            task,
            child: int(child),
            root: int(root),
            build: int(build),
            file,
            repo: first(&repo),
            dist: request.as_array().unwrap()[1].as_int().unwrap(),
            done: int(done.get("id").clone()),
            mine,
            my_root: int(my_root),
            my_build: int(my_build),
            my_repo: first(&my_repo),
            my_file,
            liar,
            stage,
        }
    }

    /// Calls as the liar.
    async fn lie(&self, method: &str, args: Value) -> Result<Value, Fault> {
        let Value::Array(positional) = args else { panic!("arguments are a list") };
        let args = Args { positional, keywords: Map::new() };
        self.stage.world.hub.call(&self.liar, method, args).await
    }
}

fn nvr(name: &str, task: i64) -> Map {
    map! { "task_id" => task, "name" => name, "version" => "1", "release" => "1", "epoch" => Value::Nil }
}

/// Puts a file into the upload directory of a task; returns its path below the work directory.
fn put(stage: &Stage, task: i64) -> String {
    let dir = stage.world.hub.paths.taskrelpath(task);
    let path = stage.dir.path().join("work").join(&dir);
    fs::create_dir_all(&path).unwrap();
    fs::write(path.join("x.src.rpm"), "x").unwrap();
    format!("{dir}/x.src.rpm")
}

fn gav() -> Map {
    map! { "group_id" => "g", "artifact_id" => "a", "version" => "1" }
}

/// The lies of one call: arguments, and a part of the answer's fault; `""` for an answer of nil.
fn lies(name: &str, s: &Scene) -> Option<Vec<(Value, &'static str)>> {
    const OWN: &str = "does not own task";
    const ROOT: &str = "not owner of buildroot";
    const REPO: &str = "has no task that makes repo";
    let (task, mine) = (s.task, s.mine);
    let (root, my_root) = (s.root, s.my_root);
    let (build, my_build) = (s.build, s.my_build);
    let foreign = map! {
        "task_id" => task, "buildroot_id" => Value::Nil, "files" => map! {}, "output" => map! {},
        "logs" => list![], "arch" => "x86_64", "rpmlist" => list![],
    };
    let with_root = map! {
        "task_id" => mine, "buildroot_id" => root, "files" => map! {}, "output" => map! {},
        "logs" => list![], "rpms" => list![], "srpm" => "x.src.rpm",
    };
    let image = map! { "x86_64" => foreign.clone() };
    let dir = s.file.rsplit_once('/').unwrap().0;
    let brmap = map! { s.my_file.clone() => root };
    Some(match name {
        // About the caller alone; `own_answers` looks at them.
        "host.getID" | "host.getHost" | "host.isEnabled" | "host.getLoadData" | "host.getTasks"
        | "host.getHostTasks" | "host.updateHost" | "host.setHostData" => vec![],
        // They read what everybody may read, or submit messages to those who have asked for them.
        "host.checkPolicy" | "host.assertPolicy" | "host.evalPolicy" | "host.tagNotification" => {
            vec![]
        }
        // Puts a signature that the hub has to a package that it has.
        "host.writeSignedRPM" => vec![(list!["none-1-1.noarch", "k"], "No such rpm")],
        "host.enrol" => vec![(list!["toji-enrol-guessed", "builder9"], "the token is unknown")],
        // Renews the caller's own.
        "host.renewCredential" => vec![],
        "host.returnTask" => vec![(list![task, "x"], OWN)],
        "host.uploadToken" => vec![(list![task], OWN)],
        "host.openTask" | "host.refuseTask" => vec![(list![task], "")],
        "host.freeTasks" => vec![(list![list![task]], "")],
        "host.closeTask" | "host.failTask" => vec![(list![task, "x"], OWN)],
        "host.setTaskWeight" => vec![(list![task, 9.0], OWN)],
        "host.subtask" => vec![(list!["sleep", list![1], task], OWN)],
        "host.subtask2" => vec![(list![task, map! {}, "sleep", 1], OWN)],
        "host.taskSetWait" | "host.taskWaitResults" => vec![(list![task, list![s.child]], OWN)],
        "host.taskWait" => vec![(list![task], OWN)],
        "host.initBuild" => {
            vec![(list![nvr("new", task)], OWN), (list![nvr("../../../etc", mine)], "nvalid")]
        }
        "host.completeBuild" => vec![
            (list![task, build, &s.file, list![]], OWN),
            (list![mine, build, &s.my_file, list![]], "task_id mismatch"),
            (list![mine, my_build, &s.file, list![]], "are not this task's"),
            (list![mine, my_build, &s.my_file, list![&s.file]], "are not this task's"),
            (list![mine, my_build, &s.my_file, list![], brmap], "is not of task"),
            (list![mine, my_build, "../../../etc/passwd", list![]], "passwd"),
            (
                list![mine, my_build, "cli-build/1.a/x.src.rpm", list![]],
                "uploaded by somebody else",
            ),
        ],
        "host.failBuild" => {
            vec![(list![task, build], OWN), (list![mine, build], "does not make build")]
        }
        "host.moveBuildToScratch" => vec![
            (list![task, &s.file, list![]], OWN),
            (list![mine, &s.file, list![]], "are not this task's"),
        ],
        "host.initMavenBuild" => vec![(list![task, nvr("m", task), gav()], OWN)],
        "host.initImageBuild" => vec![(list![task, nvr("i", task)], OWN)],
        "host.initWinBuild" => {
            vec![(list![task, nvr("w", task), map! { "platform" => "w" }], OWN)]
        }
        "host.createMavenBuild" => {
            vec![(list![build, gav()], OWN), (list![s.done, gav()], "has no task that makes build")]
        }
        "host.completeMavenBuild" | "host.completeWinBuild" => vec![
            (list![task, build, foreign.clone(), Value::Nil], OWN),
            (list![mine, build, foreign, Value::Nil], "task_id mismatch"),
        ],
        "host.completeImageBuild" => vec![
            (list![task, build, image.clone()], OWN),
            (list![mine, build, image], "task_id mismatch"),
        ],
        "host.importImage" => vec![
            (list![task, build, image.clone()], OWN),
            (list![mine, build, image.clone()], "has nothing to do with build"),
            (list![mine, s.done, image], "has nothing to do with build"),
        ],
        "host.importWrapperRPMs" => vec![
            (list![task, s.done, with_root.clone()], OWN),
            (list![mine, s.done, with_root], "has nothing to do with build"),
        ],
        "host.importArchive" => vec![
            (list![&s.file, my_build, "maven", gav()], OWN),
            (list![&s.my_file, build, "maven", gav()], OWN),
            (list![&s.my_file, s.done, "maven", gav()], "has no task that makes build"),
            (list!["../../etc/passwd", my_build, "maven", gav()], "No such file"),
        ],
        "host.moveMavenBuildToScratch" | "host.moveWinBuildToScratch" => vec![
            (list![task, foreign.clone(), Value::Nil], OWN),
            (list![mine, foreign, Value::Nil], "is no part of task"),
        ],
        "host.moveImageBuildToScratch" => {
            vec![(list![task, image.clone()], OWN), (list![mine, image], "is no part of task")]
        }
        "host.updateBuildrootArchives" | "host.updateMavenBuildRootList" => vec![
            (list![root, task, list![]], OWN),
            (list![root, mine, list![]], ROOT),
            (list![my_root, task, list![]], OWN),
        ],
        "host.newBuildRoot" => vec![(list![s.repo, "x86_64", task], OWN)],
        "host.setBuildRootState" => vec![
            (list![root, "EXPIRED"], ROOT),
            (list![root, "EXPIRED", task], OWN),
            (list![root, "EXPIRED", mine], ROOT),
        ],
        "host.setBuildRootList" | "host.updateBuildRootList" => vec![
            (list![root, list![]], ROOT),
            (list![root, list![], task], OWN),
            (list![root, list![], mine], ROOT),
            (list![my_root, list![], task], OWN),
        ],
        "host.planRepo" => vec![(list![task, 1], OWN)],
        "host.planBuildRoot" => vec![
            (list![root, task, "build", list![]], OWN),
            (list![root, mine, "build", list![]], ROOT),
            (list![my_root, task, "build", list![]], OWN),
        ],
        "host.setBuildRootLockfile" => {
            let empty =
                Lockfile::new("x86_64", BTreeMap::new(), vec![]).unwrap().to_json().unwrap();
            let other = Lockfile::new("s390x", BTreeMap::new(), vec![]).unwrap().to_json().unwrap();
            vec![
                (list![root, &empty, task], OWN),
                (list![root, &empty, mine], ROOT),
                (list![my_root, &empty, task], OWN),
                (list![my_root, "{}", mine], "bad lockfile"),
                (list![my_root, other, mine], "its lockfile of s390x"),
            ]
        }
        "host.tagBuild" => vec![
            (list![task, "f40", build], OWN),
            (list![mine, "f40", build], "has nothing to do with build"),
            (list![mine, "f40", "done-1-1"], "has nothing to do with build"),
        ],
        "host.repoInit" => vec![(list!["f40", task], OWN)],
        "host.createRepo" => vec![(list![s.repo, "x86_64"], REPO)],
        "host.repoDone" => vec![
            (list![s.repo, map! {}], REPO),
            (list![s.dist, map! {}], REPO),
            (
                list![s.my_repo, map! { "x86_64" => list![dir, list!["x.src.rpm"]] }],
                "are not this task's",
            ),
            (
                list![s.my_repo, map! { "x86_64" => list!["cli-build/1.a", list!["x.src.rpm"]] }],
                "uploaded by somebody else",
            ),
        ],
        "host.distRepoMove" => vec![(list![s.dist, dir, "x86_64"], REPO)],
        "host.createDistRepo" => {
            vec![(list![task, s.dist, "x86_64"], OWN), (list![mine, s.dist, "x86_64"], REPO)]
        }
        _ => return None,
    })
}

/// Makes an upload of alice that the liar knows of.
async fn upload_of_alice(scene: &Scene) {
    let dir = scene.stage.dir.path().join("work/cli-build/1.a");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("x.src.rpm"), "x").unwrap();
    let alice = scene.stage.ok(&scene.stage.alice, "getLoggedInUser", list![]).await;
    fs::write(dir.join(".user"), alice.get("id").display()).unwrap();
}

both_databases! {
    async fn each_host_call_refuses_what_is_another_builders(db: Db) {
        let scene = Scene::new(db).await;
        upload_of_alice(&scene).await;
        let before = digest::tables(&scene.stage.world.hub).await;
        let hub = &scene.stage.world.hub;
        let (mut calls, mut told, mut wrong) = (0, 0, Vec::new());
        for name in hub.declarations().map(|d| d.signature.name).filter(|n| n.starts_with("host.")) {
            let lies = lies(name, &scene).unwrap_or_else(|| panic!("{name} has no line in this table"));
            calls += 1;
            for (args, want) in lies {
                told += 1;
                let shown = args.repr();
                match scene.lie(name, args).await {
                    Ok(Value::Nil) if want.is_empty() => {}
                    Ok(done) => wrong.push(format!("{name}{shown} answered {}", done.repr())),
                    Err(fault) if !want.is_empty() && fault.message.contains(want) => {}
                    Err(fault) => wrong.push(format!("{name}{shown}: {fault}, not {want:?}")),
                }
                if digest::tables(hub).await != before {
                    panic!("{name}{shown} has changed something");
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(calls >= 51 && told >= 60, "{told} lies in {calls} calls");
    }

    async fn what_a_builder_says_of_itself_concerns_nobody_else(db: Db) {
        let scene = Scene::new(db).await;
        let honest = "SELECT ready, task_load, update_time FROM host WHERE id = $1";
        let look = async || {
            let mut call = scene.stage.world.call().await;
            let rows = call.tx.query(honest, &[scene.stage.host.into()]).await.unwrap();
            Value::from(rows[0].clone().into_map()).repr()
        };
        let before = look().await;
        let own = scene.lie("host.getID", list![]).await.unwrap();
        assert_ne!(own, Value::Int(scene.stage.host));
        let host = scene.lie("host.getHost", list![]).await.unwrap();
        assert_eq!(host.get("id"), &own);
        for name in ["host.getTasks", "host.getHostTasks"] {
            let tasks = scene.lie(name, list![]).await.unwrap();
            let ids = tasks.as_array().unwrap().iter().map(|task| task.get("id").clone());
            assert!(ids.into_iter().all(|id| id == Value::Int(scene.mine)), "{name}: {}", tasks.repr());
        }
        let load = scene.lie("host.getLoadData", list![]).await.unwrap();
        let hosts = load.as_array().unwrap()[0].as_array().unwrap();
        assert_eq!(hosts.iter().map(|host| host.get("id")).collect::<Vec<_>>(), [&own]);
        scene.lie("host.updateHost", list![99.0, false]).await.unwrap();
        scene.lie("host.setHostData", list![map! { "methods" => list![] }]).await.unwrap();
        assert_eq!(look().await, before);
    }

    async fn awaited_are_only_own_subtasks(db: Db) {
        let scene = Scene::new(db).await;
        scene.lie("host.taskSetWait", list![scene.mine, list![scene.child, scene.task]]).await.unwrap();
        let awaited = "SELECT count(*) FROM task WHERE awaited IS TRUE";
        assert_eq!(scene.stage.world.get(awaited, &[]).await, Value::Int(0));
        let found = scene.lie("host.taskWait", list![scene.mine]).await.unwrap();
        assert_eq!(found, list![list![], list![]]);
    }

    async fn a_free_task_is_opened_by_whom_it_might_be_given_to(db: Db) {
        let scene = Scene::new(db).await;
        let kw = map! { "arch" => "s390x" };
        let other = scene.stage.ok_kw(&scene.stage.admin, "makeTask", list!["sleep", list![1]], kw).await;
        assert_eq!(scene.lie("host.openTask", list![other]).await.unwrap(), Value::Nil);
        scene.stage.ok(&scene.stage.admin, "removeHostFromChannel", list!["liar.example.com", "default"]).await;
        let task = scene.stage.ok(&scene.stage.admin, "makeTask", list!["sleep", list![1]]).await;
        assert_eq!(scene.lie("host.openTask", list![task.clone()]).await.unwrap(), Value::Nil);
        let opened = scene.stage.ok(&scene.stage.builder, "host.openTask", list![task.clone()]).await;
        assert_eq!(opened.get("id"), &task);
    }

    async fn uploads_go_to_own_tasks_only(db: Db) {
        let scene = Scene::new(db).await;
        let dir = |task: i64| scene.stage.world.hub.paths.taskrelpath(task);
        let upload = |path: String, name: &'static str, sum: &'static str| {
            list![path, name, 1, sum, 0, "eA=="]
        };
        let right = "9dd4e461268c8034f5c8564e155c67a6";
        for (path, name, want) in [
            (dir(scene.task), "y.log", "does not own task"),
            (dir(scene.child), "y.log", "does not own task"),
            (format!("{}/../{}", dir(scene.mine), scene.task), "y.log", ""),
            (format!("{}/../../..", dir(scene.mine)), "y.log", "Invalid upload directory"),
            ("tasks/0/999999".into(), "y.log", "Invalid task upload directory"),
            ("../packages".into(), "y.log", "Invalid upload directory"),
            (dir(scene.mine), "../y.log", "Invalid upload filename"),
            (dir(scene.mine), ".user", "Invalid upload filename"),
        ] {
            let fault = scene.lie("uploadFile", upload(path.clone(), name, right)).await;
            let fault = fault.expect_err(&path).message;
            assert!(fault.contains(want), "{path}/{name}: {fault}");
        }
        let wrong = scene.lie("uploadFile", upload(dir(scene.mine), "y.log", "0000")).await;
        assert_eq!(wrong.unwrap(), Value::Bool(false), "the digest is wrong");
        let path = scene.stage.dir.path().join("work").join(dir(scene.mine)).join("y.log");
        assert!(!path.exists(), "nothing is written of what has a wrong digest");
        let fine = scene.lie("uploadFile", upload(dir(scene.mine), "y.log", right)).await;
        assert_eq!(fine.unwrap(), Value::Bool(true));
        assert_eq!(fs::read_to_string(path).unwrap(), "x");
    }
}
