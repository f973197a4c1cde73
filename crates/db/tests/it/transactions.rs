//! Begin, savepoints, failure, locks, and what happens when a caller goes away.

use std::time::Duration;

use toji_db::{Db, Engine, Error, Tx, params};
use toji_testkit::{TestDb, both_databases};

async fn add(tx: &mut Tx, name: &str) -> toji_db::Result<i64> {
    tx.scalar("INSERT INTO package (name) VALUES ($1) RETURNING id", params![name]).await
}

async fn names(db: &Db) -> Vec<String> {
    let rows = db.begin().query("SELECT name FROM package ORDER BY name", &[]).await.unwrap();
    rows.iter().map(|r| r.get("name").unwrap()).collect()
}

both_databases! {
    async fn commit_and_drop(db: Db) {
        let mut tx = db.begin();
        assert!(!tx.has_writes());
        add(&mut tx, "kept").await.unwrap();
        assert!(tx.has_writes());
        tx.commit().await.unwrap();
        let mut tx = db.begin();
        add(&mut tx, "dropped").await.unwrap();
        drop(tx);
        let mut tx = db.begin_write().await.unwrap();
        add(&mut tx, "rolled back").await.unwrap();
        tx.rollback().await.unwrap();
        assert_eq!(names(&db).await, ["kept"]);
    }

    async fn ids_are_given_once(db: Db) {
        let mut tx = db.begin();
        let dropped = add(&mut tx, "dropped").await.unwrap();
        drop(tx);
        let mut tx = db.begin();
        let next = add(&mut tx, "next").await.unwrap();
        assert!(next > dropped);
        let savepoint = tx.savepoint().await.unwrap();
        let undone = add(&mut tx, "undone").await.unwrap();
        tx.rollback_to(savepoint).await.unwrap();
        let last = add(&mut tx, "last").await.unwrap();
        assert!(last > undone && undone > next);
        drop(tx);
        let mut tx = db.begin();
        assert!(add(&mut tx, "later").await.unwrap() > last);
        tx.commit().await.unwrap();
        assert_eq!(names(&db).await, ["later"]);
    }

    async fn savepoints(db: Db) {
        let mut tx = db.begin();
        // Set before the first write: they move along to the writer.
        let outer = tx.savepoint().await.unwrap();
        tx.query("SELECT 1 AS one", &[]).await.unwrap();
        let inner = tx.savepoint().await.unwrap();
        add(&mut tx, "a").await.unwrap();
        tx.release(inner).await.unwrap();
        let inner = tx.savepoint().await.unwrap();
        add(&mut tx, "b").await.unwrap();
        assert!(matches!(add(&mut tx, "b").await, Err(Error::Unique { .. })));
        assert!(matches!(add(&mut tx, "c").await, Err(Error::Aborted)));
        tx.rollback_to(inner).await.unwrap();
        add(&mut tx, "d").await.unwrap();
        let deeper = tx.savepoint().await.unwrap();
        tx.rollback_to(inner).await.unwrap();
        assert!(tx.release(deeper).await.is_err());
        add(&mut tx, "e").await.unwrap();
        tx.release(outer).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(names(&db).await, ["a", "e"]);
    }

    async fn failed_transaction_cannot_commit(db: Db) {
        let mut tx = db.begin();
        add(&mut tx, "a").await.unwrap();
        assert!(matches!(tx.query("SELECT nothing FROM nowhere", &[]).await, Err(Error::Statement(_))));
        assert!(matches!(tx.commit().await, Err(Error::Aborted)));
        assert!(names(&db).await.is_empty());
    }

    async fn kinds_of_violation(db: Db) {
        let mut tx = db.begin();
        let start = tx.savepoint().await.unwrap();
        tx.execute("INSERT INTO channels (name) VALUES ('default')", &[]).await.map_err(|e| assert!(matches!(e, Error::Unique { constraint } if constraint.contains("channels")))).unwrap_err();
        tx.rollback_to(start).await.unwrap();
        let sql = "INSERT INTO host (user_id, name) VALUES (4711, 'h')";
        let fk = async { tx.execute(sql, &[]).await.map(drop) }.await;
        assert!(matches!(fk, Err(Error::ForeignKey { .. })), "{fk:?}");
        tx.rollback_to(start).await.unwrap();
        let null = tx.execute("INSERT INTO users (name, status) VALUES ('x', 0)", &[]).await.unwrap_err();
        assert!(matches!(null, Error::NotNull { column } if column == "usertype"));
        tx.rollback_to(start).await.unwrap();
        let long = "x".repeat(51);
        let check = tx.execute("INSERT INTO groups (name) VALUES ($1)", params![long]).await.unwrap_err();
        assert!(matches!(check, Error::Check { .. }), "{check}");
        tx.rollback_to(start).await.unwrap();
        let wrong = tx.execute("SELECT 1 FROM users WHERE id = $1", &[]).await.unwrap_err();
        assert!(matches!(wrong, Error::Statement(_)), "{wrong}");
    }

    async fn single_row(db: Db) {
        let mut tx = db.begin();
        assert!(matches!(tx.query_one("SELECT id FROM users", &[]).await, Err(Error::NoRows)));
        assert!(matches!(tx.query_opt("SELECT id FROM channels", &[]).await, Err(Error::ManyRows)));
        assert_eq!(tx.scalar_opt::<i64>("SELECT id FROM users", &[]).await.unwrap(), None);
    }

    async fn named_locks(db: Db) {
        let mut holder = db.begin();
        holder.lock("scheduler").await.unwrap();
        let mut other = db.begin();
        assert!(!other.try_lock("scheduler").await.unwrap());
        holder.commit().await.unwrap();
        assert!(other.try_lock("scheduler").await.unwrap());
        drop(other);
        assert!(matches!(db.begin().lock("unknown").await, Err(Error::NoLock(name)) if name == "unknown"));
        assert!(matches!(db.begin().try_lock("unknown").await, Err(Error::NoLock(_))));
    }

    async fn writers_wait_for_each_other(db: Db) {
        let task = {
            let mut first = db.begin_write().await.unwrap();
            add(&mut first, "n0").await.unwrap();
            let db = db.clone();
            let task = tokio::spawn(async move {
                for i in 1..20 {
                    let mut tx = db.begin();
                    tx.query("SELECT count(*) AS n FROM package", &[]).await.unwrap();
                    add(&mut tx, &format!("n{i}")).await.unwrap();
                    tx.commit().await.unwrap();
                }
            });
            tokio::task::yield_now().await;
            first.commit().await.unwrap();
            task
        };
        for i in 20..40 {
            let mut tx = db.begin();
            add(&mut tx, &format!("n{i}")).await.unwrap();
            tx.commit().await.unwrap();
        }
        task.await.unwrap();
        assert_eq!(names(&db).await.len(), 40);
    }

    async fn caller_goes_away(db: Db) {
        // A query that would take very long, dropped in the middle, many times over: connections must not run out.
        let endless = match db.engine() {
            Engine::Sqlite => "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
            Engine::Postgres => "SELECT count(*) FROM generate_series(1, 1000000000000)",
        };
        for round in 0..20 {
            let mut tx = db.begin();
            if round % 2 == 0 {
                add(&mut tx, "gone").await.unwrap();
            }
            let out = tokio::time::timeout(Duration::from_millis(20), tx.query(endless, &[])).await;
            assert!(out.is_err(), "still running");
            drop(tx);
        }
        assert!(names(&db).await.is_empty());
        let mut tx = db.begin();
        add(&mut tx, "after").await.unwrap();
        tx.commit().await.unwrap();
    }
}

#[test]
fn sqlite_reads_one_snapshot() {
    toji_testkit::run_on(Engine::Sqlite, async |db: Db| {
        let mut reader = db.begin();
        let count = "SELECT count(*) FROM package";
        assert_eq!(reader.scalar::<i64>(count, &[]).await.unwrap(), 0);
        let mut writer = db.begin();
        add(&mut writer, "new").await.unwrap();
        writer.commit().await.unwrap();
        assert_eq!(reader.scalar::<i64>(count, &[]).await.unwrap(), 0);
        // The first write moves on to the present.
        add(&mut reader, "mine").await.unwrap();
        assert_eq!(reader.scalar::<i64>(count, &[]).await.unwrap(), 2);
    });
}

#[tokio::test]
async fn lost_server_connection_is_told_and_replaced() {
    let test = TestDb::new(Engine::Postgres).await;
    let killer = test.reopen().await;
    let own_pid = "SELECT pg_backend_pid()";
    let kill = "SELECT pg_terminate_backend($1, 10000)";
    let mut tx = test.db.begin();
    add(&mut tx, "lost").await.unwrap();
    let pid: i64 = tx.scalar(own_pid, &[]).await.unwrap();
    assert!(killer.begin().scalar::<bool>(kill, params![pid]).await.unwrap());
    let error = tx.query("SELECT 1 AS one", &[]).await.unwrap_err();
    assert!(matches!(error, Error::Lost(_)), "{error:?}");
    drop(tx);
    assert!(names(&test.db).await.is_empty());
    // A transaction that has only read goes on with another connection.
    let mut tx = test.db.begin();
    let pid: i64 = tx.scalar(own_pid, &[]).await.unwrap();
    assert!(killer.begin().scalar::<bool>(kill, params![pid]).await.unwrap());
    add(&mut tx, "kept").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(names(&test.db).await, ["kept"]);
}

#[test]
fn reading_leaves_no_open_transaction() {
    toji_testkit::run_on(Engine::Postgres, async |db: Db| {
        let mut tx = db.begin();
        let point = tx.savepoint().await.unwrap();
        let pid: i64 = tx.scalar("SELECT pg_backend_pid()", &[]).await.unwrap();
        tx.release(point).await.unwrap();
        drop(tx);
        let mut reader = db.begin();
        let same: i64 = reader.scalar("SELECT pg_backend_pid()", &[]).await.unwrap();
        assert_eq!(same, pid);
        let sql = "SELECT state FROM pg_stat_activity WHERE pid = $1";
        assert_eq!(db.begin().scalar::<String>(sql, params![pid]).await.unwrap(), "idle");
    });
}

both_databases! {
    async fn savepoint_around_failing_read(db: Db) {
        let mut tx = db.begin();
        for _ in 0..3 {
            let point = tx.savepoint().await.unwrap();
            assert!(tx.query("SELECT nothing FROM nowhere", &[]).await.is_err());
            tx.rollback_to(point).await.unwrap();
            add(&mut tx, "x").await.unwrap();
            let inner = tx.savepoint().await.unwrap();
            assert!(tx.query("SELECT nothing FROM nowhere", &[]).await.is_err());
            tx.rollback_to(inner).await.unwrap();
            assert!(tx.query("SELECT name FROM package", &[]).await.unwrap().len() == 1);
            tx.rollback_to(point).await.unwrap();
            tx.release(point).await.unwrap();
        }
        tx.commit().await.unwrap();
        assert!(names(&db).await.is_empty());
    }
}
