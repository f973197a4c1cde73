//! Taking over a Koji database and handing it back: every version, interruptions, refusals, hubs at work.

use std::time::Duration;

use toji_db::takeover::{State, check, revert, run};
use toji_db::{Error, params, versioned};
use toji_testkit::koji_database;

fn quiet(_: &str) {}

/// Takes the database over and leaves no connection.
async fn take(test: &toji_testkit::TestDb) {
    test.with(async |db| run(db, &quiet).await.unwrap()).await;
}

async fn state(test: &toji_testkit::TestDb) -> State {
    test.with(async |db| check(db).await.unwrap().state).await
}

async fn there_and_back(version: &str) {
    let number = version.split(' ').next().unwrap().to_owned();
    let test = koji_database(version).await;
    let before = test.dump();
    let report = test.with(async |db| check(db).await.unwrap()).await;
    assert_eq!(report.state, State::Koji(number.clone()), "{version}: {:?}", report.problems);
    assert_eq!(report.problems, Vec::<String>::new());
    assert!(report.steps.iter().any(|s| s == "add the table toji_outbox"), "{:?}", report.steps);
    assert_eq!(test.dump(), before, "a look changes nothing");

    take(&test).await;
    assert_eq!(state(&test).await, State::TakenOver(number.clone(), true));
    let report = test.with(async |db| check(db).await.unwrap()).await;
    for want in ["indexes 0 changed", "0 have fewer", "0 behind", "5 of 5 rows"] {
        assert!(report.notes.iter().any(|n| n.contains(want)), "{want}: {:?}", report.notes);
    }
    test.with(async |db| {
        // a hub that starts finds nothing left to do
        db.migrate().await.unwrap();
        let mut tx = db.begin();
        let sql = "SELECT name, draft, sigmd5 FROM rpminfo ORDER BY id";
        let rows = tx.query(sql, &[]).await.unwrap();
        let drafts: Vec<Option<bool>> = rows.iter().map(|r| r.get("draft").unwrap()).collect();
        assert_eq!(drafts, [Some(false), None], "{version}");
        for table in ["task", "build", "rpminfo"] {
            let own =
                "SELECT count(*) FROM pg_indexes WHERE tablename = $1 AND indexname LIKE 'toji%'";
            assert!(tx.scalar::<i64>(own, params![table]).await.unwrap() > 0);
        }
    })
    .await;
    test.with(async |db| revert(db, &quiet).await.unwrap()).await;
    assert_eq!(state(&test).await, State::Koji(number));
    assert_eq!(test.dump(), before, "{version}: what was handed back");
}

#[tokio::test]
async fn there_and_back_from_33() {
    there_and_back("1.33").await;
}

#[tokio::test]
async fn there_and_back_from_34() {
    there_and_back("1.34").await;
}

#[tokio::test]
async fn there_and_back_from_35() {
    there_and_back("1.35").await;
}

#[tokio::test]
async fn there_and_back_from_36() {
    there_and_back("1.36").await;
}

#[tokio::test]
async fn there_and_back_from_36_without_digests() {
    there_and_back("1.36 plain").await;
}

#[tokio::test]
async fn a_hub_that_starts_takes_over() {
    let test = koji_database("1.35").await;
    test.with(async |db| db.migrate().await.unwrap()).await;
    assert_eq!(state(&test).await, State::TakenOver("1.35".into(), true));
    let again = test.with(async |db| run(db, &quiet).await).await;
    again.unwrap();
}

#[tokio::test]
async fn goes_on_after_an_interruption() {
    let test = koji_database("1.34").await;
    let before = test.dump();
    take(&test).await;
    // as after the loss of the process while it made indexes
    test.run(
        "DROP INDEX toji_task_owner;
         UPDATE pg_index SET indisvalid = FALSE WHERE indexrelid = 'toji_build_task'::regclass;",
    )
    .await;
    let report = test.with(async |db| check(db).await.unwrap()).await;
    assert_eq!(report.state, State::TakenOver("1.34".into(), false));
    assert_eq!(report.steps.len(), 2, "{:?}", report.steps);
    take(&test).await;
    assert_eq!(state(&test).await, State::TakenOver("1.34".into(), true));
    test.run("DROP INDEX toji_task_owner").await;
    test.with(async |db| revert(db, &quiet).await.unwrap()).await;
    assert_eq!(test.dump(), before);
}

#[tokio::test]
async fn may_be_killed_at_any_time() {
    let test = koji_database("1.33").await;
    let before = test.dump();
    for millis in [1, 20, 60, 120, 200, 300, 450] {
        let db = test.reopen().await;
        let killed = tokio::time::timeout(Duration::from_millis(millis), run(&db, &quiet)).await;
        db.close().await;
        let found = state(&test).await;
        let fits = match found {
            State::Koji(_) => test.dump() == before,
            State::TakenOver(_, whole) => killed.is_err() || whole,
            _ => false,
        };
        assert!(fits, "after {millis} ms: {found:?}");
    }
    take(&test).await;
    assert_eq!(state(&test).await, State::TakenOver("1.33".into(), true));
    test.with(async |db| revert(db, &quiet).await.unwrap()).await;
    assert_eq!(test.dump(), before);
}

#[tokio::test]
async fn several_at_once() {
    let test = koji_database("1.35").await;
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let db = test.reopen().await;
        all.spawn(async move { run(&db, &quiet).await });
    }
    while let Some(out) = all.join_next().await {
        out.unwrap().unwrap();
    }
    take(&test).await;
    assert_eq!(state(&test).await, State::TakenOver("1.35".into(), true));
}

/// What an older hub goes on doing: its own sequences, its own columns.
const OLDER_HUB: &str = "
    INSERT INTO events DEFAULT VALUES;
    INSERT INTO task (state, channel_id, owner, method, arch) VALUES (0, 1, 1, 'sleep', 'noarch');
    INSERT INTO sessions (user_id, key) VALUES (1, 'x');
    INSERT INTO build (volume_id, pkg_id, version, release, state, owner)
         VALUES (0, 1, nextval('task_id_seq')::text, '1', 0, 1);
    INSERT INTO rpminfo (build_id, name, version, release, arch, external_repo_id, payloadhash, size, buildtime)
         VALUES (currval('build_id_seq'), 'thing', currval('build_id_seq')::text, '2', 'noarch', 0, 'aa', 1, 1);
    UPDATE task SET state = 4 WHERE id = currval('task_id_seq');
    SELECT name FROM locks WHERE name = 'protonmsg-plugin' FOR UPDATE;";

#[tokio::test]
async fn an_older_hub_works_meanwhile_and_afterwards() {
    let test = koji_database("1.33").await;
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let url = test.url.clone();
    let hub = tokio::spawn(async move {
        let server = toji_db::admin::Server::connect(&url).await.unwrap();
        let mut rounds = 0;
        while !*stopped.borrow_and_update() {
            server.batch(&format!("BEGIN; {OLDER_HUB} COMMIT")).await.unwrap();
            rounds += 1;
        }
        rounds
    });
    take(&test).await;
    stop.send(true).unwrap();
    let rounds: i64 = hub.await.unwrap();
    test.run(OLDER_HUB).await;
    test.with(async |db| {
        let mut tx = db.begin();
        let made: i64 = tx.scalar("SELECT count(*) FROM build", &[]).await.unwrap();
        assert_eq!(made, rounds + 2, "every round of the older hub is there");
        let drafts =
            "SELECT count(*) FROM rpminfo WHERE build_id IS NOT NULL AND draft IS NOT FALSE";
        assert_eq!(tx.scalar::<i64>(drafts, &[]).await.unwrap(), 0);
        // the same sequences: no number is given twice
        let ours = versioned::next_id(&mut tx, "build").await.unwrap();
        assert!(ours > made);
    })
    .await;
    test.with(async |db| revert(db, &quiet).await.unwrap()).await;
    test.run(OLDER_HUB).await;
}

#[tokio::test]
async fn refuses_what_it_cannot_take_over() {
    for (version, alteration, want) in [
        ("1.32", "", "not a Koji database of version 1.33 or later"),
        ("1.36", "DROP TABLE repo_queue", "half of the upgrade to 1.35"),
        (
            "1.35",
            "ALTER TABLE task ADD COLUMN site TEXT NOT NULL DEFAULT 'x'; ALTER TABLE task ALTER COLUMN site DROP DEFAULT",
            "column task.site",
        ),
        ("1.34", "DROP TABLE tag_listing CASCADE", "no table tag_listing"),
        (
            "1.36",
            "UPDATE pg_constraint SET convalidated = TRUE; DELETE FROM rpminfo; DELETE FROM external_repo",
            "INTERNAL",
        ),
    ] {
        let test = koji_database(version).await;
        test.run(alteration).await;
        let before = test.dump();
        let report = test.with(async |db| check(db).await.unwrap()).await;
        assert!(report.problems.iter().any(|p| p.contains(want)), "{want}: {report:?}");
        let out = test.with(async |db| db.migrate().await).await;
        assert!(matches!(&out, Err(Error::Schema(text)) if text.contains(want)), "{want}: {out:?}");
        assert_eq!(test.dump(), before);
    }
}

async fn reverts(test: &toji_testkit::TestDb) -> Result<(), String> {
    test.with(async |db| revert(db, &quiet).await.map_err(|e| e.to_string())).await
}

#[tokio::test]
async fn hands_back_only_at_rest() {
    let test = koji_database("1.33").await;
    assert!(reverts(&test).await.unwrap_err().contains("not a Koji database that was taken over"));
    take(&test).await;
    let hub = test.reopen().await;
    let out = reverts(&test).await.unwrap_err();
    assert!(out.contains("connections of Toji hubs are open"), "{out}");
    hub.close().await;
    test.run("INSERT INTO toji_import (state, steps) VALUES ('placing', '[]')").await;
    let out = reverts(&test).await.unwrap_err();
    assert!(out.contains("1 imports are unfinished"), "{out}");
    test.run("DELETE FROM toji_import; UPDATE build SET draft = TRUE").await;
    let out = reverts(&test).await.unwrap_err();
    assert!(out.contains("1 draft builds"), "{out}");
    test.run("UPDATE build SET draft = FALSE").await;
    // others' additions stay, others' changes are not painted over
    test.run("CREATE TABLE theirs (id INTEGER)").await;
    test.run("ALTER TABLE tag ALTER COLUMN name TYPE VARCHAR(300)").await;
    let out = reverts(&test).await.unwrap_err();
    assert!(out.contains("column tag.name changed since"), "{out}");
    test.run("ALTER TABLE tag ALTER COLUMN name TYPE TEXT").await;
    reverts(&test).await.unwrap();
    test.run("DROP TABLE theirs").await;
}

#[tokio::test]
async fn leaves_a_database_of_its_own_alone() {
    let test = toji_testkit::TestDb::new(toji_testkit::Engine::Postgres).await;
    assert_eq!(check(&test.db).await.unwrap().state, State::Own);
    assert!(matches!(revert(&test.db, &quiet).await, Err(Error::Schema(_))));
    let test = toji_testkit::TestDb::new(toji_testkit::Engine::Sqlite).await;
    assert_eq!(check(&test.db).await.unwrap().state, State::Own);
    assert!(matches!(revert(&test.db, &quiet).await, Err(Error::Schema(_))));
}
