//! What is in all tables, as one number: to see that a refused call has changed nothing.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use toji_db::{Engine, Sql};
use toji_hub::Hub;
use toji_value::Value;

/// Tables that calls write by themselves: sessions are touched by each call of their user.
const PASSED_OVER: &[&str] = &["sessions"];

/// A digest of each table's rows, whatever their order.
pub(super) async fn tables(hub: &Hub) -> BTreeMap<String, u64> {
    let mut call = hub.internal().await.unwrap();
    let names = match hub.db.engine() {
        Engine::Sqlite => {
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        }
        Engine::Postgres => {
            "SELECT table_name AS name FROM information_schema.tables
              WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'"
        }
    };
    let mut found = BTreeMap::new();
    for row in call.tx.query(names, &[]).await.unwrap() {
        let name: String = row.get("name").unwrap();
        if PASSED_OVER.contains(&name.as_str()) {
            continue;
        }
        let sql = format!("SELECT * FROM \"{name}\"");
        let mut sum = 0u64;
        for row in call.tx.query(Sql::unchecked(sql), &[]).await.unwrap() {
            let mut hasher = DefaultHasher::new();
            Value::from(row.into_map()).repr().hash(&mut hasher);
            sum = sum.wrapping_add(hasher.finish());
        }
        found.insert(name, sum);
    }
    found
}
