//! Builders: enrolment, credentials, revocation, tasks that are given back, uploads by token.

use std::sync::Arc;

use futures::stream;
use sha2::{Digest, Sha256};
use toji_db::Db;
use toji_hub::upload::parts::Announced;
use toji_hub::{Clock, Hub, Request, SessionKey, SystemClock, SystemRandom};
use toji_testkit::both_databases;
use toji_value::{Args, Fault, Value, code, list, map};

use super::people::Stage;

/// A clock that is seven hours ahead.
struct Later;

impl Clock for Later {
    fn now(&self) -> f64 {
        SystemClock.now() + 7.0 * 3600.0
    }
}

/// A session of somebody who shows a password.
async fn log_in(stage: &Stage, name: &str, password: &str) -> Result<Request, Fault> {
    let mut request = Request { remote: "127.0.0.1".into(), ..Request::default() };
    let args = Args { positional: vec![name.into(), password.into()], keywords: map! {} };
    let session = stage.world.hub.call(&request, "login", args).await?;
    request.session = Some(SessionKey {
        id: session.get("session-id").as_int().unwrap(),
        key: session.get("session-key").as_str().unwrap().to_owned(),
        callnum: None,
    });
    stage.call(&request, "exclusiveSession", list![true]).await?;
    Ok(request)
}

async fn token(stage: &Stage, args: Value) -> String {
    let made = stage.ok(&stage.admin, "createBuilderToken", args).await;
    made.get("token").as_str().unwrap().to_owned()
}

async fn enrol(stage: &Stage, token: &str, name: &str) -> Result<String, Fault> {
    let answer = stage.call(&Request::default(), "host.enrol", list![token, name]).await?;
    Ok(answer.get("credential").as_str().unwrap().to_owned())
}

fn sha256(data: &[u8]) -> String {
    hex::encode(Sha256::digest(data))
}

both_databases! {
    async fn a_token_makes_one_host(db: Db) {
        let stage = Stage::new(db).await;
        stage.ok(&stage.admin, "addChannel", list!["fast"]).await;
        let made = token(&stage, list!["x86_64,i686", list!["default", "fast"], 60, 3.5]).await;
        let stored = stage.world.get("SELECT count(*) FROM toji_builder_token WHERE hash = $1", &[made.as_str().into()]).await;
        assert_eq!(stored, Value::Int(0), "the token itself is nowhere");
        let credential = enrol(&stage, &made, "new.example.com").await.unwrap();
        let again = enrol(&stage, &made, "other.example.com").await.unwrap_err();
        assert_eq!((again.code, again.message.as_str()), (code::AUTH, "the token is unknown, used up or out of date"));
        let host = stage.ok(&stage.alice, "getHost", list!["new.example.com"]).await;
        assert_eq!((host.get("arches"), host.get("capacity")), (&"x86_64 i686".into(), &3.5.into()));
        let channels = stage.ok(&stage.alice, "listChannels", list![host.get("id").clone()]).await;
        let names: Vec<String> = channels.as_array().unwrap().iter().map(|c| c.get("name").display()).collect();
        assert_eq!(names, ["default", "fast"]);
        let session = log_in(&stage, "new.example.com", &credential).await.unwrap();
        assert_eq!(stage.ok(&session, "host.getID", list![]).await, *host.get("id"));
        assert!(log_in(&stage, "builder.example.com", &credential).await.is_err(), "another host");
        let tokens = stage.ok(&stage.admin, "listBuilderTokens", list![]).await;
        let shown = &tokens.as_array().unwrap()[0];
        assert_eq!(shown.get("host_id"), host.get("id"));
        assert!(shown.get("hash").is_nil() && !shown.get("used_ts").is_nil());
    }

    async fn tokens_end_and_are_for_their_host(db: Db) {
        let stage = Stage::new(db).await;
        let late = token(&stage, list!["x86_64"]).await;
        stage.world.set("UPDATE toji_builder_token SET expires = toji_ago(1)", &[]).await;
        assert_eq!(enrol(&stage, &late, "a").await.unwrap_err().code, code::AUTH);
        let named = token(&stage, list!["x86_64", Value::Nil, 60, 2.0, "wanted"]).await;
        let text = enrol(&stage, &named, "unwanted").await.unwrap_err().message;
        assert_eq!(text, "the token is for a host of another name");
        // What was refused has not used the token up.
        enrol(&stage, &named, "wanted").await.unwrap();
        let open = token(&stage, list!["x86_64"]).await;
        let text = enrol(&stage, &open, "builder.example.com").await.unwrap_err().message;
        assert_eq!(text, "host already exists: builder.example.com");
        assert_eq!(enrol(&stage, &open, "alice").await.unwrap_err().message, "user alice already exists");
        assert!(enrol(&stage, &open, "bad name!").await.is_err());
        let dropped = stage.ok(&stage.admin, "createBuilderToken", list!["x86_64"]).await;
        let id = dropped.get("id").clone();
        assert_eq!(stage.ok(&stage.admin, "dropBuilderToken", list![id.clone()]).await, true.into());
        assert_eq!(stage.ok(&stage.admin, "dropBuilderToken", list![id]).await, false.into());
        for (args, want) in [
            (list![""], "a builder needs at least one arch"),
            (list!["x86_64", "nowhere"], "No such channel: nowhere"),
            (list!["x86_64", Value::Nil, 0], "expires is a number of seconds from 1 to 31536000"),
            (list!["x86_64", Value::Nil, 60, -1.0], "the capacity is a number above 0"),
        ] {
            assert_eq!(stage.refused(&stage.admin, "createBuilderToken", args).await, want);
        }
    }

    async fn credentials_are_renewed(db: Db) {
        let stage = Stage::new(db).await;
        let made = token(&stage, list!["x86_64"]).await;
        let first = enrol(&stage, &made, "renewing").await.unwrap();
        let session = log_in(&stage, "renewing", &first).await.unwrap();
        let renewed = stage.ok(&session, "host.renewCredential", list![]).await;
        let second = renewed.get("credential").as_str().unwrap().to_owned();
        let log_in = async |credential: &str| log_in(&stage, "renewing", credential).await.is_ok();
        assert!(log_in(&first).await, "until the new one is used the old one is good");
        assert!(log_in(&second).await);
        let older = "SELECT count(*) FROM toji_builder_credential WHERE expires < toji_ago(-90000)";
        assert_eq!(stage.world.get(older, &[]).await, Value::Int(1), "the old one ends within a day");
        stage.world.set("UPDATE toji_builder_credential SET expires = toji_ago(1)", &[]).await;
        assert!(!log_in(&second).await, "out of date");
    }

    async fn a_revoked_builder_is_out_at_once(db: Db) {
        let stage = Stage::new(db).await;
        let named = || token(&stage, list!["x86_64", Value::Nil, 60, 2.0, "lost"]);
        let credential = enrol(&stage, &named().await, "lost").await.unwrap();
        let session = log_in(&stage, "lost", &credential).await.unwrap();
        let host = stage.ok(&session, "host.getID", list![]).await;
        let mut ids = Vec::new();
        for _ in 0..2 {
            let id = stage.ok(&stage.admin, "makeTask", list!["sleep", list![1]]).await;
            ids.push(id);
        }
        stage.ok(&session, "host.openTask", list![ids[0].clone()]).await;
        stage.ok(&stage.admin, "assignTask", list![ids[1].clone(), "lost"]).await;
        let mut cut = stage.world.hub.bus.listen(toji_bus::Topic::Revoked(host.as_int().unwrap()));
        let freed = stage.ok(&stage.admin, "revokeBuilder", list!["lost"]).await;
        cut.wait().await;
        assert_eq!(freed, Value::Array(ids.clone()));
        for id in &ids {
            let task = stage.ok(&stage.alice, "getTaskInfo", list![id.clone()]).await;
            assert_eq!((task.get("state"), task.get("host_id")), (&Value::Int(0), &Value::Nil));
        }
        let fault = stage.call(&session, "host.getTasks", list![]).await.unwrap_err();
        assert_eq!(fault.code, code::AUTH, "{fault}");
        assert!(log_in(&stage, "lost", &credential).await.is_err());
        // A token for this host lets it begin anew.
        let fresh = enrol(&stage, &named().await, "lost").await.unwrap();
        let session = log_in(&stage, "lost", &fresh).await.unwrap();
        assert_eq!(stage.ok(&session, "host.getID", list![]).await, host);
        stage.ok(&stage.admin, "revokeBuilder", list!["lost", true]).await;
        let shown = stage.ok(&stage.alice, "getHost", list!["lost"]).await;
        assert_eq!((shown.get("enabled"), shown.get("ready")), (&false.into(), &false.into()));
        assert_eq!(stage.ok(&stage.alice, "listChannels", list![host]).await, list![]);
    }

    async fn a_task_that_is_given_back_pauses_and_fails_in_the_end(db: Db) {
        let stage = Stage::with(db, |config| config.scheduler.task_returns = 2).await;
        let id = stage.open_task("sleep", list![1]).await;
        let back = || stage.ok(&stage.builder, "host.returnTask", list![id, "the disk is full"]);
        assert_eq!(back().await, true.into());
        let task = stage.ok(&stage.alice, "getTaskInfo", list![id]).await;
        assert_eq!((task.get("state"), task.get("host_id")), (&Value::Int(0), &Value::Nil));
        let why = stage.ok(&stage.alice, "scheduler.explain", list![id]).await;
        assert_eq!(why.get("reason"), &"a builder gave it back (1), it is tried again in 15 s".into());
        assert_eq!(why.get("returned_reason"), &"the disk is full".into());
        let refusals = || stage.ok(&stage.alice, "scheduler.getTaskRefusals", list![list![list!["task_id", id]]]);
        assert_eq!(refusals().await, list![], "no other host is there to do it meanwhile");
        let refused = stage.refused(&stage.builder, "host.returnTask", list![id, "again"]).await;
        assert!(refused.ends_with(&format!("does not own task {id}")), "{refused}");
        stage.world.set("UPDATE toji_task_return SET not_before = toji_ago(1)", &[]).await;
        let why = stage.ok(&stage.alice, "scheduler.explain", list![id]).await;
        assert!(!why.get("reason").display().contains("gave it back"), "{}", why.repr());
        stage.ok(&stage.admin, "addHost", list!["second.example.com", list!["x86_64"]]).await;
        stage.world.set("UPDATE host SET ready = TRUE", &[]).await;
        for (again, state) in [(true, 0), (false, 5)] {
            stage.ok(&stage.builder, "host.openTask", list![id]).await;
            assert_eq!(back().await, again.into());
            let task = stage.ok(&stage.alice, "getTaskInfo", list![id]).await;
            assert_eq!(task.get("state"), &Value::Int(state));
        }
        let refused = refusals().await;
        let refusal = &refused.as_array().unwrap()[0];
        assert_eq!((refusal.get("soft"), refusal.get("msg")), (&true.into(), &"the disk is full".into()));
        let text = stage.refused(&stage.alice, "getTaskResult", list![id]).await;
        assert!(text.ends_with("the last reason: the disk is full"), "{text}");
    }

    async fn files_are_uploaded_with_the_tasks_token(db: Db) {
        let stage = Stage::with(db, |config| config.max_task_upload = 100).await;
        let hub = &stage.world.hub;
        let id = stage.open_task("sleep", list![1]).await;
        let answer = stage.ok(&stage.builder, "host.uploadToken", list![id]).await;
        let token = answer.get("token").as_str().unwrap().to_owned();
        let announced = |path: &str, content: &[u8]| Announced {
            task_id: id, path: path.to_owned(), size: content.len() as u64, sha256: sha256(content),
        };
        let body = |data: &'static [u8]| stream::iter([Ok::<_, String>(data.into())]);
        let upload = hub.part_upload(&token, announced("sub/a.bin", b"0123456789")).await.unwrap();
        assert!(!upload.write(5, sha256(b"56789"), body(b"56789")).await.unwrap());
        assert_eq!(upload.state().await.unwrap(), (false, vec![(5, 5)]));
        assert!(upload.complete(hub).await.is_err(), "a part is missing");
        let wrong = upload.write(0, sha256(b"other"), body(b"01234")).await.unwrap_err();
        assert!(wrong.message.starts_with("expected SHA-256"), "{wrong}");
        let listed = stage.ok(&stage.alice, "listTaskOutput", list![id]).await;
        assert_eq!(listed, list![], "what is not whole is not shown");
        assert!(!upload.write(0, sha256(b"01234"), body(b"01234")).await.unwrap());
        upload.complete(hub).await.unwrap();
        let file = stage.dir.path().join("work").join(hub.paths.taskrelpath(id)).join("sub/a.bin");
        assert_eq!(std::fs::read(file).unwrap(), b"0123456789");

        let one = hub.part_upload(&token, announced("b.bin", b"b")).await.unwrap();
        assert!(one.write(0, sha256(b"b"), body(b"b")).await.unwrap(), "one part is the whole");
        let refused = async |token: &str, file: Announced| hub.part_upload(token, file).await.unwrap_err().message;
        let text = refused(&token, announced("big", &[0; 90])).await;
        assert_eq!(text, "the task may upload 100 bytes, with this file it would be more");
        assert_eq!(refused("toji-upload-x.y", announced("c", b"c")).await, "the upload token is not valid");
        let foreign = stage.open_task("sleep", list![2]).await;
        let file = Announced { task_id: foreign, ..announced("c", b"c") };
        assert_eq!(refused(&token, file).await, "the upload token is for another task");
        for path in ["../c", "/c", ".c", "a/../../c"] {
            assert_eq!(refused(&token, announced(path, b"c")).await, format!("Invalid upload path: {path}"));
        }
        stage.ok(&stage.builder, "host.freeTasks", list![list![id]]).await;
        assert_eq!(refused(&token, announced("c", b"c")).await, "the task is no longer this builder's");
        let text = stage.refused(&stage.builder, "host.uploadToken", list![id]).await;
        assert!(text.ends_with(&format!("does not own task {id}")), "{text}");
    }

    async fn a_token_ends(db: Db) {
        let stage = Stage::new(db).await;
        let id = stage.open_task("sleep", list![1]).await;
        let answer = stage.ok(&stage.builder, "host.uploadToken", list![id]).await;
        let token = answer.get("token").as_str().unwrap();
        let hub = &stage.world.hub;
        let (clock, random) = (Arc::new(Later), Arc::new(SystemRandom));
        let later = Hub::with_outside(hub.db.clone(), hub.bus.clone(), hub.config.clone(), clock, random);
        let file = Announced { task_id: id, path: "x".into(), size: 1, sha256: sha256(b"x") };
        let fault = later.part_upload(token, file).await.unwrap_err();
        assert_eq!((fault.code, fault.message.as_str()), (code::AUTH, "the upload token is out of date"));
    }
}
