//! Relays: what was committed goes to a broker in order, from where the relay has come to, until the broker has it.

use std::sync::Mutex;
use std::time::Duration;

use toji_db::{Db, Engine, outbox};
use toji_hub::Hub;
use toji_hub::config::relays::{Format, Relay};
use toji_hub::forward::{Carrier, Delivery, Forwarder, Line, Parcel, Round, Work};
use toji_testkit::{TestDb, both_databases};
use toji_value::list;
use tokio::sync::Semaphore;

use super::office::Office;

/// A broker that takes so many messages and then fails, and never takes a topic.
struct Broker {
    room: Mutex<usize>,
    refused: &'static str,
    opened: Mutex<usize>,
    got: Mutex<Vec<Parcel>>,
    /// Deliveries wait for a permit.
    gate: Semaphore,
}

impl Broker {
    fn with_room(room: usize) -> Broker {
        Broker {
            room: Mutex::new(room),
            refused: "",
            opened: Mutex::default(),
            got: Mutex::default(),
            gate: Semaphore::new(1000),
        }
    }

    fn seqs(&self) -> Vec<i64> {
        let got = self.got.lock().unwrap();
        got.iter().map(|parcel| parcel.headers.int("toji-seq").unwrap()).collect()
    }
}

impl Carrier for &'static Broker {
    fn open<'a>(&'a self, _: &'a Relay) -> Work<'a, Result<Box<dyn Line>, String>> {
        *self.opened.lock().unwrap() += 1;
        let line: Box<dyn Line> = Box::new(Wire(self));
        Box::pin(async { Ok(line) })
    }
}

struct Wire(&'static Broker);

impl Line for Wire {
    fn send<'a>(&'a mut self, parcels: &'a [Parcel]) -> Work<'a, Delivery> {
        Box::pin(async move {
            self.0.gate.acquire().await.unwrap().forget();
            let mut delivery = Delivery::default();
            for parcel in parcels {
                let mut room = self.0.room.lock().unwrap();
                if parcel.topic == self.0.refused {
                    delivery.trouble = Some("too large".to_owned());
                    delivery.refused = true;
                    break;
                }
                if *room == 0 {
                    delivery.trouble = Some("no room".to_owned());
                    break;
                }
                *room -= 1;
                delivery.taken += 1;
                self.0.got.lock().unwrap().push(parcel.clone());
            }
            delivery
        })
    }

    fn close(self: Box<Self>) -> Work<'static, ()> {
        Box::pin(async {})
    }
}

fn leaked(broker: Broker) -> &'static Broker {
    Box::leak(Box::new(broker))
}

fn relay() -> Relay {
    Relay {
        name: "one".to_owned(),
        url: "amqp://b".to_owned(),
        format: Format::Toji,
        prefix: "toji".to_owned(),
        kinds: Vec::new(),
        exchange: String::new(),
        stream: String::new(),
        certificate: None,
        authorities: None,
        credentials: None,
        timeout: Duration::from_secs(1),
    }
}

async fn newest(hub: &Hub) -> i64 {
    outbox::last(&mut hub.db.begin()).await.unwrap()
}

async fn position(hub: &Hub) -> i64 {
    hub.db
        .begin()
        .scalar("SELECT seq FROM toji_outbox_reader WHERE name = 'one'", &[])
        .await
        .unwrap()
}

async fn tags(office: &Office, names: [&str; 3]) {
    for name in names {
        office.boss("createTag", list![name]).await;
    }
}

both_databases! {
    async fn everything_arrives_in_order(db: Db) {
        let office = Office::new(db, |_| {}).await;
        let (hub, relay) = (&office.hub, relay());
        tags(&office, ["before1", "before2", "before3"]).await;
        let broker = leaked(Broker::with_room(0));
        let mut forwarder = Forwarder::new(hub, &relay, &broker);
        assert_eq!(forwarder.round().await, Round::Done);
        let begin = newest(hub).await;
        assert_eq!(position(hub).await, begin, "a new relay begins with what comes next");
        tags(&office, ["a", "b", "c"]).await;
        assert_eq!(forwarder.round().await, Round::Failed);
        *broker.room.lock().unwrap() = 1;
        assert_eq!(forwarder.round().await, Round::Failed);
        assert_eq!(position(hub).await, begin + 1);
        // Another process goes on where this one was.
        drop(forwarder);
        *broker.room.lock().unwrap() = 100;
        let mut forwarder = Forwarder::new(hub, &relay, &broker);
        assert_eq!(forwarder.round().await, Round::Done);
        tags(&office, ["d", "e", "f"]).await;
        assert_eq!(forwarder.round().await, Round::Done);
        let end = newest(hub).await;
        assert_eq!(broker.seqs(), (begin + 1..=end).collect::<Vec<_>>());
        assert_eq!(position(hub).await, end);
        assert_eq!(*broker.opened.lock().unwrap(), 3, "a line is kept while it is good");
        let parcel = broker.got.lock().unwrap()[0].clone();
        assert!(parcel.topic.starts_with("toji.tag.") && parcel.body.contains("\"a\""), "{parcel:?}");
    }

    async fn what_will_never_be_taken_holds_up_nothing(db: Db) {
        let office = Office::new(db, |_| {}).await;
        let (hub, relay) = (&office.hub, relay());
        let broker = leaked(Broker { refused: "toji.package.list", ..Broker::with_room(100) });
        let mut forwarder = Forwarder::new(hub, &relay, &broker);
        assert_eq!(forwarder.round().await, Round::Done);
        let begin = newest(hub).await;
        office.boss("createTag", list!["a"]).await;
        office.boss("packageListAdd", list!["a", "bash", "boss"]).await;
        office.boss("createTag", list!["b"]).await;
        assert_eq!(forwarder.round().await, Round::Done);
        assert_eq!(position(hub).await, newest(hub).await);
        assert_eq!(broker.seqs(), [begin + 1, begin + 3]);
    }

    async fn kinds_that_nobody_wants_are_passed_over(db: Db) {
        let office = Office::new(db, |_| {}).await;
        let hub = &office.hub;
        let relay = Relay { kinds: vec!["package.*".to_owned()], ..relay() };
        let broker = leaked(Broker::with_room(100));
        let mut forwarder = Forwarder::new(hub, &relay, &broker);
        forwarder.round().await;
        tags(&office, ["a", "b", "c"]).await;
        assert_eq!(forwarder.round().await, Round::Done);
        assert_eq!(*broker.opened.lock().unwrap(), 0);
        assert_eq!(position(hub).await, newest(hub).await);
        office.boss("packageListAdd", list!["a", "bash", "boss"]).await;
        assert_eq!(forwarder.round().await, Round::Done);
        assert_eq!(broker.seqs(), [newest(hub).await]);
    }
}

#[tokio::test]
async fn of_two_hubs_one_sends() {
    let test = TestDb::new(Engine::Postgres).await;
    let office = Office::new(test.db.clone(), |_| {}).await;
    let other = Hub::new(test.reopen().await, toji_bus::Bus::new(), office.hub.config.clone());
    let relay = relay();
    let broker = leaked(Broker::with_room(100));
    assert_eq!(Forwarder::new(&office.hub, &relay, &broker).round().await, Round::Done);
    tags(&office, ["a", "b", "c"]).await;
    // The first one is in the middle of sending.
    broker.gate.forget_permits(1000);
    let (hub, to) = (office.hub.clone(), relay.clone());
    let first = tokio::spawn(async move { Forwarder::new(&hub, &to, &broker).round().await });
    while *broker.opened.lock().unwrap() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(Forwarder::new(&other, &relay, &broker).round().await, Round::Busy);
    assert_eq!(broker.seqs(), [] as [i64; 0]);
    // It dies, and its database connection with it: the other one sends.
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    broker.gate.add_permits(1000);
    let mut forwarder = Forwarder::new(&other, &relay, &broker);
    let sent = async {
        while forwarder.round().await != Round::Done {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), sent).await.expect("the other one takes over");
    let end = newest(&other).await;
    assert_eq!(broker.seqs(), (end - 2..=end).collect::<Vec<_>>());
}
