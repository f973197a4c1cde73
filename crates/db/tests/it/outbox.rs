//! The outbox: in the order of the commits, without gaps, heard by others.

use toji_db::{Db, Engine, outbox};
use toji_testkit::{TestDb, both_databases};
use toji_value::Value;

both_databases! {
    async fn numbered_at_commit(db: Db) {
        let mut early = db.begin();
        outbox::push(&mut early, "k", "early", &Value::Int(1));
        assert!(early.has_writes());
        let mut late = db.begin();
        outbox::push(&mut late, "k", "late", &Value::Nil);
        let point = late.savepoint().await.unwrap();
        outbox::push(&mut late, "k", "undone", &Value::Nil);
        late.rollback_to(point).await.unwrap();
        outbox::push(&mut late, "k", "late", &Value::Str("x".into()));
        let mut gone = db.begin();
        outbox::push(&mut gone, "k", "gone", &Value::Nil);
        drop(gone);
        let mut signal = db.outbox_signal();
        signal.mark_unchanged();
        late.commit().await.unwrap();
        early.commit().await.unwrap();
        assert!(signal.has_changed().unwrap());
        let mut tx = db.begin();
        let all = outbox::after(&mut tx, 0, 10).await.unwrap();
        let got: Vec<(i64, &str)> = all.iter().map(|e| (e.seq, e.key.as_str())).collect();
        assert_eq!(got, [(1, "late"), (2, "late"), (3, "early")]);
        assert_eq!(all[1].body, Value::Str("x".into()));
        assert_eq!(outbox::after(&mut tx, 2, 10).await.unwrap().len(), 1);
        assert_eq!(outbox::last(&mut tx).await.unwrap(), 3);
        assert_eq!(outbox::trim(&mut tx, 2).await.unwrap(), 2);
        tx.commit().await.unwrap();
        assert_eq!(outbox::after(&mut db.begin(), 0, 10).await.unwrap().len(), 1);
    }

    async fn no_gaps_under_load(db: Db) {
        let mut all = tokio::task::JoinSet::new();
        for worker in 0..4 {
            let db = db.clone();
            all.spawn(async move {
                for _ in 0..10 {
                    let mut tx = db.begin();
                    outbox::push(&mut tx, "k", &worker.to_string(), &Value::Nil);
                    tx.commit().await.unwrap();
                }
            });
        }
        let (mut seen, mut signal) = (0, db.outbox_signal());
        while seen < 40 {
            for entry in outbox::after(&mut db.begin(), seen, 100).await.unwrap() {
                assert_eq!(entry.seq, seen + 1);
                seen = entry.seq;
            }
            if seen < 40 {
                signal.changed().await.unwrap();
            }
        }
        while let Some(out) = all.join_next().await {
            out.unwrap();
        }
    }
}

#[tokio::test]
async fn heard_by_another_program() {
    let test = TestDb::new(Engine::Postgres).await;
    let other = test.reopen().await;
    let mut signal = other.outbox_signal();
    // The first change says that it listens now.
    signal.changed().await.unwrap();
    let mut tx = test.db.begin();
    outbox::push(&mut tx, "k", "x", &Value::Nil);
    tx.commit().await.unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(10), signal.changed())
        .await
        .unwrap()
        .unwrap();
}
