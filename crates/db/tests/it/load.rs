//! Loading recorded tables.

use toji_db::load::{Table, tables};
use toji_db::{Db, Error};
use toji_testkit::both_databases;
use toji_value::Value;

fn table(name: &str, csv: &str) -> Table {
    Table { name: name.into(), csv: csv.into() }
}

both_databases! {
    async fn replaces_content(db: Db) {
        let given = vec![
            table("host", "id,user_id,name,update_time,task_load,ready\n5,2,h,2026-11-22 02:56:55.5+00,1.5,t\n"),
            table("scheduler_host_data", "host_id,data\n5,\"{\"\"a\"\": [1, null]}\"\n"),
            table("users", "id,name,password,status,usertype\n2,\"a,\"\"b\"\"\nc\",\\N,0,1\n"),
            table("channels", "id,name,enabled\n9,only,f\n"),
        ];
        let rows = tables(&db, given, &[("users_id_seq".into(), 40)]).await.unwrap();
        assert_eq!(rows, 4);
        let mut tx = db.begin();
        let row = tx.query_one(
            "SELECT u.name, u.password, h.update_time, h.task_load, h.ready, d.data
               FROM users u JOIN host h ON h.user_id = u.id JOIN scheduler_host_data d ON d.host_id = h.id", &[]).await.unwrap();
        let json = Value::Struct([("a".into(), Value::Array(vec![Value::Int(1), Value::Nil]))].into_iter().collect());
        let want = [
            Value::Str("a,\"b\"\nc".into()), Value::Nil, Value::Str("2026-11-22 02:56:55.500000+00:00".into()),
            Value::Double(1.5), Value::Bool(true), json,
        ];
        assert_eq!(row.values(), want);
        assert_eq!(tx.scalar::<i64>("SELECT count(*) FROM channels", &[]).await.unwrap(), 1);
        let next = "INSERT INTO users (name, status, usertype) VALUES ('n', 0, 0) RETURNING id";
        assert_eq!(tx.scalar::<i64>(next, &[]).await.unwrap(), 41);
    }

    async fn refuses_what_does_not_fit(db: Db) {
        let dangling = vec![table("host", "id,user_id,name\n5,77,h\n")];
        assert!(matches!(tables(&db, dangling, &[]).await, Err(Error::ForeignKey { .. })));
        assert!(matches!(tables(&db, vec![table("nowhere", "id\n1\n")], &[]).await, Err(Error::Schema(_))));
        let count: i64 = db.begin().scalar("SELECT count(*) FROM channels", &[]).await.unwrap();
        assert_eq!(count, 8);
    }
}
