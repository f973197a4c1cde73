//! News of one hub reach those who wait at another on the same database.

use std::time::Duration;

use toji_bus::{Bus, Topic};
use toji_db::Engine;
use toji_hub::Hub;
use toji_testkit::TestDb;
use toji_value::list;

use super::people::Stage;

#[tokio::test]
async fn a_builder_at_another_hub_is_woken() {
    let test = TestDb::new(Engine::Postgres).await;
    let stage = Stage::new(test.db.clone()).await;
    let config = stage.world.hub.config.clone();
    let other = Hub::new(test.reopen().await, Bus::new(), config);
    let mut host = other.bus.listen(Topic::Host(stage.host));
    let relay = tokio::spawn(toji_hub::relay::run(other.clone()));
    // What happens before the relay listens is not told, so one task may not be enough.
    let mut woken = false;
    for _ in 0..40 {
        let task = stage.ok(&stage.admin, "makeTask", list!["sleep", list![1]]).await;
        stage.ok(&stage.admin, "assignTask", list![task, "builder.example.com"]).await;
        woken = tokio::time::timeout(Duration::from_secs(1), host.wait()).await.is_ok();
        if woken {
            break;
        }
    }
    relay.abort();
    assert!(woken);
}
