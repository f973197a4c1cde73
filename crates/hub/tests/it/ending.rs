//! What must have arrived before something ends, who may end it, and who gets it next; more races of other build farms, by name.

use std::fs;
use std::time::Duration;

use futures::stream;
use sha2::{Digest, Sha256};
use toji_db::Db;
use toji_hub::Request;
use toji_hub::live::{Limits, Said, flush};
use toji_hub::scheduler::{run_once, serve};
use toji_hub::upload::parts::Announced;
use toji_testkit::both_databases;
use toji_types::{BuildState, TaskState};
use toji_value::{Value, code, list, map};

use super::build::packages;
use super::people::{Stage, login};

/// How often a race is run.
const TIMES: usize = 25;
const NAME: &str = "builder.example.com";

fn sha256(data: &[u8]) -> String {
    hex::encode(Sha256::digest(data))
}

fn content_of(data: Vec<u8>) -> impl futures::Stream<Item = Result<bytes::Bytes, String>> + Unpin {
    stream::iter([Ok(data.into())])
}

async fn token(stage: &Stage, task: i64) -> String {
    let answer = stage.ok(&stage.builder, "host.uploadToken", list![task]).await;
    answer.get("token").as_str().unwrap().to_owned()
}

fn announced(task_id: i64, path: &str, content: &[u8]) -> Announced {
    let size = content.len() as u64;
    Announced { task_id, path: path.to_owned(), size, sha256: sha256(content) }
}

/// Tasks that a host has.
async fn held(stage: &Stage, host: i64) -> i64 {
    let sql = "SELECT count(*) FROM task WHERE host_id = $1 AND state IN (1, 4)";
    stage.world.get(sql, &[host.into()]).await.as_int().unwrap()
}

both_databases! {
    async fn completion_is_gated_on_upload_completion(db: Db) {
        let stage = Stage::new(db).await;
        let hub = &stage.world.hub;
        let task = stage.open_task("build", list!["hello.src.rpm", Value::Nil]).await;
        let data = map! { "task_id" => task, "name" => "hello", "version" => "1.0", "release" => "2", "epoch" => 1 };
        let build = stage.ok(&stage.builder, "host.initBuild", list![data]).await;
        let srpm = packages().iter().find(|path| path.to_string_lossy().ends_with(".src.rpm")).unwrap();
        let (name, content) = (srpm.file_name().unwrap().to_str().unwrap(), fs::read(srpm).unwrap());
        let token = token(&stage, task).await;
        let upload = hub.part_upload(&token, announced(task, name, &content)).await.unwrap();
        let half = content.len() / 2;
        let (first, last) = (content[..half].to_vec(), content[half..].to_vec());
        upload.write(half as u64, sha256(&last), content_of(last)).await.unwrap();
        let path = format!("{}/{name}", hub.paths.taskrelpath(task));
        let complete = || list![task, build.clone(), &path, list![], map! {}, map! {}];
        let state = async || {
            let build = stage.ok(&stage.alice, "getBuild", list![build.clone()]).await;
            build.get("state").as_int()
        };
        // The second half is on its way: the build does not end with what is there.
        stage.refused(&stage.builder, "host.completeBuild", complete()).await;
        assert_eq!(state().await, Some(BuildState::Building as i64));
        upload.write(0, sha256(&first), content_of(first)).await.unwrap();
        stage.refused(&stage.builder, "host.completeBuild", complete()).await;
        assert_eq!(state().await, Some(BuildState::Building as i64));
        upload.complete(hub).await.unwrap();
        stage.ok(&stage.builder, "host.completeBuild", complete()).await;
        assert_eq!(state().await, Some(BuildState::Complete as i64));
    }

    async fn an_upload_that_breaks_off_leaves_the_file_to_the_next_attempt(db: Db) {
        let stage = Stage::new(db).await;
        let hub = &stage.world.hub;
        let task = stage.open_task("sleep", list![1]).await;
        let query = format!("filepath=tasks/{}/{task}&filename=x&overwrite=1&offset=0", task % 10_000);
        let params = toji_hub::upload::Params::from_query(&query).unwrap();
        let broken = stream::iter([Ok("01".into()), Err("connection reset".to_owned())]);
        let ended = tokio::time::timeout(Duration::from_secs(60), hub.upload(&stage.builder, params.clone(), broken)).await;
        let fault = ended.expect("the upload ends").unwrap_err();
        assert!(fault.message.contains("connection reset"), "{fault}");
        let again = hub.upload(&stage.builder, params, content_of(b"0123".to_vec())).await.unwrap();
        assert_eq!(again.get("size"), Some(&Value::Int(4)));
    }

    async fn the_failure_of_a_part_reaches_the_caller(db: Db) {
        let stage = Stage::new(db).await;
        let hub = &stage.world.hub;
        let task = stage.open_task("sleep", list![1]).await;
        let token = token(&stage, task).await;
        let upload = hub.part_upload(&token, announced(task, "x", b"0123456789")).await.unwrap();
        upload.write(0, sha256(b"01234"), content_of(b"01234".to_vec())).await.unwrap();
        let broken = stream::iter([Ok("56".into()), Err("connection reset".to_owned())]);
        let fault = upload.write(5, sha256(b"56789"), broken).await.unwrap_err();
        assert!(fault.message.contains("connection reset"), "{fault}");
        assert_eq!(upload.state().await.unwrap(), (false, vec![(0, 5)]), "what broke off has not arrived");
        assert!(upload.complete(hub).await.is_err());
        // Whole, and not what was announced: all of it is sent again.
        upload.write(5, sha256(b"56780"), content_of(b"56780".to_vec())).await.unwrap();
        assert!(upload.complete(hub).await.unwrap_err().message.contains("SHA-256"));
        assert_eq!(upload.state().await.unwrap(), (false, vec![]));
    }

    async fn uploads_are_the_holders_and_end_with_the_task(db: Db) {
        let stage = Stage::new(db).await;
        let hub = &stage.world.hub;
        let task = stage.open_task("sleep", list![1]).await;
        let token = token(&stage, task).await;
        let upload = hub.part_upload(&token, announced(task, "x", b"once")).await.unwrap();
        assert!(upload.write(0, sha256(b"once"), content_of(b"once".to_vec())).await.unwrap());
        stage.ok(&stage.builder, "host.closeTask", list![task, "done"]).await;
        // What the result tells of stays as it was.
        let fault = hub.part_upload(&token, announced(task, "x", b"more")).await.unwrap_err();
        assert_eq!(fault.message, "the task is no longer this builder's");
        let file = stage.dir.path().join("work").join(hub.paths.taskrelpath(task)).join("x");
        assert_eq!(fs::read(file).unwrap(), b"once");
    }

    async fn an_answer_that_was_lost_is_given_again(db: Db) {
        let stage = Stage::new(db).await;
        let task = stage.open_task("sleep", list![1]).await;
        let numbered = |who: &Request, callnum: i64, again: bool| {
            let mut request = Request { again, ..who.clone() };
            request.session.as_mut().unwrap().callnum = Some(callnum);
            request
        };
        let subtask = list!["sleep", list![1], task];
        let builder = |again| numbered(&stage.builder, 7, again);
        let child = stage.ok(&builder(false), "host.subtask", subtask.clone()).await;
        assert_eq!(stage.ok(&builder(true), "host.subtask", subtask.clone()).await, child);
        let children = "SELECT count(*) FROM task WHERE parent = $1";
        assert_eq!(stage.world.get(children, &[task.into()]).await, Value::Int(1));
        // Who does not ask for it is told as by Koji.
        let fault = stage.call(&builder(false), "host.subtask", subtask.clone()).await.unwrap_err();
        assert_eq!(fault.code, code::RETRY);
        // An older answer is not given for a newer call, nor to somebody else.
        let next = stage.ok(&numbered(&stage.builder, 8, true), "host.subtask", subtask).await;
        assert_ne!(next, child);
        let make = list!["sleep", list![1]];
        stage.ok(&numbered(&stage.admin, 7, false), "makeTask", make.clone()).await;
        let fault = stage.call(&numbered(&stage.admin, 7, true), "makeTask", make).await.unwrap_err();
        assert_eq!(fault.code, code::RETRY);
    }

    async fn a_caller_that_goes_away_does_not_break_off_what_it_began(db: Db) {
        let stage = Stage::new(db).await;
        for n in 0..TIMES {
            let name = format!("tag-{n}");
            let calling = stage.call(&stage.admin, "createTag", list![name.as_str()]);
            // Looked at once, and dropped.
            let first = futures::FutureExt::now_or_never(calling);
            assert!(first.is_none());
        }
        let all = async {
            while stage.world.get("SELECT count(*) FROM tag", &[]).await != Value::Int(TIMES as i64) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), all).await.expect("some were not made");
    }

    async fn an_oversized_result_is_refused_and_the_task_stays_its_builders(db: Db) {
        let stage = Stage::with(db, |config| config.scheduler.max_result = 1000).await;
        for (method, state) in [("host.closeTask", TaskState::Closed), ("host.failTask", TaskState::Failed)] {
            let task = stage.open_task("sleep", list![1]).await;
            let refused = stage.refused(&stage.builder, method, list![task, "x".repeat(1001)]).await;
            assert_eq!(refused, format!("the result of task {task} has 1001 bytes, at most 1000 are taken"));
            let info = stage.ok(&stage.alice, "getTaskInfo", list![task]).await;
            assert_eq!((info.get("state"), info.get("host_id")), (&Value::Int(1), &Value::Int(stage.host)));
            stage.ok(&stage.builder, method, list![task, "x".repeat(1000)]).await;
            let info = stage.ok(&stage.alice, "getTaskInfo", list![task]).await;
            assert_eq!(info.get("state"), &Value::Int(state as i64));
        }
    }

    async fn a_revoked_builders_last_word_brings_it_no_task(db: Db) {
        let stage = Stage::new(db).await;
        let world = &stage.world;
        let connection = world.hub.live.attach(stage.host, 0);
        let ready = Said { ready: true, ..Said::default() };
        world.hub.live.say(connection, ready, &Limits::default());
        flush(&world.hub, true).await.unwrap();
        let task = stage.open_task("sleep", list![1]).await;
        stage.ok(&stage.admin, "revokeBuilder", list![NAME]).await;
        // A call that was under way when it was revoked has the last word.
        world.set("UPDATE host SET ready = TRUE WHERE id = $1", &[stage.host.into()]).await;
        assert_eq!(run_once(&world.hub, true).await.unwrap().assigned, 0);
        let other = world.host("other").await;
        assert_eq!(run_once(&world.hub, true).await.unwrap().assigned, 1);
        let holder = "SELECT host_id FROM task WHERE id = $1";
        assert_eq!(world.get(holder, &[task.into()]).await, Value::Int(other));
    }

    async fn a_revoked_builder_gets_no_task_in_the_same_moment(db: Db) {
        let stage = Stage::new(db).await;
        let world = &stage.world;
        for _ in 0..TIMES {
            world.set("UPDATE users SET status = 0", &[]).await;
            let builder = login(world, NAME).await;
            stage.ok(&builder, "exclusiveSession", list![true]).await;
            world.set("UPDATE host SET ready = TRUE, update_time = NOW()", &[]).await;
            let mut tasks = Vec::new();
            for n in 0..4 {
                let task = stage.ok(&stage.admin, "makeTask", list!["sleep", list![n]]).await;
                tasks.push(task.as_int().unwrap());
            }
            stage.ok(&builder, "host.openTask", list![tasks[0]]).await;
            let (revoked, ..) = tokio::join!(
                stage.call(&stage.admin, "revokeBuilder", list![NAME]),
                run_once(&world.hub, false),
                stage.call(&builder, "host.openTask", list![tasks[1]]),
                run_once(&world.hub, true),
                stage.call(&builder, "host.updateHost", list![0.0, true]),
                stage.call(&builder, "host.openTask", list![tasks[2]]),
            );
            revoked.unwrap();
            run_once(&world.hub, false).await.unwrap();
            assert_eq!(held(&stage, stage.host).await, 0);
            for task in tasks {
                stage.ok(&stage.admin, "cancelTask", list![task]).await;
            }
        }
    }

    async fn a_scheduler_whose_database_failed_goes_on(db: Db) {
        let stage = Stage::new(db).await;
        let world = &stage.world;
        world.set("ALTER TABLE scheduler_task_refusals RENAME TO away", &[]).await;
        let scheduling = tokio::spawn(serve(world.hub.clone(), std::future::pending()));
        let task = stage.ok(&stage.admin, "makeTask", list!["sleep", list![1]]).await;
        let state = async || stage.ok(&stage.alice, "getTaskInfo", list![task.clone()]).await.get("state").clone();
        let asked = world.hub.db.statement_count();
        let failing = async {
            while world.hub.db.statement_count() < asked + 20 {
                assert_eq!(state().await, Value::Int(TaskState::Free as i64));
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), failing).await.unwrap();
        world.set("ALTER TABLE away RENAME TO scheduler_task_refusals", &[]).await;
        let mended = async {
            while state().await != Value::Int(TaskState::Assigned as i64) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), mended).await.expect("it has given up");
        scheduling.abort();
    }
}
