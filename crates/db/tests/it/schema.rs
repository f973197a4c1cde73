//! The schema: complete, repeatable, safe against newer programs and simultaneous starts.

use toji_db::{Db, Durability, Engine, Error, Options, params, versioned};
use toji_testkit::both_databases;

/// `table: column,…` of a database that another hub of this kind filled.
const KNOWN: &str = include_str!("columns.txt");

both_databases! {
    async fn has_every_known_column(db: Db) {
        let mut tx = db.begin();
        for line in KNOWN.lines() {
            let (table, columns) = line.split_once(": ").unwrap();
            let sql = format!("SELECT {columns} FROM {table} LIMIT 1");
            tx.query(&sql, &[]).await.unwrap_or_else(|e| panic!("{table}: {e}"));
        }
    }

    async fn first_rows(db: Db) {
        let mut tx = db.begin();
        for (table, want) in [("permissions", 15), ("archivetypes", 76), ("channels", 8), ("btype", 4), ("volume", 1), ("external_repo", 1)] {
            let count: i64 = tx.scalar(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap();
            assert_eq!(count, want, "{table}");
        }
        assert_eq!(tx.scalar::<i64>("SELECT id FROM volume WHERE name = 'DEFAULT'", &[]).await.unwrap(), 0);
    }

    async fn again_changes_nothing(db: Db) {
        db.migrate().await.unwrap();
        let count: i64 = db.begin().scalar("SELECT count(*) FROM toji_migration", &[]).await.unwrap();
        assert_eq!(count, 5);
    }

    async fn newer_schema_is_refused(db: Db) {
        let mut tx = db.begin();
        tx.execute("INSERT INTO toji_migration (number, name) VALUES (9999, 'future')", &[]).await.unwrap();
        tx.commit().await.unwrap();
        assert!(matches!(db.migrate().await, Err(Error::Schema(_))));
    }

    async fn versioned_rows(db: Db) {
        let mut tx = db.begin();
        let user = versioned::insert_id(&mut tx, "users", &[("name", "u".into()), ("status", 0.into()), ("usertype", 0.into())]).await.unwrap();
        let tag = versioned::insert_id(&mut tx, "tag", &[("name", "t".into())]).await.unwrap();
        let key = [("tag_id", tag.into()), ("key", "k".into())];
        versioned::insert(&mut tx, "tag_extra", &[key[0].clone(), key[1].clone(), ("value", "1".into())], user).await.unwrap();
        let first = versioned::event(&mut tx).await.unwrap();
        assert_eq!(versioned::event(&mut tx).await.unwrap(), first);
        tx.reset_event();
        assert_eq!(versioned::revoke(&mut tx, "tag_extra", &key, user).await.unwrap(), 1);
        assert_eq!(versioned::revoke(&mut tx, "tag_extra", &key, user).await.unwrap(), 0);
        versioned::insert(&mut tx, "tag_extra", &[key[0].clone(), key[1].clone(), ("value", "2".into())], user).await.unwrap();
        let sql = "SELECT value, create_event, revoke_event, active FROM tag_extra WHERE tag_id = $1 ORDER BY create_event";
        let rows = tx.query(sql, params![tag]).await.unwrap();
        let got: Vec<(String, i64, Option<i64>, Option<bool>)> =
            rows.iter().map(|r| (r.get_at(0).unwrap(), r.get_at(1).unwrap(), r.get_at(2).unwrap(), r.get_at(3).unwrap())).collect();
        let second = got[1].1;
        assert!(second > first);
        assert_eq!(got, [("1".into(), first, Some(second), None), ("2".into(), second, None, Some(true))]);
    }

    async fn reserved_ids_are_not_given_again(db: Db) {
        let mut tx = db.begin();
        let first = versioned::next_id(&mut tx, "package").await.unwrap();
        let second = versioned::next_id(&mut tx, "package").await.unwrap();
        let third: i64 = tx.scalar("INSERT INTO package (name) VALUES ('x') RETURNING id", &[]).await.unwrap();
        assert_eq!((second, third), (first + 1, first + 2));
        let at = versioned::insert_id(&mut tx, "package", &[("id", (third + 1).into()), ("name", "y".into())]).await;
        assert_eq!(at.unwrap(), third + 1);
    }

    async fn drafts_carry_their_id(db: Db) {
        let mut tx = db.begin();
        let user = versioned::insert_id(&mut tx, "users", &[("name", "u".into()), ("status", 0.into()), ("usertype", 0.into())]).await.unwrap();
        let package = versioned::insert_id(&mut tx, "package", &[("name", "p".into())]).await.unwrap();
        let event = versioned::event(&mut tx).await.unwrap();
        let id = versioned::next_id(&mut tx, "build").await.unwrap();
        let before = tx.savepoint().await.unwrap();
        for (release, good) in [(format!("1,draft_{id}"), true), (format!("1,draft_{id}0"), false), ("1".into(), false)] {
            let out = versioned::insert_row(&mut tx, "build", &[
                ("id", id.into()), ("volume_id", 0.into()), ("pkg_id", package.into()), ("version", "1".into()), ("release", release.clone().into()),
                ("draft", true.into()), ("state", 0.into()), ("owner", user.into()), ("create_event", event.into()),
            ]).await;
            assert_eq!(out.is_ok(), good, "{release}: {out:?}");
            assert!(good || matches!(out, Err(Error::Check { .. })));
            tx.rollback_to(before).await.unwrap();
        }
    }
}

#[tokio::test]
async fn simultaneous_starts() {
    let options = Options { durability: Durability::None, ..Options::default() };
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("t.db").display());
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (url, options) = (url.clone(), options.clone());
        all.spawn(async move { Db::open(&url, &options).await?.migrate().await });
    }
    while let Some(out) = all.join_next().await {
        out.unwrap().unwrap();
    }
}

#[tokio::test]
async fn urls() {
    for bad in ["", "sqlite:", "mysql://x", "/tmp/x.db", "postgres://host:notaport/db"] {
        assert!(matches!(Db::open(bad, &Options::default()).await, Err(Error::Url(_))), "{bad}");
    }
    let db = Db::open("sqlite::memory:", &Options::default()).await.unwrap();
    assert_eq!(db.engine(), Engine::Sqlite);
}

/// Makes a database look as a Koji hub left it.
async fn as_koji_left_it(db: &Db) {
    let mut tx = db.begin();
    let own = "SELECT tablename FROM pg_tables WHERE tablename LIKE 'toji@_%' ESCAPE '@'";
    for row in tx.query(own, &[]).await.unwrap() {
        tx.execute(&format!("DROP TABLE {}", row.get::<String>("tablename").unwrap()), &[])
            .await
            .unwrap();
    }
    let own = "SELECT indexname FROM pg_indexes WHERE indexname LIKE 'toji@_%' ESCAPE '@'";
    for row in tx.query(own, &[]).await.unwrap() {
        tx.execute(&format!("DROP INDEX {}", row.get::<String>("indexname").unwrap()), &[])
            .await
            .unwrap();
    }
    tx.execute("DROP FUNCTION toji_ago", &[]).await.unwrap();
    tx.execute("ALTER TABLE rpminfo DROP COLUMN sigmd5, DROP COLUMN sha256header", &[])
        .await
        .unwrap();
    tx.execute("INSERT INTO tag (name) VALUES ('theirs')", &[]).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn takes_over_a_koji_database() {
    let test = toji_testkit::TestDb::new(Engine::Postgres).await;
    as_koji_left_it(&test.db).await;
    let db = test.reopen().await;
    db.migrate().await.unwrap();
    let mut tx = db.begin();
    assert_eq!(tx.scalar::<String>("SELECT name FROM tag", &[]).await.unwrap(), "theirs");
    assert_eq!(tx.scalar::<i64>("SELECT count(*) FROM toji_migration", &[]).await.unwrap(), 5);
    assert!(tx.query("SELECT sigmd5, sha256header FROM rpminfo", &[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn refuses_an_old_koji_database() {
    let test = toji_testkit::TestDb::new(Engine::Postgres).await;
    as_koji_left_it(&test.db).await;
    let mut tx = test.db.begin();
    tx.execute("DROP TABLE repo_queue", &[]).await.unwrap();
    tx.commit().await.unwrap();
    let out = test.reopen().await.migrate().await;
    assert!(matches!(out, Err(Error::Schema(text)) if text.contains("repo_queue")));
}
