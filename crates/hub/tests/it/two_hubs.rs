//! Two hubs on one PostgreSQL database: no update is lost, no deadlock reaches a caller, history stays sound.

use std::collections::BTreeSet;
use std::sync::Arc;

use toji_bus::Bus;
use toji_db::admin::Server;
use toji_db::{Engine, Param, integrity, versioned};
use toji_hub::{Hub, Request};
use toji_testkit::TestDb;
use toji_types::TaskState;
use toji_value::{Args, Fault, Value, code, list, map};

use super::people::{DONE, Stage};

/// Two hubs with pools of their own; the stage belongs to the first.
pub(super) struct Pair {
    pub(super) stage: Stage,
    pub(super) hubs: [Hub; 2],
    pub(super) test: TestDb,
}

impl Pair {
    pub(super) async fn new() -> Arc<Pair> {
        Pair::on(Engine::Postgres).await
    }

    /// On SQLite both are the same hub: its file is for one process.
    pub(super) async fn on(engine: Engine) -> Arc<Pair> {
        let test = TestDb::new(engine).await;
        let stage = Stage::new(test.db.clone()).await;
        let other = match engine {
            Engine::Sqlite => stage.world.hub.clone(),
            Engine::Postgres => {
                let config = stage.world.hub.config.clone();
                Hub::new(test.reopen().await, Bus::new(), config)
            }
        };
        Arc::new(Pair { hubs: [stage.world.hub.clone(), other], stage, test })
    }

    pub(super) async fn call(
        &self,
        hub: usize,
        who: &Request,
        method: &str,
        args: Value,
    ) -> Result<Value, Fault> {
        // the last argument may carry keywords, as clients send them
        let args = Args::decode(args.as_array().unwrap().to_vec());
        self.hubs[hub % 2].call(who, method, args).await
    }

    pub(super) async fn ok(&self, hub: usize, method: &str, args: Value) -> Value {
        let done = self.call(hub, &self.stage.admin, method, args).await;
        done.unwrap_or_else(|fault| panic!("{method}: {fault}"))
    }

    /// Everything that must hold in the end.
    pub(super) async fn is_sound(&self) {
        let faults = integrity::faults(&mut self.test.db.begin()).await.unwrap();
        assert_eq!(faults, Vec::<String>::new());
    }

    async fn state(&self, task: Value) -> TaskState {
        let info = self.ok(0, "getTaskInfo", list![task]).await;
        TaskState::try_from(info.get("state").as_int().unwrap()).unwrap()
    }

    pub(super) async fn count(&self, sql: &'static str) -> i64 {
        self.test.db.begin().scalar(sql, &[]).await.unwrap()
    }
}

pub(super) type Step = (&'static str, Value);

/// Workers on both hubs who call what `step` says for a worker and a round; gives what was refused.
///
/// Panics at a refusal that tells of another transaction, or of a defect.
pub(super) async fn storm(
    pair: &Arc<Pair>,
    workers: usize,
    rounds: usize,
    step: impl Fn(usize, usize) -> Step + Send + Sync + 'static,
) -> Vec<Fault> {
    let step = Arc::new(step);
    let mut all = tokio::task::JoinSet::new();
    for worker in 0..workers {
        let (pair, step) = (pair.clone(), step.clone());
        all.spawn(async move {
            let mut refused = Vec::new();
            for round in 0..rounds {
                let (method, args) = step(worker, round);
                if let Err(fault) = pair.call(worker, &pair.stage.admin, method, args).await {
                    let wrong = [code::LOCK, code::UNEXPECTED].contains(&fault.code)
                        || fault.message.contains("the same key");
                    assert!(!wrong, "{method} by {worker}: {fault}");
                    refused.push(fault);
                }
            }
            refused
        });
    }
    let mut refused = Vec::new();
    while let Some(out) = all.join_next().await {
        refused.extend(out.unwrap());
    }
    refused
}

/// A number that looks like chance, the same in every run.
fn chance(worker: usize, round: usize, below: usize) -> usize {
    let mixed = (worker * 7919 + round * 104_729 + 17).wrapping_mul(2_654_435_761);
    (mixed >> 9) % below
}

/// A storm on either engine: at two hubs on PostgreSQL, at one on SQLite.
macro_rules! storms {
    ($($name:ident => $body:path;)+) => {$(
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                $body($crate::it::two_hubs::Pair::on(toji_db::Engine::Postgres).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                $body($crate::it::two_hubs::Pair::on(toji_db::Engine::Sqlite).await).await;
            }
        }
    )+};
}
pub(super) use storms;

storms! {
    tags_in_a_storm => super::tags;
    no_edit_is_lost => super::edits;
    groups_and_permissions => super::people;
    one_name_is_one_build => super::names;
}

async fn tags(pair: Arc<Pair>) {
    for tag in ["a", "b"] {
        pair.ok(0, "createTag", list![tag]).await;
        pair.ok(0, "packageListAdd", list![tag, "thing", "alice"]).await;
    }
    for version in ["1", "2", "3"] {
        pair.ok(0, "createEmptyBuild", list!["thing", version, "1", Value::Nil]).await;
    }
    let refused = storm(&pair, 8, 30, |worker, round| {
        let tag = ["a", "b"][chance(worker, round, 2)];
        let build = format!("thing-{}-1", 1 + chance(round, worker, 3));
        match chance(worker + 3, round, 3) {
            0 => ("tagBuildBypass", list![tag, build]),
            1 => ("tagBuildBypass", list![tag, build, true]),
            _ => ("untagBuildBypass", list![tag, build]),
        }
    })
    .await;
    assert!(
        refused.iter().all(|f| f.code == code::TAG || f.message.contains("not in tag")),
        "{refused:?}"
    );
    pair.is_sound().await;
}

async fn edits(pair: Arc<Pair>) {
    pair.ok(0, "createTag", list!["t"]).await;
    pair.ok(0, "packageListAdd", list!["t", "thing", "alice"]).await;
    pair.ok(0, "groupListAdd", list!["t", "build"]).await;
    const ROUNDS: usize = 12;
    let refused = storm(&pair, 8, ROUNDS, |worker, round| {
        let last = round + 1 == ROUNDS;
        match worker {
            0 => (
                "editTag2",
                list!["t", map! { "__starstar" => true, "arches" => format!("arch{round}") }],
            ),
            1 => (
                "editTag2",
                list!["t", map! { "__starstar" => true, "locked" => last || round % 2 == 0 }],
            ),
            2 => (
                "packageListSetOwner",
                list!["t", "thing", if last || round % 2 == 0 { "root" } else { "alice" }],
            ),
            3 => ("packageListSetArches", list!["t", "thing", format!("arch{round}"), true]),
            4 => (
                "groupListAdd",
                list![
                    "t",
                    "build",
                    false,
                    false,
                    map! { "__starstar" => true, "description" => format!("{round}") }
                ],
            ),
            5 => (
                "groupListAdd",
                list![
                    "t",
                    "build",
                    false,
                    false,
                    map! { "__starstar" => true, "uservisible" => last || round % 2 == 0 }
                ],
            ),
            _ => {
                let extra = map! { format!("key{worker}") => round as i64 };
                ("editTag2", list!["t", map! { "__starstar" => true, "extra" => extra }])
            }
        }
    })
    .await;
    assert_eq!(refused.len(), 0, "{refused:?}");
    let last = (ROUNDS - 1) as i64;
    let tag = pair.ok(1, "getTag", list!["t"]).await;
    assert_eq!(tag.get("arches"), &format!("arch{last}").into());
    assert_eq!(tag.get("locked"), &Value::Bool(true));
    assert_eq!(tag.get("extra"), &map! { "key6" => last, "key7" => last }.into());
    let package = pair.ok(1, "getPackageConfig", list!["t", "thing"]).await;
    assert_eq!(package.get("owner_name"), &"root".into());
    assert_eq!(package.get("extra_arches"), &format!("arch{last}").into());
    let group = pair.ok(1, "getTagGroups", list!["t"]).await.as_array().unwrap()[0].clone();
    assert_eq!(group.get("description"), &last.to_string().into());
    assert_eq!(group.get("uservisible"), &Value::Bool(true));
    pair.is_sound().await;
}

async fn people(pair: Arc<Pair>) {
    pair.ok(0, "newGroup", list!["team"]).await;
    let refused =
        storm(&pair, 8, 20, |worker, round| match (chance(worker, round, 2), worker % 2) {
            (0, 0) => ("grantPermission", list!["alice", "tag"]),
            (_, 0) => ("revokePermission", list!["alice", "tag"]),
            (0, _) => ("addGroupMember", list!["team", "alice"]),
            (_, _) => ("dropGroupMember", list!["team", "alice"]),
        })
        .await;
    assert!(refused.iter().all(|f| f.code == code::GENERIC), "{refused:?}");
    // what is there now can be changed like anything else
    let _ = pair.call(0, &pair.stage.admin, "revokePermission", list!["alice", "tag"]).await;
    pair.ok(1, "grantPermission", list!["alice", "tag"]).await;
    assert_eq!(pair.ok(0, "getUserPerms", list!["alice"]).await, list!["tag"]);
    pair.is_sound().await;
}

async fn names(pair: Arc<Pair>) {
    let refused =
        storm(&pair, 8, 1, |_, _| ("createEmptyBuild", list!["thing", "1", "1", Value::Nil])).await;
    assert_eq!(refused.len(), 7, "{refused:?}");
    assert!(
        refused.iter().all(|f| f.message.starts_with("Build already exists (id=")),
        "{refused:?}"
    );

    // each takes the next release until it has one of its own
    let mut all = tokio::task::JoinSet::new();
    for worker in 0..6 {
        let pair = pair.clone();
        all.spawn(async move {
            loop {
                let wanted = list![map! { "name" => "thing", "version" => "2" }];
                let release = pair.ok(worker, "getNextRelease", wanted).await;
                let args = list!["thing", "2", release, Value::Nil];
                match pair.call(worker, &pair.stage.admin, "createEmptyBuild", args).await {
                    Ok(_) => return,
                    Err(fault) => assert!(fault.message.contains("already exists"), "{fault}"),
                }
            }
        });
    }
    while let Some(out) = all.join_next().await {
        out.unwrap();
    }
    let sql = "SELECT release FROM build WHERE version = '2' ORDER BY id";
    let rows = pair.test.db.begin().query(sql, &[]).await.unwrap();
    let releases: BTreeSet<String> = rows.iter().map(|r| r.get("release").unwrap()).collect();
    assert_eq!(releases, (1..=6).map(|n| n.to_string()).collect());
    pair.is_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn either_cancelled_or_complete() {
    let pair = Pair::new().await;
    let stage = &pair.stage;
    let mut won = [0, 0];
    for n in 0..20i64 {
        let parent = stage.open_task("build", list![n]).await;
        let child =
            stage.ok(&stage.builder, "host.subtask", list!["buildArch", list![n], parent]).await;
        stage.ok(&stage.builder, "host.openTask", list![child.clone()]).await;
        let data = map! {
            "task_id" => parent, "name" => "thing", "version" => n.to_string(), "release" => "1", "epoch" => Value::Nil,
        };
        let build = stage.ok(&stage.builder, "host.initBuild", list![data]).await;
        let (cancel, close, below) = tokio::join!(
            pair.call(0, &stage.admin, "cancelTask", list![parent]),
            pair.call(1, &stage.builder, "host.closeTask", list![parent, DONE]),
            pair.call(1, &stage.builder, "host.closeTask", list![child.clone(), DONE]),
        );
        for out in [&cancel, &close, &below] {
            let code = out.as_ref().err().map(|f| f.code);
            assert!(![Some(code::LOCK), Some(code::UNEXPECTED)].contains(&code), "{out:?}");
        }
        let parent = pair.state(parent.into()).await;
        let child = pair.state(child).await;
        let build = pair.ok(0, "getBuild", list![build]).await.get("state").as_int();
        match parent {
            TaskState::Canceled => {
                assert!(close.is_err() && child.is_finished(), "{close:?}, {child}");
                assert_eq!(build, Some(4), "the build is cancelled with its task");
                won[0] += 1;
            }
            TaskState::Closed => {
                assert!(close.is_ok(), "{close:?}");
                assert_eq!(build, Some(0), "nobody cancelled it");
                won[1] += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(won[0] + won[1], 20);
    pair.is_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_task_is_assigned_once() {
    let pair = Pair::new().await;
    let world = &pair.stage.world;
    for name in ["a", "b", "c"] {
        world.host(name).await;
    }
    for _ in 0..30 {
        world.task("default", "noarch", 20).await;
    }
    let mut all = tokio::task::JoinSet::new();
    for worker in 0..4 {
        let hub = pair.hubs[worker % 2].clone();
        all.spawn(async move {
            let mut assigned = 0;
            for round in 0..6 {
                // a deadlock with another one is the loop's to try again
                if let Ok(report) = toji_hub::scheduler::run_once(&hub, round % 3 == 0).await {
                    assigned += report.assigned as i64;
                }
            }
            assigned
        });
    }
    let mut assigned = 0;
    while let Some(out) = all.join_next().await {
        assigned += out.unwrap();
    }
    let most = "SELECT max(n) FROM (SELECT count(*) AS n FROM task WHERE state = 4 GROUP BY host_id) AS hosts";
    assert_eq!(pair.count(most).await, 2, "the capacity of a host");
    assert_eq!(pair.count("SELECT count(*) FROM task WHERE state = 4").await, assigned);
    assert_eq!(pair.count("SELECT count(*) FROM scheduler_task_runs").await, assigned);
    pair.is_sound().await;
}

#[tokio::test]
async fn whoever_holds_the_lock_schedules() {
    let pair = Pair::new().await;
    let holder = Server::connect(&pair.test.url).await.unwrap();
    holder
        .batch("BEGIN; SELECT name FROM locks WHERE name = 'scheduler' FOR UPDATE")
        .await
        .unwrap();
    for hub in 0..2 {
        assert_eq!(pair.ok(hub, "scheduler.doRun", list![]).await, Value::Bool(false));
    }
    // the process dies, and its connection with it
    drop(holder);
    let forced = pair.ok(1, "scheduler.doRun", list![true]).await;
    assert_eq!(forced, Value::Bool(true));
    pair.is_sound().await;
}

/// Another program that has made an event and not committed it.
async fn pending_change(pair: &Pair, tag: &Value) -> Server {
    let other = Server::connect(&pair.test.url).await.unwrap();
    let sql = format!(
        "BEGIN; INSERT INTO tag_extra (tag_id, key, value, creator_id) VALUES ({}, 'late', '1', 1)",
        tag.as_int().unwrap()
    );
    other.batch(&sql).await.unwrap();
    other
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repository_waits_for_older_events() {
    let pair = Pair::new().await;
    let tag = pair.ok(0, "createTag", list!["t", Value::Nil, "x86_64"]).await;
    let task = pair.stage.open_task("newRepo", list!["t"]).await;
    let other = pending_change(&pair, &tag).await;
    pair.ok(0, "createTag", list!["something-newer"]).await;
    let newest = pair.count("SELECT max(id) FROM events").await;
    let making = {
        let pair = pair.clone();
        tokio::spawn(async move {
            pair.call(1, &pair.stage.builder, "host.repoInit", list!["t", task]).await
        })
    };
    other.batch("COMMIT").await.unwrap();
    let made = making.await.unwrap().unwrap();
    let event = made.as_array().unwrap()[1].as_int().unwrap();
    assert_eq!(event, newest);
    let late = pair.count("SELECT create_event FROM tag_extra WHERE key = 'late'").await;
    assert!(late < event);
    let id = made.as_array().unwrap()[0].clone();
    let repo = pair.ok(0, "repoInfo", list![id]).await;
    assert_eq!(repo.get("begin_event"), &Value::Int(late), "it knows of the late change");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repository_promises_only_what_it_shows() {
    let pair = Pair::new().await;
    let tag = pair.ok(0, "createTag", list!["t", Value::Nil, "x86_64"]).await;
    let before = pair.count("SELECT max(id) FROM events").await;
    let task = pair.stage.open_task("newRepo", list!["t"]).await;
    let other = pending_change(&pair, &tag).await;
    pair.ok(0, "createTag", list!["something-newer"]).await;
    let made = pair.call(1, &pair.stage.builder, "host.repoInit", list!["t", task]).await.unwrap();
    let made = made.as_array().unwrap().to_vec();
    assert_eq!(made[1], Value::Int(before), "the newest event that is settled");
    // an explicit event that is not settled is refused
    let newest = pair.count("SELECT max(id) FROM events").await;
    let args = list!["t", task, newest];
    let refused = pair.call(1, &pair.stage.builder, "host.repoInit", args).await;
    assert_eq!(refused.unwrap_err().code, code::LOCK);
    other.batch("COMMIT").await.unwrap();
    let late = pair.count("SELECT create_event FROM tag_extra WHERE key = 'late'").await;
    assert!(late > before, "the late change makes that repository out of date");
    let first = pair.ok(0, "tagFirstChangeEvent", list!["t", before]).await;
    assert_eq!(first, Value::Int(late));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadlock_reaches_no_caller() {
    let pair = Pair::new().await;
    for name in ["x", "y"] {
        pair.ok(0, "createTag", list![name]).await;
    }
    // each pair of edits takes the same rows in the other order, within one transaction
    let refused = storm(&pair, 4, 5, |worker, round| {
        let order = if worker % 2 == 0 { ["x", "y"] } else { ["y", "x"] };
        let calls = order.map(|tag| {
            let extra = map! { format!("key{worker}") => round as i64 };
            let args = list![tag, map! { "__starstar" => true, "extra" => extra }];
            Value::from(map! { "methodName" => "editTag2", "params" => args })
        });
        ("multiCall", list![Value::Array(calls.to_vec())])
    })
    .await;
    assert_eq!(refused.len(), 0);
    for name in ["x", "y"] {
        let tag = pair.ok(0, "getTag", list![name]).await;
        for worker in 0..4 {
            assert_eq!(tag.get("extra").get(&format!("key{worker}")), &Value::Int(4), "{name}");
        }
    }
    pair.is_sound().await;
}

#[tokio::test]
async fn the_same_sequences_and_sessions() {
    let pair = Pair::new().await;
    // a session of the one hub is one of the other
    let who = pair.ok(1, "getLoggedInUser", list![]).await;
    assert_eq!(who.get("name"), &"root".into());
    let mut ids = BTreeSet::new();
    for round in 0..10 {
        let mut tx = pair.hubs[round % 2].db.begin();
        assert!(ids.insert(versioned::next_id(&mut tx, "build").await.unwrap()));
        let row: [(&str, Param); 1] = [("name", format!("p{round}").into())];
        versioned::insert_id(&mut tx, "package", &row).await.unwrap();
        tx.commit().await.unwrap();
    }
    assert_eq!(pair.count("SELECT count(DISTINCT id) FROM package").await, 10);
}
