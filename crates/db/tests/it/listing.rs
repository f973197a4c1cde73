//! Listing statements with a caller's options.

use toji_db::{Db, Error, QueryOpts, Select};
use toji_testkit::both_databases;
use toji_value::{Map, Value};

fn opts(pairs: &[(&'static str, Value)]) -> QueryOpts {
    let map: Map = pairs.iter().map(|(k, v)| ((*k).into(), v.clone())).collect();
    QueryOpts::from_value(&Value::Struct(map)).unwrap()
}

fn channels() -> Select {
    Select::from("channels")
        .field("channels.id", "id")
        .field("channels.name", "name")
        .field("channels.description IS NULL", "bare:bool")
}

fn names(answer: &Value) -> Vec<String> {
    let Value::Array(rows) = answer else { panic!("{answer:?}") };
    rows.iter()
        .map(|r| match r {
            Value::Struct(m) => m.str("name").unwrap().to_owned(),
            _ => panic!(),
        })
        .collect()
}

both_databases! {
    async fn options(db: Db) {
        let mut tx = db.begin();
        let page = opts(&[("order", Value::Str("-name,id".into())), ("limit", Value::Int(2)), ("offset", Value::Int(1))]);
        assert_eq!(names(&channels().opts(&page).fetch(&mut tx).await.unwrap()), ["maven", "livemedia"]);
        let offset = opts(&[("order", Value::Str("id".into())), ("offset", Value::Int(6))]);
        assert_eq!(names(&channels().opts(&offset).fetch(&mut tx).await.unwrap()), ["image", "livemedia"]);
        let count = opts(&[("countOnly", Value::Bool(true))]);
        assert_eq!(channels().opts(&count).fetch(&mut tx).await.unwrap(), Value::Int(8));
        let count = opts(&[("countOnly", Value::Bool(true)), ("limit", Value::Int(3)), ("order", Value::Str("bogus".into()))]);
        assert_eq!(channels().opts(&count).fetch(&mut tx).await.unwrap(), Value::Int(3));
        let list = opts(&[("asList", Value::Bool(true)), ("limit", Value::Int(1)), ("order", Value::Str("id".into())), ("rowlock", Value::Bool(true))]);
        // Columns come in the order of their names.
        let want = Value::Array(vec![Value::Array(vec![Value::Bool(true), Value::Int(1), Value::Str("default".into())])]);
        assert_eq!(channels().opts(&list).fetch(&mut tx).await.unwrap(), want);
        let bogus = opts(&[("order", Value::Str("bogus".into()))]);
        assert!(matches!(channels().opts(&bogus).fetch(&mut tx).await, Err(Error::Option(text)) if text == "Invalid order: bogus"));
    }

    async fn filters(db: Db) {
        let mut tx = db.begin();
        let some = channels().filter("name LIKE ?", "live%").filter_opt("id = ?", None::<i64>).order_default("-id");
        assert_eq!(names(&some.fetch(&mut tx).await.unwrap()), ["livemedia", "livecd"]);
        let any = channels()
            .filter_any(vec![("name = ?", vec!["vm".into()]), ("id = ANY(?)", vec![vec![1i64, 2].into()])])
            .filter_text("name <> 'what?'")
            .order_default("id");
        assert_eq!(names(&any.fetch(&mut tx).await.unwrap()), ["default", "createrepo", "vm"]);
        let groups = Select::from("archivetypes").field("compression_type", "kind").field("count(*)", "n").allow_group()
            .opts(&opts(&[("group", Value::Str("kind".into())), ("order", Value::Str("-n".into()))]));
        let rows = groups.rows(&mut tx).await.unwrap();
        assert_eq!(rows[0].values()[0], Value::Nil);
        assert!(channels().filter_any::<&str>(vec![]).rows(&mut tx).await.unwrap().is_empty());
    }
}

#[test]
fn options_of_wrong_type() {
    for (key, value) in
        [("limit", Value::Str("5".into())), ("order", Value::Int(3)), ("offset", Value::Int(-1))]
    {
        let map: Map = [(key.into(), value)].into_iter().collect();
        assert!(
            matches!(QueryOpts::from_value(&Value::Struct(map)), Err(Error::Option(_))),
            "{key}"
        );
    }
    assert_eq!(QueryOpts::from_value(&Value::Nil).unwrap(), QueryOpts::default());
}
