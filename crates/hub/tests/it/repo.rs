//! Repositories on a database: requests, currency, sweeping.

use toji_db::{Db, Param};
use toji_hub::repo::{Wanted, request, state};
use toji_hub::repod::{Daemon, Scope, sweep};
use toji_testkit::both_databases;
use toji_types::{RepoState, TaskState};
use toji_value::{Map, Value, list, map};

use super::world::World;

/// Requests a repository as the first user; `min_event` as in `repo.request`.
async fn ask(world: &World, tag: i64, min_event: impl Into<Value>) -> Map {
    let mut call = world.call().await;
    let found = toji_hub::tag::need(&mut call, &tag.into(), None.into()).await.unwrap();
    let (min_event, at_event) =
        request::events(&mut call, &found, &min_event.into(), &Value::Nil).await.unwrap();
    let asked = request::Request {
        tag_id: tag,
        wanted: Wanted { min_event, at_event, opts: Map::new() },
        priority: 20,
        owner: world.user,
        force: false,
    };
    let answer = request::make(&mut call, asked).await.unwrap().into_map();
    call.commit().await.unwrap();
    answer
}

async fn set_state(world: &World, repo: i64, to: RepoState) {
    let mut call = world.call().await;
    state::set(&mut call, repo, to).await.unwrap();
    call.commit().await.unwrap();
}

async fn status(world: &World, answer: &Map) -> Value {
    let id = answer.value("request").get("id").clone();
    world.rpc("repo.checkRequest", vec![id], Map::new()).await.unwrap()
}

async fn end_task(world: &World, task: i64, to: TaskState) {
    let params = [Param::Int(to as i64), task.into()];
    world.set("UPDATE task SET state = $1 WHERE id = $2", &params).await;
}

async fn count(world: &World, sql: &str) -> i64 {
    world.get(sql, &[]).await.as_int().unwrap()
}

const REQUESTS: &str = "SELECT count(*) FROM repo_queue WHERE active IS TRUE";

both_databases! {
    async fn a_request_gets_a_task_and_then_a_repository(db: Db) {
        let world = World::new(db, |_| {}).await;
        let mut daemon = Daemon::default();
        let tag = world.tag("f1-build", &[]).await;
        let answer = ask(&world, tag, "last").await;
        assert_eq!((answer.value("repo"), answer.truthy("duplicate")), (&Value::Nil, false));
        assert!(ask(&world, tag, "last").await.truthy("duplicate"));

        let report = daemon.look(&world.hub, Scope::Everything).await.unwrap();
        assert_eq!(report.queue.started, 1);
        let now = status(&world, &answer).await;
        let task = now.get("task").get("id").as_int().unwrap();
        assert_eq!(now.get("task").get("method"), &Value::from("newRepo"));
        assert_eq!(now.get("task").get("priority"), &Value::Int(15));
        assert_eq!(now.get("request").get("tag_name"), &Value::from("f1-build"));
        // the task is under way: nothing more to do
        let report = daemon.look(&world.hub, Scope::Changes).await.unwrap();
        assert_eq!(report.queue.started, 0);

        let repo = world.repo(tag, RepoState::Init, Some(task)).await;
        set_state(&world, repo, RepoState::Ready).await;
        let now = status(&world, &answer).await;
        assert_eq!(now.get("repo").get("id"), &Value::Int(repo));
        assert_eq!(now.get("request").get("active"), &Value::Bool(false));
        // the next one who asks for the same gets it at once
        assert_eq!(ask(&world, tag, "last").await.value("repo").get("id"), &Value::Int(repo));
        let got = world.rpc("repo.get", vec!["f1-build".into()], Map::new()).await.unwrap();
        assert_eq!(got.get("id"), &Value::Int(repo));
        let opts = map! { "opts" => map! { "src" => true } };
        assert_eq!(world.rpc("repo.get", vec![tag.into()], opts).await.unwrap(), Value::Nil);
    }

    async fn a_failing_task_is_tried_again_and_given_up(db: Db) {
        let world = World::new(db, |_| {}).await;
        let mut daemon = Daemon::default();
        let tag = world.tag("f1-build", &[]).await;
        let answer = ask(&world, tag, "last").await;
        for tries in 1..=4 {
            daemon.look(&world.hub, Scope::Changes).await.unwrap();
            let now = status(&world, &answer).await;
            assert_eq!(now.get("request").get("tries"), &Value::Int(tries));
            end_task(&world, now.get("task").get("id").as_int().unwrap(), TaskState::Failed).await;
        }
        let report = daemon.look(&world.hub, Scope::Changes).await.unwrap();
        assert_eq!((report.queue.given_up, report.queue.started), (1, 0));
        let now = status(&world, &answer).await;
        assert_eq!(now.get("request").get("active"), &Value::Bool(false));
    }

    async fn only_so_many_tasks_at_a_time(db: Db) {
        let world = World::new(db, |config| config.repo.max_repo_tasks = 2).await;
        for name in ["a", "b", "c"] {
            let tag = world.tag(name, &[]).await;
            ask(&world, tag, "last").await;
        }
        let report = Daemon::default().look(&world.hub, Scope::Changes).await.unwrap();
        assert_eq!((report.queue.started, report.queue.held_back), (2, 1));
    }

    async fn a_burst_of_changes_makes_one_more_repository(db: Db) {
        let world = World::new(db, |_| {}).await;
        let mut daemon = Daemon::default();
        let base = world.tag("base", &[]).await;
        let build = world.tag("build", &[base]).await;
        world.target("target", build).await;
        let report = daemon.look(&world.hub, Scope::Everything).await.unwrap();
        assert_eq!((report.requested, report.queue.started), (1, 1));
        let repo = world.repo(build, RepoState::Init, None).await;
        // while it is being made, its parent changes several times
        for n in ["1", "2", "3"] {
            world.extra(base, "n", n).await;
            let report = daemon.look(&world.hub, Scope::Changes).await.unwrap();
            assert_eq!(report.requested, 0);
        }
        let ends = "SELECT end_event FROM repo WHERE id = $1";
        let end = world.get(ends, &[repo.into()]).await;
        assert!(end.as_int() > Some(0), "{end:?}");
        set_state(&world, repo, RepoState::Ready).await;
        assert_eq!(count(&world, REQUESTS).await, 0);
        let report = daemon.look(&world.hub, Scope::Changes).await.unwrap();
        assert_eq!((report.requested, report.queue.started), (1, 1));

        let next = world.repo(build, RepoState::Init, None).await;
        set_state(&world, next, RepoState::Ready).await;
        let report = daemon.look(&world.hub, Scope::Everything).await.unwrap();
        assert_eq!((report.outdated, report.requested), (0, 0));
        assert_eq!(world.get(ends, &[next.into()]).await, Value::Nil);
        assert_eq!(count(&world, REQUESTS).await, 0);
    }

    async fn tags_may_stay_out_or_ask_to_be_in(db: Db) {
        let world = World::new(db, |_| {}).await;
        let mut daemon = Daemon::default();
        let out = world.tag("out", &[]).await;
        world.target("target", out).await;
        world.extra(out, "repo.auto", "false").await;
        let side = world.tag("side", &[]).await;
        world.extra(side, "repo.auto", "true").await;
        let report = daemon.look(&world.hub, Scope::Changes).await.unwrap();
        assert_eq!(report.requested, 0);
        let report = daemon.look(&world.hub, Scope::Automatic).await.unwrap();
        assert_eq!(report.requested, 1);
        let queue = world.rpc("repo.queryQueue", vec![], map! { "fields" => list!["tag_name", "priority"] });
        assert_eq!(queue.await.unwrap(), list![map! { "tag_name" => "side", "priority" => 25 }]);
    }

    async fn a_hopeless_tag_is_left_until_it_changes(db: Db) {
        let world = World::new(db, |config| config.repo.repo_retries = 0).await;
        let mut daemon = Daemon::default();
        let tag = world.tag("build", &[]).await;
        world.target("target", tag).await;
        daemon.look(&world.hub, Scope::Everything).await.unwrap();
        world.set("UPDATE task SET state = 5", &[]).await;
        let report = daemon.look(&world.hub, Scope::Everything).await.unwrap();
        assert_eq!((report.queue.given_up, report.requested), (1, 0));
        let report = daemon.look(&world.hub, Scope::Everything).await.unwrap();
        assert_eq!(report.requested, 0);
        world.extra(tag, "n", "1").await;
        let report = daemon.look(&world.hub, Scope::Changes).await.unwrap();
        assert_eq!(report.requested, 1);
    }

    async fn what_nobody_needs_goes(db: Db) {
        let dir = tempfile::tempdir().unwrap();
        let world = World::new(db, |config| config.topdir = dir.path().to_owned()).await;
        let tag = world.tag("build", &[]).await;
        world.target("target", tag).await;
        let old = world.repo(tag, RepoState::Ready, None).await;
        world.extra(tag, "n", "1").await;
        let newest = world.repo(tag, RepoState::Ready, None).await;
        world.extra(tag, "n", "2").await;
        let stuck = world.repo(tag, RepoState::Init, None).await;
        let fresh = world.repo(tag, RepoState::Init, None).await;
        Daemon::default().look(&world.hub, Scope::Everything).await.unwrap();
        let path = std::path::PathBuf::from(world.hub.paths.repo(old, "build"));
        std::fs::create_dir_all(path.join("x86_64")).unwrap();
        let long_ago = "UPDATE repo SET state_time = toji_ago(700000.0), creation_time = toji_ago(700000.0) WHERE id <> $1";
        world.set(long_ago, &[fresh.into()]).await;
        let states = async || {
            let rows = world.rpc("repo.query", vec![list![]], map! { "fields" => list!["id", "state"], "opts" => map! { "order" => "id" } });
            let rows = rows.await.unwrap();
            rows.as_array().unwrap().iter().map(|r| r.get("state").as_int().unwrap()).collect::<Vec<_>>()
        };
        sweep::run(&world.hub).await;
        assert_eq!(states().await, [2, 1, 4, 0], "old {old}, newest {newest}, stuck {stuck}");
        assert!(path.exists());
        world.set(long_ago, &[fresh.into()]).await;
        sweep::run(&world.hub).await;
        assert_eq!(states().await, [3, 1, 3, 0]);
        assert!(!path.exists());
    }

    async fn moves_and_mistakes(db: Db) {
        let world = World::new(db, |_| {}).await;
        let tag = world.tag("build", &[]).await;
        let repo = world.repo(tag, RepoState::Ready, None).await;
        set_state(&world, repo, RepoState::Ready).await;
        set_state(&world, repo, RepoState::Expired).await;
        let mut call = world.call().await;
        let fault = state::set(&mut call, repo, RepoState::Ready).await.unwrap_err();
        assert_eq!(fault.message, format!("Invalid repo state transition for repo {repo}: EXPIRED -> READY"));
        drop(call);
        set_state(&world, repo, RepoState::Deleted).await;
        let mut call = world.call().await;
        let fault = state::set(&mut call, repo, RepoState::Problem).await.unwrap_err();
        assert_eq!(fault.message, format!("Repo {repo} is deleted"));
        drop(call);
        for (method, args, want) in [
            ("repo.checkRequest", vec![Value::Int(99)], "No such request"),
            ("repoInfo", vec![99.into(), true.into()], "query returned no rows"),
            ("repo.get", vec!["zzz".into()], "No such entry in table tag: zzz"),
            ("repo.get", vec![tag.into(), Value::Nil, Value::Nil, map! { "a" => 1 }.into()], "Invalid repo option: a"),
            ("repo.request", vec![tag.into()], "you must be logged in for this operation"),
            ("repoExpire", vec![1.into()], "repo permission required (user not logged in)"),
        ] {
            let fault = world.rpc(method, args, Map::new()).await.unwrap_err();
            assert_eq!(fault.message, want, "{method}");
        }
        assert_eq!(world.rpc("repoInfo", vec![99.into()], Map::new()).await.unwrap(), Value::Nil);
        assert_eq!(world.rpc("getRepo", vec![tag.into()], Map::new()).await.unwrap(), Value::Nil);
        let deleted = map! { "state" => 3 };
        let found = world.rpc("getRepo", vec![tag.into()], deleted).await.unwrap();
        assert_eq!(found.get("tag_name"), &Value::from("build"));
        assert_eq!(world.rpc("getActiveRepos", vec![], Map::new()).await.unwrap(), list![]);
    }
}
