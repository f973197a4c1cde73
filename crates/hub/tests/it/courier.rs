//! Messages for a broker: written with what they tell, sent once it is committed, until the broker has them.

use std::collections::BTreeMap;
use std::sync::Mutex;

use toji_db::Db;
use toji_hub::courier::{Carrier, Courier, Delivery, Parcel, Round, Sending};
use toji_testkit::both_databases;
use toji_value::{Value, list};

use super::office::Office;

/// A broker that takes so many messages and then fails, and refuses an address.
#[derive(Default)]
struct Broker {
    room: Mutex<usize>,
    refused: &'static str,
    calls: Mutex<Vec<usize>>,
    got: Mutex<Vec<Parcel>>,
}

impl Broker {
    fn with_room(room: usize) -> Broker {
        Broker { room: Mutex::new(room), ..Broker::default() }
    }

    fn addresses(&self) -> Vec<String> {
        self.got.lock().unwrap().iter().map(|parcel| parcel.address.clone()).collect()
    }
}

impl Carrier for Broker {
    fn send<'a>(&'a self, _: &'a str, parcels: &'a [Parcel]) -> Sending<'a> {
        self.calls.lock().unwrap().push(parcels.len());
        let mut room = self.room.lock().unwrap();
        let mut delivery = Delivery::default();
        for parcel in parcels {
            if *room == 0 {
                delivery.trouble = Some("no room".to_owned());
                break;
            }
            let taken = parcel.address != self.refused;
            delivery.taken.push(taken);
            if taken {
                *room -= 1;
                self.got.lock().unwrap().push(parcel.clone());
            }
        }
        Box::pin(async { delivery })
    }
}

/// Refuses what protonmsg has told already.
const VETO: &str = r#"
    callback("postPackageListChange", |name, args| { if args["package"].name == "never" { throw "no" } });
"#;

/// A hub with the plugin and these options.
async fn office(db: Db, options: &[(&str, &str, &str)]) -> (Office, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("veto.rhai"), VETO).unwrap();
    let mut file: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for (section, name, value) in [("broker", "urls", "amqp://b")].iter().chain(options) {
        let section = file.entry((*section).to_owned()).or_default();
        section.insert((*name).to_owned(), (*value).to_owned());
    }
    let path = folder.path().to_owned();
    let office = Office::new(db, |config| {
        config.plugins = vec!["protonmsg".to_owned(), "veto".to_owned()];
        config.plugin_path = vec![path];
        config.plugin_options.insert("protonmsg".to_owned(), file);
        config.take_plugin_options().unwrap();
    })
    .await;
    (office, folder)
}

const QUEUE: (&str, &str, &str) = ("queue", "enabled", "true");

async fn round(office: &Office, broker: &Broker) -> Round {
    let options = office.hub.config.messages.clone().unwrap();
    Courier { hub: &office.hub, options: &options, carrier: broker }.round().await
}

async fn waiting(office: &Office) -> i64 {
    let mut call = office.hub.internal().await.unwrap();
    call.tx.scalar("SELECT count(*) FROM proton_queue", &[]).await.unwrap()
}

/// Three packages are added to a tag: three messages.
async fn three(office: &Office) {
    office.boss("createTag", list!["one"]).await;
    for name in ["a", "b", "c"] {
        office.boss("packageListAdd", list!["one", name, "boss"]).await;
    }
}

both_databases! {
    async fn messages_stay_until_a_broker_has_them(db: Db) {
        let (office, _folder) = office(db, &[QUEUE, ("queue", "batch_size", "2")]).await;
        three(&office).await;
        office.refusal("packageListAdd", list!["one", "never", "boss"]).await;
        assert_eq!(waiting(&office).await, 3, "what is not committed is not told");
        let broker = Broker::default();
        assert_eq!(round(&office, &broker).await, Round::Failed);
        assert_eq!(waiting(&office).await, 3);
        *broker.room.lock().unwrap() = 1;
        assert_eq!(round(&office, &broker).await, Round::Failed);
        assert_eq!(waiting(&office).await, 2);
        *broker.room.lock().unwrap() = 10;
        assert_eq!(round(&office, &broker).await, Round::Done);
        assert_eq!(waiting(&office).await, 0);
        assert_eq!(*broker.calls.lock().unwrap(), [2, 2, 2]);
        assert_eq!(broker.addresses(), ["topic://koji.package.add"; 3]);
        let got = broker.got.lock().unwrap();
        let packages: Vec<&Value> = got.iter().map(|parcel| parcel.props.value("package")).collect();
        assert_eq!(packages, [&Value::from("a"), &"b".into(), &"c".into()]);
        let body: serde_json::Value = serde_json::from_str(&got[0].body).unwrap();
        assert_eq!((&body["action"], &body["tag"]["name"]), (&"add".into(), &"one".into()));
    }

    async fn a_refused_message_holds_up_no_other(db: Db) {
        let (office, _folder) = office(db, &[QUEUE, ("queue", "batch_size", "1")]).await;
        three(&office).await;
        office.boss("packageListBlock", list!["one", "a"]).await;
        office.boss("packageListAdd", list!["one", "d", "boss"]).await;
        let broker = Broker { refused: "topic://koji.package.block", ..Broker::with_room(10) };
        assert_eq!(round(&office, &broker).await, Round::Done);
        assert_eq!(broker.addresses().len(), 4);
        assert_eq!(waiting(&office).await, 1);
    }

    async fn old_messages_go(db: Db) {
        let (office, _folder) = office(db, &[QUEUE, ("queue", "max_age", "1")]).await;
        three(&office).await;
        let mut call = office.hub.internal().await.unwrap();
        let sql = "UPDATE proton_queue SET created_ts = '2001-01-01 00:00:00+00'::timestamptz
                    WHERE id = (SELECT min(id) FROM proton_queue)";
        call.tx.execute(sql, &[]).await.unwrap();
        call.commit().await.unwrap();
        let broker = Broker::with_room(10);
        assert_eq!(round(&office, &broker).await, Round::Done);
        assert_eq!(broker.addresses().len(), 2);
    }

    async fn without_the_queue_messages_go_out_once(db: Db) {
        let (office, _folder) = office(db, &[]).await;
        three(&office).await;
        office.refusal("packageListAdd", list!["one", "never", "boss"]).await;
        assert_eq!(waiting(&office).await, 0);
        let broker = Broker::with_room(2);
        assert_eq!(round(&office, &broker).await, Round::Done);
        assert_eq!(broker.addresses().len(), 2);
        assert_eq!(round(&office, &broker).await, Round::Done);
        assert_eq!(broker.addresses().len(), 2, "what was not taken is lost, as for Koji");
    }

    async fn in_test_mode_nothing_is_sent(db: Db) {
        let (office, _folder) = office(db, &[QUEUE, ("broker", "test_mode", "on")]).await;
        three(&office).await;
        let broker = Broker::with_room(10);
        assert_eq!(round(&office, &broker).await, Round::Done);
        assert_eq!((broker.addresses().len(), waiting(&office).await), (0, 0));
    }

    async fn one_hub_sends_at_a_time(db: Db) {
        let (office, _folder) = office(db, &[QUEUE]).await;
        three(&office).await;
        let broker = Broker::with_room(10);
        let mut other = office.hub.db.begin();
        if office.hub.db.engine() == toji_db::Engine::Postgres {
            // as a Koji hub holds it while it sends
            other.lock("protonmsg-plugin").await.unwrap();
            assert_eq!(round(&office, &broker).await, Round::Busy);
            assert!(broker.addresses().is_empty());
        }
        drop(other);
        let ended = async {
            while round(&office, &broker).await == Round::Busy {}
        };
        ended.await;
        assert_eq!(broker.addresses().len(), 3);
    }
}
