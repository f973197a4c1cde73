//! Builders with a live connection: what they say is written together, and whoever is lost loses the tasks.

use std::time::Duration;

use toji_bus::Bus;
use toji_db::{Db, Engine};
use toji_hub::Hub;
use toji_hub::live::{Limits, Resources, Said, flush};
use toji_hub::scheduler::{run_once, serve};
use toji_testkit::{TestDb, both_databases};
use toji_types::TaskState;
use toji_value::{Value, list};

use super::people::{DONE, Stage};
use super::world::World;

fn ready() -> Said {
    Said { ready: true, ..Said::default() }
}

async fn explained(world: &World, task: i64) -> (String, String) {
    let answer =
        world.rpc("scheduler.explain", vec![task.into()], Default::default()).await.unwrap();
    let host = &answer.get("hosts").as_array().unwrap()[0];
    (answer.get("reason").display(), host.get("reason").display())
}

both_databases! {
    async fn five_hundred_idle_hosts_cost_a_handful_of_statements(db: Db) {
        let world = World::new(db, |_| {}).await;
        let mut hosts = Vec::new();
        for n in 0..500 {
            hosts.push(world.host(&format!("b{n}")).await);
        }
        world.set("UPDATE host SET ready = FALSE, update_time = toji_ago(500.0)", &[]).await;
        let live = &world.hub.live;
        for host in &hosts {
            let connection = live.attach(*host, 0);
            live.say(connection, ready(), &Limits::default());
        }
        flush(&world.hub, false).await.unwrap();
        let count = "SELECT count(*) FROM host WHERE ready IS TRUE AND update_time > toji_ago(60.0)";
        assert_eq!(world.get(count, &[]).await, Value::Int(500));
        world.set("UPDATE host SET update_time = toji_ago(500.0)", &[]).await;
        flush(&world.hub, false).await.unwrap();
        assert_eq!(world.get(count, &[]).await, Value::Int(0), "nothing has changed");
        let before = world.hub.db.statement_count();
        flush(&world.hub, true).await.unwrap();
        let statements = world.hub.db.statement_count() - before;
        assert!(statements <= 8, "{statements} statements");
        assert_eq!(world.get(count, &[]).await, Value::Int(500));
    }

    async fn a_lost_host_loses_its_tasks_and_its_late_result_is_refused(db: Db) {
        let stage = Stage::new(db).await;
        let (world, host) = (&stage.world, stage.host);
        let other = world.host("other").await;
        let live = &world.hub.live;
        let connection = live.attach(host, 0);
        live.say(connection, ready(), &Limits::default());
        flush(&world.hub, false).await.unwrap();
        let task = stage.open_task("sleep", list![1]).await;
        world.set("INSERT INTO scheduler_task_runs (task_id, host_id) SELECT id, host_id FROM task", &[]).await;
        live.detach(connection);
        flush(&world.hub, false).await.unwrap();
        assert_eq!(world.get("SELECT ready FROM host WHERE id = $1", &[host.into()]).await, Value::Bool(false));
        assert_eq!(run_once(&world.hub, false).await.unwrap().freed, 0, "it may come back");
        let mut alone = stage.ok(&stage.admin, "makeTask", list!["sleep", list![1]]).await.as_int().unwrap();
        world.set("UPDATE host SET ready = FALSE WHERE id = $1", &[other.into()]).await;
        let (_, why) = explained(world, alone).await;
        assert!(why.starts_with("lost for "), "{why}");
        world.set("UPDATE host SET ready = TRUE WHERE id = $1", &[other.into()]).await;

        world.set("UPDATE toji_host_stream SET lost = toji_ago(21.0)", &[]).await;
        world.set("UPDATE host SET update_time = toji_ago(30.0) WHERE id = $1", &[host.into()]).await;
        assert_eq!(run_once(&world.hub, false).await.unwrap().freed, 1);
        run_once(&world.hub, false).await.unwrap();
        let holder = "SELECT host_id FROM task WHERE id = $1";
        assert_eq!(world.get(holder, &[task.into()]).await, Value::Int(other));
        let refused = stage.refused(&stage.builder, "host.closeTask", list![task, DONE]).await;
        assert_eq!(refused, format!("host {host} does not own task {task}"));

        // One that asks, as a builder without a live connection does, is not lost.
        stage.ok(&stage.builder, "host.updateHost", list![0.0, true]).await;
        world.set("UPDATE host SET ready = FALSE WHERE id = $1", &[other.into()]).await;
        alone = stage.ok(&stage.admin, "makeTask", list!["sleep", list![1]]).await.as_int().unwrap();
        run_once(&world.hub, false).await.unwrap();
        assert_eq!(world.get(holder, &[alone.into()]).await, Value::Int(host));
    }

    async fn a_host_that_was_taken_for_silent_is_ready_again(db: Db) {
        let world = World::new(db, |_| {}).await;
        let host = world.host("builder").await;
        let live = &world.hub.live;
        let connection = live.attach(host, 0);
        live.say(connection, ready(), &Limits::default());
        flush(&world.hub, true).await.unwrap();
        // The database was away for longer than `ReadyTimeout`, and the scheduler is the first to be back.
        world.set("UPDATE host SET update_time = toji_ago(500.0)", &[]).await;
        assert_eq!(run_once(&world.hub, true).await.unwrap().silent, 1);
        world.task("default", "noarch", 20).await;
        assert_eq!(run_once(&world.hub, true).await.unwrap().assigned, 0);
        flush(&world.hub, true).await.unwrap();
        assert_eq!(run_once(&world.hub, true).await.unwrap().assigned, 1);
    }

    async fn a_connection_that_ended_before_it_was_noted_is_lost_too(db: Db) {
        let world = World::new(db, |_| {}).await;
        let host = world.host("builder").await;
        let live = &world.hub.live;
        let connection = live.attach(host, 0);
        live.say(connection, ready(), &Limits::default());
        live.detach(connection);
        flush(&world.hub, false).await.unwrap();
        assert_eq!(world.get("SELECT ready FROM host WHERE id = $1", &[host.into()]).await, Value::Bool(false));
    }

    async fn a_host_under_pressure_is_left_alone_and_says_so(db: Db) {
        let world = World::new(db, |_| {}).await;
        let host = world.host("builder").await;
        let task = world.task("default", "noarch", 20).await;
        let live = &world.hub.live;
        let connection = live.attach(host, 0);
        live.say(connection, ready(), &Limits::default());
        let short = Resources { memory_free_mib: Some(3), ..Resources::default() };
        live.measure(connection, short, &Limits::default());
        flush(&world.hub, false).await.unwrap();
        assert_eq!(run_once(&world.hub, false).await.unwrap().assigned, 0);
        let why = ("under pressure: 1 host", "has too little left: free memory 3 MiB");
        assert_eq!(explained(&world, task).await, (why.0.to_owned(), why.1.to_owned()));
        live.measure(connection, Resources::default(), &Limits::default());
        flush(&world.hub, false).await.unwrap();
        assert_eq!(run_once(&world.hub, false).await.unwrap().assigned, 1);
        let answer = world.rpc("scheduler.explain", vec![task.into()], Default::default()).await.unwrap();
        assert_eq!(answer.get("reason"), &"assigned to builder, which has not opened it yet".into());
    }

    async fn what_took_long_in_earlier_builds_goes_first(db: Db) {
        let world = World::new(db, |_| {}).await;
        let host = world.host("builder").await;
        world.set("INSERT INTO package (name) VALUES ('thing')", &[]).await;
        let mut parents = Vec::new();
        for version in ["1", "2"] {
            parents.push(world.task("default", "noarch", 20).await);
            let sql = "INSERT INTO build (volume_id, pkg_id, version, release, create_event, state, completion_time, task_id, owner)
                       SELECT 0, (SELECT id FROM package), $1::text, '1', (SELECT max(id) FROM events), 1, NOW(), $2::int, $3::int";
            world.set(sql, &[version.into(), parents[1 - usize::from(version == "1")].into(), world.user.into()]).await;
        }
        world.set("UPDATE task SET state = 2, completion_time = NOW()", &[]).await;
        let sql = "INSERT INTO task (state, owner, method, channel_id, arch, parent, weight, priority, start_time, completion_time)
                   SELECT $1::int, owner, 'buildArch', channel_id, $2::text, id, 1.5, 19, toji_ago($3), CASE WHEN $1::int = 2 THEN toji_ago(0.0) END FROM task WHERE id = $4";
        for (arch, seconds) in [("i686", 100.0), ("x86_64", 900.0)] {
            world.set(sql, &[2.into(), arch.into(), seconds.into(), parents[0].into()]).await;
            world.set(sql, &[0.into(), arch.into(), seconds.into(), parents[1].into()]).await;
        }
        world.set("UPDATE task SET start_time = NULL WHERE state = 0", &[]).await;
        world.set("UPDATE host_config SET capacity = 1.5", &[]).await;
        let longest = world.get("SELECT id FROM task WHERE state = 0 AND arch = 'x86_64'", &[]).await;
        let answer = world.rpc("scheduler.explain", vec![longest.clone()], Default::default()).await.unwrap();
        assert_eq!(answer.get("expected"), &Value::Double(900.0));
        assert_eq!(answer.get("position"), &Value::Int(1));
        assert_eq!(run_once(&world.hub, false).await.unwrap().assigned, 1);
        let first = world.get("SELECT id FROM task WHERE host_id = $1", &[host.into()]).await;
        assert_eq!(first, longest);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_hub_schedules_when_the_first_leaves() {
    let test = TestDb::new(Engine::Postgres).await;
    let world = World::new(test.db.clone(), |_| {}).await;
    let second = Hub::new(test.reopen().await, Bus::new(), world.hub.config.clone());
    world.host("builder").await;
    world.set("UPDATE host_config SET capacity = 1.5", &[]).await;
    let assigned = async |task: i64| {
        for _ in 0..400 {
            let state = world.get("SELECT state FROM task WHERE id = $1", &[task.into()]).await;
            if state == Value::Int(TaskState::Assigned as i64) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let first = tokio::spawn(serve(world.hub.clone(), async { stopped.await.unwrap_or(()) }));
    let task = world.task("default", "noarch", 20).await;
    assert!(assigned(task).await);
    let relay = tokio::spawn(toji_hub::relay::run(second.clone()));
    let other = tokio::spawn(serve(second, std::future::pending()));
    let holder = world.get("SELECT holder FROM toji_lease", &[]).await;
    // killed, not ended in order: the lease runs out
    first.abort();
    let task = world.task("default", "noarch", 20).await;
    assert!(assigned(task).await);
    assert_ne!(world.get("SELECT holder FROM toji_lease", &[]).await, holder);
    drop(stop);
    other.abort();
    relay.abort();
}
