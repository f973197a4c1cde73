//! Values go in and come out the same on both engines.

use toji_db::{Db, Error, Param, Time, params, sql};
use toji_testkit::both_databases;
use toji_value::Value;

fn json(text: &str) -> Value {
    match text {
        "nested" => Value::Struct(
            [("a".into(), Value::Array(vec![Value::Int(1), Value::Nil, Value::Double(1.5)]))]
                .into_iter()
                .collect(),
        ),
        text => Value::Str(text.into()),
    }
}

async fn user(tx: &mut toji_db::Tx, name: &str) -> i64 {
    let sql = "INSERT INTO users (name, status, usertype) VALUES ($1, 0, 0) RETURNING id";
    tx.scalar(sql, params![name]).await.unwrap()
}

both_databases! {
    async fn declared_types(db: Db) {
        let mut tx = db.begin();
        let owner = user(&mut tx, "u").await;
        let sql = "INSERT INTO task (owner, channel_id, arch, create_time, weight, waiting) \
                   VALUES ($1, 1, 'noarch', $2, $3, $4) RETURNING id";
        let at = Time::parse("2026-11-22 02:53:08.214251+00:00").unwrap();
        let id: i64 = tx.scalar(sql, params![owner, at, 1.5, true]).await.unwrap();
        let sql = "SELECT id, create_time, date_part('epoch', create_time) AS create_ts, start_time, weight, waiting, \
                   awaited, arch, host_id IS NULL AS \"free:bool\", create_time::text = '' AS \"x:bool\" FROM task WHERE id = $1";
        let row = tx.query_one(sql, params![id]).await.unwrap();
        let text = |s: &str| Value::Str(s.into());
        let want = [
            Value::Int(id), text("2026-11-22 02:53:08.214251+00:00"), Value::Double(1795315988.214251), Value::Nil,
            Value::Double(1.5), Value::Bool(true), Value::Nil, text("noarch"), Value::Bool(true), Value::Bool(false),
        ];
        assert_eq!(row.values(), want);
        assert_eq!(row.names()[8], "free");
        assert_eq!(row.get::<Option<i64>>("host_id").unwrap_err().to_string(), "column host_id: not in the result");
    }

    async fn moments(db: Db) {
        let mut tx = db.begin();
        for at in ["2024-02-29 12:00:00+00:00", "1969-12-31 23:59:59.500000+00:00", "2026-01-01 00:00:00.000001+00:00"] {
            tx.execute("INSERT INTO events (time) VALUES ($1)", params![Time::parse(at).unwrap()]).await.unwrap();
        }
        tx.execute("INSERT INTO events (time) VALUES ($1::timestamptz)", params!["2023-01-01T01:00:00+01:00"]).await.unwrap();
        tx.execute("INSERT INTO events (time) VALUES ($1::timestamptz)", params![1700000000]).await.unwrap();
        let rows = tx.query("SELECT time FROM events ORDER BY time", &[]).await.unwrap();
        let got: Vec<String> = rows.iter().map(|r| r.get("time").unwrap()).collect();
        assert_eq!(got, [
            "1969-12-31 23:59:59.500000+00:00", "2023-01-01 00:00:00+00:00", "2023-11-14 22:13:20+00:00",
            "2024-02-29 12:00:00+00:00", "2026-01-01 00:00:00.000001+00:00",
        ]);
        let before = "SELECT count(*) FROM events WHERE time < $1::timestamptz";
        assert_eq!(tx.scalar::<i64>(before, params![1700000000.5]).await.unwrap(), 3);
        assert!(matches!(tx.scalar::<i64>(before, params!["yesterday"]).await, Err(Error::Type(_))));
        let mut tx = db.begin();
        let sql = "SELECT NOW() AS \"a:ts\", toji_ago(3600) AS \"b:ts\", date_part('epoch', NOW()) - date_part('epoch', toji_ago(60)) AS s";
        let row = tx.query_one(sql, &[]).await.unwrap();
        assert!(row.get::<String>("b").unwrap() < row.get::<String>("a").unwrap());
        assert_eq!(row.get::<f64>("s").unwrap().round(), 60.0);
        // NOW() stands still in a transaction, clock_timestamp() does not.
        let same = tx.query_one(sql, &[]).await.unwrap();
        assert_eq!(row.value("a"), same.value("a"));
    }

    async fn json_columns(db: Db) {
        let mut tx = db.begin();
        let body = json("nested");
        for (name, value) in [("a", Some(body.clone())), ("b", None), ("c", Some(Value::Str("x".into())))] {
            tx.execute("INSERT INTO scheduler_sys_data (name, data) VALUES ($1, $2)", params![name, value]).await.unwrap();
        }
        let rows = tx.query("SELECT name, data FROM scheduler_sys_data ORDER BY name", &[]).await.unwrap();
        let got: Vec<&Value> = rows.iter().map(|r| r.value("data")).collect();
        assert_eq!(got, [&body, &Value::Nil, &Value::Str("x".into())]);
        // JSON in a text column, asked for by the alias.
        tx.execute("INSERT INTO buildroot (br_type, extra) VALUES (1, $1)", params![body.clone()]).await.unwrap();
        let row = tx.query_one("SELECT extra AS \"extra:json\", extra AS raw FROM buildroot", &[]).await.unwrap();
        assert_eq!(row.value("extra"), &body);
        assert_eq!(row.get::<String>("raw").unwrap(), r#"{"a":[1,null,1.5]}"#);
    }

    async fn lists(db: Db) {
        let mut tx = db.begin();
        let names = |rows: Vec<toji_db::Row>| rows.iter().map(|r| r.get::<String>("name").unwrap()).collect::<Vec<_>>();
        let sql = "SELECT name FROM channels WHERE id = ANY($1) ORDER BY id";
        assert_eq!(names(tx.query(sql, params![vec![2i64, 1]]).await.unwrap()), ["default", "createrepo"]);
        assert!(tx.query(sql, params![Vec::<i64>::new()]).await.unwrap().is_empty());
        let sql = "SELECT name FROM channels WHERE name <> ALL($1) AND id = ANY($2::int[]) ORDER BY name";
        let rows = tx.query(sql, params![vec!["maven", "it's"], vec![3i64, 4]]).await.unwrap();
        assert_eq!(names(rows), ["livecd"]);
        let row = tx.query_one("SELECT array_agg(id) AS \"ids:json\" FROM channels WHERE id < 3", &[]).await.unwrap();
        assert_eq!(row.value("ids"), &Value::Array(vec![Value::Int(1), Value::Int(2)]));
    }

    async fn numbers(db: Db) {
        let mut tx = db.begin();
        let sql = "SELECT sum(id) AS s, avg(id) AS a, count(*) AS n, sum(id::bigint) AS big, max(name) AS m FROM channels WHERE id < 4";
        let row = tx.query_one(sql, &[]).await.unwrap();
        let want = [Value::Int(6), Value::Double(2.0), Value::Int(3), Value::Int(6), Value::Str("maven".into())];
        assert_eq!(row.values(), want);
        assert_eq!(tx.scalar::<f64>("SELECT avg(id) FROM channels WHERE id < 3", &[]).await.unwrap(), 1.5);
    }

    async fn patterns(db: Db) {
        let mut tx = db.begin();
        for name in ["Abc", "abc", "a_c", "a%c", "xyz\nq"] {
            user(&mut tx, name).await;
        }
        for (test, pattern, want) in [
            ("name LIKE $1", "a_c", vec!["a%c", "a_c", "abc"]),
            ("name LIKE $1", r"a\_c", vec!["a_c"]),
            ("name ILIKE $1", "ABC", vec!["Abc", "abc"]),
            ("name NOT ILIKE $1", "a%", vec!["xyz\nq"]),
            ("name ~ $1", "^[Aa]b", vec!["Abc", "abc"]),
            ("name !~ $1", "c$", vec!["xyz\nq"]),
            ("name ~* $1", "^AB", vec!["Abc", "abc"]),
            ("name LIKE $1", "x%q", vec!["xyz\nq"]),
        ] {
            let rows = tx.query(sql!["SELECT name FROM users WHERE ", test, " ORDER BY name"], params![pattern]).await.unwrap();
            let got: Vec<String> = rows.iter().map(|r| r.get("name").unwrap()).collect();
            assert_eq!(got, want, "{test} {pattern}");
        }
    }

    async fn null_sorts_last(db: Db) {
        let mut tx = db.begin();
        for (name, password) in [("a", None), ("b", Some("2")), ("c", Some("1"))] {
            let sql = "INSERT INTO users (name, password, status, usertype) VALUES ($1, $2, 0, 0)";
            tx.execute(sql, params![name, password]).await.unwrap();
        }
        for (order, want) in [("password", ["c", "b", "a"]), ("password DESC", ["a", "b", "c"]), ("password NULLS FIRST", ["a", "c", "b"])] {
            let rows = tx.query(sql!["SELECT name FROM users ORDER BY ", order], &[]).await.unwrap();
            let got: Vec<String> = rows.iter().map(|r| r.get("name").unwrap()).collect();
            assert_eq!(got, want, "{order}");
        }
    }

    async fn bytes_and_text(db: Db) {
        let mut tx = db.begin();
        tx.execute("INSERT INTO package (name) VALUES ($1)", params!["ünï 'q' \\ $1 ::x"]).await.unwrap();
        assert_eq!(tx.scalar::<String>("SELECT name FROM package", &[]).await.unwrap(), "ünï 'q' \\ $1 ::x");
        let got: Vec<u8> = tx.scalar("SELECT $1::bytea AS b", &[Param::Bytes(vec![0, 255, 7])]).await.unwrap();
        assert_eq!(got, [0, 255, 7]);
    }
}

#[test]
fn misfits_are_typed() {
    toji_testkit::run_on(toji_db::Engine::Postgres, async |db: Db| {
        let sql = "SELECT id FROM users WHERE id = $1";
        for bad in
            [Param::Int(1 << 40), Param::Text("1".into()), Param::Float(1.0), Param::Ints(vec![1])]
        {
            assert!(matches!(db.begin().query(sql, &[bad]).await, Err(Error::Type(_))));
        }
        let mut tx = db.begin();
        let point = tx.savepoint().await.unwrap();
        let sql = "SELECT id FROM users WHERE id = ANY($1)";
        assert!(matches!(tx.query(sql, params![vec![1i64 << 40]]).await, Err(Error::Type(_))));
        tx.rollback_to(point).await.unwrap();
        assert!(tx.query(sql, params![vec![1i64]]).await.unwrap().is_empty());
    });
}
