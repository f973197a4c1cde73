//! Batches: one transaction, savepoints, and all or nothing.

use toji_db::Db;
use toji_hub::batch::Item;
use toji_testkit::both_databases;
use toji_value::{Args, Map, Value, list};

use super::people::Stage;

fn item(method: &str, args: Value) -> Item {
    let Value::Array(positional) = args else { panic!("arguments are a list") };
    Item { method: method.to_owned(), args: Args { positional, keywords: Map::new() } }
}

both_databases! {
    async fn a_failure_takes_back_what_is_strict(db: Db) {
        let stage = Stage::new(db).await;
        let items = || vec![
            item("createTag", list!["one"]),
            item("createTag", list!["one"]),
            item("createTag", list!["two"]),
        ];
        let said = stage.world.hub.batch(&stage.admin, items(), true).await.unwrap();
        let said: Vec<String> = said.into_iter().map(|answer| answer.unwrap_err().message).collect();
        assert_eq!(said[0], "taken back, because call 2 of 3 failed");
        assert!(said[1].contains("already exists"), "{}", said[1]);
        assert_eq!(said[2], "not begun, because call 2 of 3 failed");
        for name in ["one", "two"] {
            assert_eq!(stage.ok(&stage.admin, "getTag", list![name]).await, Value::Nil, "{name}");
        }
        // The same without: what works stays.
        let said = stage.world.hub.batch(&stage.admin, items(), false).await.unwrap();
        assert_eq!(said.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
        assert!(!stage.ok(&stage.admin, "getTag", list!["two"]).await.is_nil());
        // Strict and without failure.
        let three = vec![item("createTag", list!["three"]), item("getTag", list!["three"])];
        let said = stage.world.hub.batch(&stage.admin, three, true).await.unwrap();
        assert_eq!(said[1].as_ref().unwrap().get("name"), &Value::from("three"));
        assert_eq!(stage.world.hub.batch(&stage.admin, vec![], true).await, Ok(vec![]));
    }

    async fn a_batch_of_a_stranger_is_answered_call_by_call(db: Db) {
        let stage = Stage::new(db).await;
        let nobody = toji_hub::Request::default();
        let items = vec![item("createTag", list!["x"]), item("echo", list![1]), item("nonsense", list![])];
        let said = stage.world.hub.batch(&nobody, items, false).await.unwrap();
        assert!(said[0].is_err() && said[1] == Ok(list![1]));
        assert_eq!(said[2].as_ref().unwrap_err().message, "Invalid method: nonsense");
    }
}
