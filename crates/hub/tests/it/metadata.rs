//! The job that makes the repository metadata of RPMs that have none: interrupted, halted, with files that are missing.

use std::fs;

use toji_db::{Db, Engine, Time, lease};
use toji_hub::fragment::job::{Job, Step};
use toji_testkit::both_databases;
use toji_value::{Map, Value, list, map};

use super::fixture::{imported, packages, top};
use super::people::Stage;

const COMPLETE: &str = "SELECT count(*) FROM (SELECT rpm_id FROM toji_rpm_fragment GROUP BY rpm_id HAVING count(*) = 3) AS whole";

/// A hub with three RPMs, of which it knows what another hub would have written.
async fn taken_over(db: Db) -> Stage {
    let stage = imported(db, &packages().plain).await;
    stage.world.set("DELETE FROM toji_rpm_fragment", &[]).await;
    stage
}

async fn count(stage: &Stage, sql: &str) -> i64 {
    stage.world.get(sql, &[]).await.as_int().unwrap()
}

async fn show(stage: &Stage) -> Value {
    stage.ok(&stage.alice, "repo.metadataJob", list![]).await
}

async fn tell(stage: &Stage, more: Map) -> Value {
    stage.ok_kw(&stage.admin, "repo.setMetadataJob", list![], more).await
}

fn job(stage: &Stage) -> Job {
    let mut job = Job::new(&stage.world.hub);
    job.batch = 1;
    job
}

fn numbers(shown: &Value) -> [i64; 4] {
    ["looked", "of", "made", "failed"].map(|key| shown.get(key).as_int().unwrap())
}

both_databases! {
    async fn a_batch_that_was_begun_before_a_retry_does_not_undo_it(db: Db) {
        use toji_db::fragment::{Place, begin_job, job, note_job};
        let now = toji_db::Time::from_epoch(1_700_000_000.0).unwrap();
        let mut tx = db.begin_write().await.unwrap();
        begin_job(&mut tx, 0, 10, now).await.unwrap();
        let from = Place { position: 10, top: 10 };
        assert!(note_job(&mut tx, from, 5, 5, now, false).await.unwrap());
        let from = Place { position: 5, top: 10 };
        begin_job(&mut tx, 0, 12, now).await.unwrap();
        assert!(!note_job(&mut tx, from, 0, 5, now, true).await.unwrap());
        let row = job(&mut tx).await.unwrap();
        assert_eq!((row.get::<i64>("position").unwrap(), row.get::<i64>("made").unwrap()), (12, 0));
        tx.commit().await.unwrap();
    }

    async fn goes_on_where_it_was(db: Db) {
        let stage = taken_over(db).await;
        assert_eq!(show(&stage).await.get("state"), &Value::from("done"));
        let mut first = job(&stage);
        assert_eq!(first.step().await.unwrap(), Step::Made(0));
        assert_eq!(first.step().await.unwrap(), Step::Made(1));
        let shown = show(&stage).await;
        assert_eq!((shown.get("state"), numbers(&shown)), (&Value::from("working"), [1, 3, 1, 0]));
        // the process is killed while it reads the next one: nothing of that is noted
        drop(first);
        assert_eq!(count(&stage, COMPLETE).await, 1);
        let mut second = job(&stage);
        assert_eq!(second.step().await.unwrap(), Step::Made(1));
        // a repository may want one before the job comes to it
        let (task, tag) = (stage.open_task("newRepo", list!["f40"]).await, "f40");
        stage.ok_kw(&stage.admin, "createTag", list![tag], map! { "arches" => "x86_64" }).await;
        stage.ok(&stage.admin, "packageListAdd", list![tag, "shelf", "alice"]).await;
        stage.ok(&stage.admin, "tagBuildBypass", list![tag, "shelf-1.0-1"]).await;
        let args = map! { "opts" => map! { "src" => true } };
        let repo = stage.ok_kw(&stage.builder, "host.repoInit", list![tag, task], args).await;
        stage.ok(&stage.builder, "host.createRepo", list![repo.as_array().unwrap()[0].clone(), "x86_64"]).await;
        assert_eq!(count(&stage, COMPLETE).await, 3);
        assert!(second.turn().await.unwrap());
        let shown = show(&stage).await;
        assert_eq!((shown.get("state"), numbers(&shown)), (&Value::from("done"), [3, 3, 2, 0]));
        assert!(!shown.get("finished_ts").is_nil());
        assert_eq!(second.step().await.unwrap(), Step::Done);
        // what another hub imports later is found, too
        stage.world.set("DELETE FROM toji_rpm_fragment", &[]).await;
        stage.world.set("UPDATE toji_metadata_job SET top = 1, floor = 1, position = 1", &[]).await;
        assert!(second.turn().await.unwrap());
        assert_eq!((numbers(&show(&stage).await), count(&stage, COMPLETE).await), ([2, 2, 2, 0], 2));
    }

    async fn what_cannot_be_read_is_named_and_left(db: Db) {
        let stage = taken_over(db).await;
        let home = top(&stage, "packages/shelf/1.0/1");
        let (gone, broken) = (home.join("noarch/shelf-doc-1.0-1.noarch.rpm"), home.join("src/shelf-1.0-1.src.rpm"));
        let whole = [fs::read(&gone).unwrap(), fs::read(&broken).unwrap()];
        fs::remove_file(&gone).unwrap();
        fs::write(&broken, &whole[1][..200]).unwrap();
        assert!(job(&stage).turn().await.unwrap());
        let shown = show(&stage).await;
        assert_eq!(numbers(&shown), [3, 3, 1, 2]);
        let text = |key: &str| shown.get("failures").as_array().unwrap().iter().map(|f| f.get(key).display()).collect::<Vec<_>>();
        let mut names = text("nvra");
        names.sort();
        assert_eq!(names, ["shelf-1.0-1.src", "shelf-doc-1.0-1.noarch"]);
        assert!(text("reason").iter().any(|reason| reason.contains("noarch.rpm: no such file")), "{:?}", text("reason"));
        // they are there again, and still left alone until somebody asks
        fs::write(&gone, &whole[0]).unwrap();
        fs::write(&broken, &whole[1]).unwrap();
        let mut next = job(&stage);
        assert!(next.turn().await.unwrap());
        assert_eq!(count(&stage, COMPLETE).await, 1);
        let refused = stage.call(&stage.alice, "repo.setMetadataJob", list![]).await.unwrap_err();
        assert!(refused.message.contains("admin permission required"), "{}", refused.message);
        assert_eq!(tell(&stage, map! { "retry" => true }).await.get("state"), &Value::from("working"));
        assert!(next.turn().await.unwrap());
        assert_eq!(numbers(&show(&stage).await), [3, 3, 2, 0]);
        assert_eq!(count(&stage, COMPLETE).await, 3);
    }

    async fn halts_and_waits(db: Db) {
        let stage = taken_over(db).await;
        let told = tell(&stage, map! { "paused" => true, "rate" => 0, "workers" => 3 }).await;
        assert_eq!((told.get("state"), told.get("rate"), told.get("workers")), (&Value::from("paused"), &Value::Nil, &Value::Int(3)));
        assert_eq!(job(&stage).step().await.unwrap(), Step::Paused);
        for wrong in [map! { "workers" => 0 }, map! { "workers" => 65 }, map! { "rate" => -1 }] {
            let args = toji_value::Args { positional: vec![], keywords: wrong };
            let fault = stage.world.hub.call(&stage.admin, "repo.setMetadataJob", args).await.unwrap_err();
            assert!(fault.message.contains(" must be from "), "{}", fault.message);
        }
        let told = tell(&stage, map! { "paused" => false, "rate" => 1000 }).await;
        assert_eq!((told.get("rate"), told.get("workers")), (&Value::Int(1000), &Value::Int(3)));
        // a store that is not mounted says nothing of its files
        let store = top(&stage, "packages");
        fs::rename(&store, top(&stage, "away")).unwrap();
        let mut one = job(&stage);
        assert_eq!(one.step().await.unwrap(), Step::Made(0));
        assert!(one.step().await.unwrap_err().message.contains("packages is not there"));
        assert_eq!(numbers(&show(&stage).await), [0, 3, 0, 0]);
        fs::rename(top(&stage, "away"), &store).unwrap();
        // another hub is at it
        let mut tx = stage.world.hub.db.begin_write().await.unwrap();
        let now = stage.world.hub.now();
        let [at, until] = [now, now + 60.0].map(|at| Time::from_epoch(at).unwrap());
        assert!(lease::take(&mut tx, "metadata", "other", at, until, at).await.unwrap());
        tx.commit().await.unwrap();
        // an embedded database has one hub only
        let alone = stage.world.hub.db.engine() == Engine::Sqlite;
        assert_eq!(one.turn().await.unwrap(), alone);
        let mut tx = stage.world.hub.db.begin_write().await.unwrap();
        lease::end(&mut tx, "metadata", "other", at, false).await.unwrap();
        tx.commit().await.unwrap();
        assert!(one.turn().await.unwrap());
        assert_eq!(count(&stage, COMPLETE).await, 3);
    }
}
