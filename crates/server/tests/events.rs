//! Readers of events at both doors: order, filters, cursors, slowness, and hubs that share a database.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Router;
use futures::StreamExt as _;
use toji_bus::Bus;
use toji_client::{Client, Error, Wanted, map};
use toji_db::{Db, Engine};
use toji_hub::{Config, Hub};
use toji_proto::events::WatchRequest;
use toji_proto::events::events_client::EventsClient;
use toji_proto::tonic::Code;
use toji_server::{Front, Listeners, Options, Site};
use toji_testkit::{TestDb, both_databases};
use toji_value::Map;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A served hub that tells its readers.
struct World {
    hub: Hub,
    address: String,
    dir: tempfile::TempDir,
}

impl World {
    async fn new(db: Db) -> World {
        Self::with(db, |_| {}).await
    }

    async fn with(db: Db, options: impl FnOnce(&mut Config)) -> World {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config { topdir: dir.path().to_owned(), ..Config::default() };
        options(&mut config);
        let hub = Hub::new(db, Bus::new(), config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let site = Site { hub: hub.clone(), pages: Router::new(), front: Front::default() };
        let end = std::future::pending::<()>();
        let listeners = Listeners::from(listener);
        tokio::spawn(toji_server::serve(site.fixed(), listeners, Options::default(), end));
        tokio::spawn(toji_hub::relay::run(hub.clone()));
        World { hub, address, dir }
    }

    async fn root(&self) -> Client {
        let mut tx = self.hub.db.begin();
        toji_db::setup::administrator(&mut tx, "root", "secret").await.unwrap();
        tx.commit().await.unwrap();
        let client = self.client();
        client.login("root", "secret").await.unwrap();
        client
    }

    fn client(&self) -> Client {
        let options = toji_client::Options {
            retry_interval: Duration::from_millis(1),
            cache: Some(self.dir.path().join("cache")),
            ..toji_client::Options::default()
        };
        Client::new(&format!("http://{}/kojihub", self.address), options).unwrap()
    }

    /// Emits events in one transaction.
    async fn emit(&self, events: impl IntoIterator<Item = (&str, String, Map)>) {
        let mut call = self.hub.internal().await.unwrap();
        for (kind, key, body) in events {
            call.emit(kind, &key, body);
        }
        call.commit().await.unwrap();
    }

    async fn newest(&self) -> i64 {
        toji_db::outbox::last(&mut self.hub.db.begin()).await.unwrap()
    }

    /// Numbers and keys of the next events by SSE.
    async fn read(&self, wanted: Wanted, count: usize) -> Vec<(i64, String)> {
        let events = self.client().events(wanted).take(count);
        let all = events.map(|event| event.map(|event| (event.number, event.key)).unwrap());
        tokio::time::timeout(Duration::from_secs(60), all.collect()).await.expect("events come")
    }

    /// The same by gRPC.
    async fn watch(&self, request: WatchRequest, count: usize) -> Vec<(i64, String)> {
        let url = format!("http://{}", self.address);
        let mut client = EventsClient::connect(url).await.unwrap();
        let stream = client.watch(request).await.unwrap().into_inner();
        let events = stream.map(Result::unwrap).filter(|event| {
            let whole = !event.kind.is_empty();
            async move { whole }
        });
        let all = events.map(|event| (event.seq, event.key)).take(count).collect();
        tokio::time::timeout(Duration::from_secs(60), all).await.expect("events come")
    }

    async fn refused(&self, request: WatchRequest) -> Code {
        let url = format!("http://{}", self.address);
        let mut client = EventsClient::connect(url).await.unwrap();
        client.watch(request).await.expect_err("refused").code()
    }
}

fn since(after: i64) -> Wanted {
    Wanted { after: Some(after), ..Wanted::default() }
}

fn words<const N: usize>(list: [&str; N]) -> Vec<String> {
    list.map(str::to_owned).to_vec()
}

both_databases! {
    async fn filters(db: Db) {
        let world = World::new(db).await;
        let root = world.root().await;
        let tag = root.call("createTag", ("f43",)).await.unwrap().as_int().unwrap();
        root.call("createTag", ("f44",)).await.unwrap();
        root.call("packageListAdd", ("f43", "bash", "root")).await.unwrap();
        root.call("packageListAdd", ("f43", "zsh", "root")).await.unwrap();
        root.call("makeTask", ("sleep", toji_client::list![1])).await.unwrap();
        // A tree of tasks as it grows, and what it brings about.
        let task = |id: i64, parent: Option<i64>| {
            let body = map! { "id" => id, "parent" => parent, "owner" => 77, "new" => "FREE" };
            ("task.state", format!("task:{id}"), body)
        };
        world.emit([task(900_001, None), task(900_009, None), task(900_002, Some(900_001))]).await;
        world.emit([task(900_003, Some(900_002)), task(900_010, Some(900_009))]).await;
        let build = map! { "name" => "bash", "task_id" => 900_003, "owner_id" => 77, "new" => "COMPLETE" };
        world.emit([("build.state", "build:5".to_owned(), build)]).await;
        let newest = world.newest().await;
        let all = world.read(since(0), usize::try_from(newest).unwrap()).await;
        let numbers: Vec<i64> = all.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (1..=newest).collect::<Vec<_>>(), "consecutive");
        let same = WatchRequest { after_seq: Some(0), ..WatchRequest::default() };
        assert_eq!(world.watch(same, all.len()).await, all, "both doors tell the same");

        let cases: [(Wanted, Vec<String>); 9] = [
            (Wanted { tags: words(["f44"]), ..since(0) }, vec![format!("tag:{}", tag + 1)]),
            (
                Wanted { tags: vec![tag.to_string()], kinds: words(["package.*"]), ..since(0) },
                vec![format!("tag:{tag}"); 2],
            ),
            (
                Wanted { packages: words(["bash"]), ..since(0) },
                vec![format!("tag:{tag}"), "build:5".to_owned()],
            ),
            (Wanted { objects: words(["build", "none"]), ..since(0) }, words(["build:5"])),
            (Wanted { keys: words(["task:900010"]), ..since(0) }, words(["task:900010"])),
            (
                Wanted { tasks: vec![900_001], ..since(0) },
                words(["task:900001", "task:900002", "task:900003", "build:5"]),
            ),
            (
                Wanted { tasks: vec![900_001], objects: words(["task"]), ..since(0) },
                words(["task:900001", "task:900002", "task:900003"]),
            ),
            (Wanted { kinds: words(["build.state"]), packages: words(["bash"]), ..since(0) }, words(["build:5"])),
            (Wanted { owners: words(["root"]), objects: words(["task"]), ..since(0) }, words(["task:1"])),
        ];
        for (wanted, keys) in cases {
            let told = world.read(wanted.clone(), keys.len()).await;
            let told: Vec<String> = told.into_iter().map(|(_, key)| key).collect();
            assert_eq!(told, keys, "{wanted:?}");
            let request = WatchRequest {
                kinds: wanted.kinds, objects: wanted.objects, keys: wanted.keys, tags: wanted.tags,
                packages: wanted.packages, owners: wanted.owners, tasks: wanted.tasks, after_seq: Some(0),
            };
            let told = world.watch(request, keys.len()).await;
            assert_eq!(told.into_iter().map(|(_, key)| key).collect::<Vec<_>>(), keys);
        }

        let nobody = WatchRequest { owners: words(["nobody"]), ..WatchRequest::default() };
        assert_eq!(world.refused(nobody).await, Code::InvalidArgument);
        for wrong in ["owners=nobody", "tasks=x", "kind=task.state", "after=x"] {
            let url = format!("http://{}/api/events?{wrong}", world.address);
            assert_eq!(status(&url).await, 400, "{wrong}");
        }
    }

    async fn relays_that_are_behind_show(db: Db) {
        let world = World::new(db).await;
        let mut tx = world.hub.db.begin_write().await.unwrap();
        toji_db::outbox::add_reader(&mut tx, "a \"b\"").await.unwrap();
        tx.commit().await.unwrap();
        let lag = async || toji_db::outbox::lags(&mut world.hub.db.begin()).await.unwrap().remove(0);
        assert_eq!((lag().await.entries, lag().await.since), (0, None));
        for n in 0..3 {
            world.emit([("test.n", format!("test:{n}"), Map::new())]).await;
        }
        let found = lag().await;
        let waited = world.hub.now() - found.since.unwrap();
        assert!(found.entries == 3 && (-1.0..60.0).contains(&waited), "{found:?}, {waited}");
        let text = get(&format!("http://{}/metrics", world.address)).await.1;
        assert!(text.contains("toji_relay_waiting_events{relay=\"a \\\"b\\\"\"} 3\n"), "{text}");
        assert!(text.contains("toji_relay_waiting_seconds{relay=\"a \\\"b\\\"\"} "), "{text}");
    }

    async fn what_is_not_kept_is_told(db: Db) {
        let world = World::with(db, |config| config.events_kept = -60.0).await;
        for n in 0..20 {
            world.emit([("test.n", format!("test:{n}"), Map::new())]).await;
        }
        let hub = &world.hub;
        // A relay that has come to 12 holds back what it has not sent.
        let mut tx = hub.db.begin_write().await.unwrap();
        toji_db::outbox::add_reader(&mut tx, "a").await.unwrap();
        let sql = "UPDATE toji_outbox_reader SET seq = 12";
        tx.execute(sql, &[]).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(toji_hub::events::keep::trim(hub).await.unwrap(), 12);
        assert_eq!(toji_hub::events::keep::trim(hub).await.unwrap(), 0);
        assert_eq!(world.read(since(12), 8).await.len(), 8);
        for after in [0, 11, 21, -5, i64::MAX] {
            let error = world.client().events(since(after)).next().await.unwrap().unwrap_err();
            let Error::EventsGone { after: said, oldest: 13, newest: 20 } = error else {
                panic!("{error:?}")
            };
            assert_eq!(said, after);
            let request = WatchRequest { after_seq: Some(after), ..WatchRequest::default() };
            assert_eq!(world.refused(request).await, Code::OutOfRange);
        }
        // Everything gone: the number goes on.
        let mut tx = hub.db.begin_write().await.unwrap();
        toji_db::outbox::advance_reader(&mut tx, "a", 20).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(toji_hub::events::keep::trim(hub).await.unwrap(), 8);
        let next = tokio::spawn({
            let events = world.client().events(since(20)).take(1);
            events.map(|event| event.unwrap().number).collect::<Vec<_>>()
        });
        world.emit([("test.n", "test:21".to_owned(), Map::new())]).await;
        assert_eq!(next.await.unwrap(), [21]);
    }

    async fn a_slow_reader_holds_up_nobody_and_misses_nothing(db: Db) {
        const COUNT: i64 = 12_000;
        let world = World::new(db).await;
        let mut slow = TcpStream::connect(&world.address).await.unwrap();
        slow.write_all(b"GET /api/events?after=0 HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let fast = tokio::spawn({
            let events = world.client().events(since(0)).take(usize::try_from(COUNT).unwrap());
            events.map(|event| event.unwrap().number).collect::<Vec<_>>()
        });
        let text = "x".repeat(700);
        for n in 0..COUNT / 200 {
            let body = || map! { "text" => &text };
            world.emit((0..200).map(|i| ("test.n", format!("test:{}", n * 200 + i), body()))).await;
        }
        let expected: Vec<i64> = (1..=COUNT).collect();
        let numbers = tokio::time::timeout(Duration::from_secs(120), fast).await.unwrap().unwrap();
        assert!(numbers == expected, "the fast one has {} of {COUNT}", numbers.len());
        // Much more was told than sockets hold, and more than the hub keeps in memory.
        let (mut seen, mut buffer, mut line) = (Vec::new(), vec![0; 1 << 16], Vec::new());
        while (seen.len() as i64) < COUNT {
            let read = slow.read(&mut buffer);
            let n = tokio::time::timeout(Duration::from_secs(60), read).await.unwrap().unwrap();
            assert!(n > 0, "the stream ended after {} events", seen.len());
            for byte in &buffer[..n] {
                if *byte != b'\n' {
                    line.push(*byte);
                    continue;
                }
                let text = String::from_utf8_lossy(&line);
                if let Some(rest) = text.strip_prefix("data: {\"seq\":") {
                    seen.push(rest.split(',').next().unwrap().parse::<i64>().unwrap());
                }
                line.clear();
            }
        }
        assert!(seen == expected, "the slow one missed something");
    }
}

/// The status of an answer to a GET.
async fn status(url: &str) -> u16 {
    get(url).await.0
}

/// The status of an answer to a GET, and the answer.
async fn get(url: &str) -> (u16, String) {
    let (host, path) = url.trim_start_matches("http://").split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let text = format!("GET /{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

#[tokio::test]
async fn numbers_are_the_same_at_all_hubs() {
    let test = TestDb::new(Engine::Postgres).await;
    let one = World::new(test.db.clone()).await;
    let other = World::new(test.reopen().await).await;
    // A reader at each hub, from now on, while both write.
    let readers: Vec<_> = [&one, &other]
        .map(|world| {
            let events = world.client().events(since(0)).take(60);
            tokio::spawn(events.map(|event| event.unwrap()).collect::<Vec<_>>())
        })
        .into_iter()
        .collect();
    for n in 0..30 {
        let event = |hub: &str| [("test.n", format!("{hub}:{n}"), Map::new())];
        tokio::join!(one.emit(event("one")), other.emit(event("other")));
    }
    let mut told = Vec::new();
    for reader in readers {
        let events = tokio::time::timeout(Duration::from_secs(60), reader).await.unwrap().unwrap();
        told.push(events.into_iter().map(|e| (e.number, e.key)).collect::<Vec<_>>());
    }
    assert_eq!(told[0], told[1]);
    let numbers: Vec<i64> = told[0].iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=60).collect::<Vec<_>>());
    let keys: BTreeSet<&String> = told[0].iter().map(|(_, key)| key).collect();
    assert_eq!(keys.len(), 60);
    // A number from one hub goes on at the other, and at one that was started just now.
    let third = World::new(test.reopen().await).await;
    for world in [&one, &other, &third] {
        assert_eq!(world.read(since(42), 18).await, told[0][42..]);
    }
}
