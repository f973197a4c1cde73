//! The schema: complete, repeatable, safe against newer programs and simultaneous starts.

use toji_db::{Db, Durability, Engine, Error, Options, Sql, params, sql, versioned};
use toji_testkit::both_databases;

/// `table: column,…` of a database that another hub of this kind filled.
const KNOWN: &str = include_str!("columns.txt");

both_databases! {
    async fn has_every_known_column(db: Db) {
        let mut tx = db.begin();
        for line in KNOWN.lines() {
            let (table, columns) = line.split_once(": ").unwrap();
            let sql = format!("SELECT {columns} FROM {table} LIMIT 1");
            tx.query(Sql::unchecked(sql), &[]).await.unwrap_or_else(|e| panic!("{table}: {e}"));
        }
    }

    async fn first_rows(db: Db) {
        let mut tx = db.begin();
        for (table, want) in [("permissions", 15), ("archivetypes", 76), ("channels", 8), ("btype", 4), ("volume", 1), ("external_repo", 1)] {
            let count: i64 = tx.scalar(sql!["SELECT count(*) FROM ", table], &[]).await.unwrap();
            assert_eq!(count, want, "{table}");
        }
        assert_eq!(tx.scalar::<i64>("SELECT id FROM volume WHERE name = 'DEFAULT'", &[]).await.unwrap(), 0);
    }

    async fn again_changes_nothing(db: Db) {
        let count = async || db.begin().scalar::<i64>("SELECT count(*) FROM toji_migration", &[]).await.unwrap();
        let before = count().await;
        db.migrate().await.unwrap();
        assert_eq!(count().await, before);
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

both_databases! {
    async fn unsound_rows_are_found(db: Db) {
        let mut tx = db.begin();
        assert_eq!(toji_db::integrity::faults(&mut tx).await.unwrap(), Vec::<String>::new());
        let user = versioned::insert_id(&mut tx, "users", &[("name", "u".into()), ("status", 0.into()), ("usertype", 0.into())]).await.unwrap();
        let tag = versioned::insert_id(&mut tx, "tag", &[("name", "t".into())]).await.unwrap();
        let mut events = Vec::new();
        for _ in 0..3 {
            events.push(versioned::event(&mut tx).await.unwrap());
            tx.reset_event();
        }
        for (from, to) in [(0, Some(2)), (1, None)] {
            let sql = "INSERT INTO tag_extra (tag_id, key, create_event, creator_id, revoke_event, revoker_id, active)
                       VALUES ($1, 'k', $2, $3, $4, $5, $6)";
            let end = to.map(|i: usize| events[i]);
            let ended = end.map(|_| user);
            let active = end.is_none().then_some(true);
            tx.execute(sql, params![tag, events[from], user, end, ended, active]).await.unwrap();
        }
        tx.execute("INSERT INTO task (state, channel_id, owner, arch) VALUES (1, 1, $1, 'noarch')", params![user]).await.unwrap();
        let faults = toji_db::integrity::faults(&mut tx).await.unwrap();
        assert_eq!(faults, ["tag_extra: rows of one key overlap (1)", "tasks at work have no host (1)"]);
    }

    async fn history_never_overlaps(db: Db) {
        let mut tx = db.begin();
        let user = versioned::insert_id(&mut tx, "users", &[("name", "u".into()), ("status", 0.into()), ("usertype", 0.into())]).await.unwrap();
        let tag = versioned::insert_id(&mut tx, "tag", &[("name", "t".into())]).await.unwrap();
        tx.commit().await.unwrap();
        if db.engine() == Engine::Sqlite {
            // there is one writer, who makes his event when he is
            return;
        }
        let key = [("tag_id", tag.into()), ("key", "k".into())];
        let row = [key[0].clone(), key[1].clone(), ("value", "1".into())];
        let (mut early, mut late) = (db.begin(), db.begin());
        versioned::event(&mut early).await.unwrap();
        versioned::hold(&mut late, "tag", tag).await.unwrap();
        versioned::insert(&mut late, "tag_extra", &row, user).await.unwrap();
        late.commit().await.unwrap();
        // the row is newer than the event that would end it
        let point = early.savepoint().await.unwrap();
        versioned::hold(&mut early, "tag", tag).await.unwrap();
        let out = versioned::revoke(&mut early, "tag_extra", &key, user).await;
        assert!(matches!(out, Err(Error::Conflict)), "{out:?}");
        early.rollback_to(point).await.unwrap();
        assert_eq!(early.clash(), Some(toji_db::Clash::Conflict));
        // what was held since the savepoint is free again
        let mut late = db.begin();
        versioned::hold(&mut late, "tag", tag).await.unwrap();
        assert_eq!(versioned::revoke(&mut late, "tag_extra", &key, user).await.unwrap(), 1);
        late.commit().await.unwrap();
        // and now a new row would begin before the old one ended
        versioned::hold(&mut early, "tag", tag).await.unwrap();
        let out = versioned::insert(&mut early, "tag_extra", &row, user).await;
        assert!(matches!(out, Err(Error::Conflict)), "{out:?}");
        early.rollback().await.unwrap();
        assert_eq!(toji_db::integrity::faults(&mut db.begin()).await.unwrap(), Vec::<String>::new());
    }

    async fn settled_events(db: Db) {
        use toji_db::event;
        let mut tx = db.begin();
        let first = versioned::event(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(event::newest_settled(&mut db.begin()).await.unwrap(), Some(first));
        if db.engine() == Engine::Sqlite {
            return;
        }
        let mut slow = db.begin();
        let pending = versioned::event(&mut slow).await.unwrap();
        let mut quick = db.begin();
        let newest = versioned::event(&mut quick).await.unwrap();
        quick.commit().await.unwrap();
        let mut tx = db.begin();
        assert!(pending < newest && event::is_unsettled(&mut tx, newest).await.unwrap());
        assert!(!event::is_unsettled(&mut tx, first).await.unwrap());
        assert_eq!(event::newest_settled(&mut tx).await.unwrap(), Some(first));
        slow.commit().await.unwrap();
        assert!(!event::is_unsettled(&mut tx, newest).await.unwrap());
        assert_eq!(event::newest_settled(&mut tx).await.unwrap(), Some(newest));
    }
}
