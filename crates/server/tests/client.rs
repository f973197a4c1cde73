//! The client library against a served hub, also through a proxy that loses answers.

#[path = "client/polling.rs"]
mod polling;
#[path = "client/watching.rs"]
mod watching;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use futures::StreamExt as _;
use toji_bus::Bus;
use toji_client::api::tag::{CreateTag, GetTag};
use toji_client::{Client, Event, FaultKind, Options, Upload, Wanted, args, map};
use toji_db::Db;
use toji_hub::{Config, Hub};
use toji_server::{Front, Listeners, Site};
use toji_testkit::both_databases;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

struct World {
    url: String,
    dir: tempfile::TempDir,
    hub: Hub,
}

impl World {
    async fn new(db: Db) -> World {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { topdir: dir.path().to_owned(), ..Config::default() };
        let hub = Hub::new(db, Bus::new(), config);
        let mut tx = hub.db.begin();
        toji_db::setup::administrator(&mut tx, "root", "secret").await.unwrap();
        tx.commit().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/kojihub", listener.local_addr().unwrap());
        tokio::spawn(toji_hub::relay::run(hub.clone()));
        let site = Site { hub: hub.clone(), pages: Router::new(), front: Front::default() };
        let listeners = Listeners { plain: Some(listener), tls: None };
        let options = toji_server::Options::default();
        let end = std::future::pending::<()>();
        tokio::spawn(toji_server::serve(site.fixed(), listeners, options, end));
        World { url, dir, hub }
    }

    fn options(&self) -> Options {
        Options {
            retry_interval: Duration::from_millis(1),
            poll_interval: Duration::from_millis(50),
            cache: Some(self.dir.path().join("cache")),
            ..Options::default()
        }
    }

    async fn root(&self) -> Client {
        let client = Client::new(&self.url, self.options()).unwrap();
        client.login("root", "secret").await.unwrap();
        client
    }

    /// A client whose connections go through a proxy, and how many of the next answers it loses.
    async fn behind_proxy(&self) -> (Client, Arc<AtomicUsize>) {
        let lose = Arc::new(AtomicUsize::new(0));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/kojihub", listener.local_addr().unwrap());
        let hub = self.url.trim_start_matches("http://").trim_end_matches("/kojihub").to_owned();
        let losing = lose.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(pass(
                    near,
                    TcpStream::connect(hub.clone()).await.unwrap(),
                    losing.clone(),
                ));
            }
        });
        let client = Client::new(&url, self.options()).unwrap();
        client.login("root", "secret").await.unwrap();
        (client, lose)
    }
}

/// Passes bytes on both ways. An answer that is to be lost has been sent by the hub: what it did is committed.
async fn pass(mut near: TcpStream, mut far: TcpStream, lose: Arc<AtomicUsize>) {
    let (mut from_near, mut to_near) = near.split();
    let (mut from_far, mut to_far) = far.split();
    let answers = async {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let n = from_far.read(&mut buffer).await.unwrap_or(0);
            let lost = lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
            if n == 0 || lost.is_ok() || to_near.write_all(&buffer[..n]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = answers => {}
        _ = tokio::io::copy(&mut from_near, &mut to_far) => {}
    }
}

both_databases! {
    async fn a_lost_answer(db: Db) {
        let world = World::new(db).await;
        let (client, lose) = world.behind_proxy().await;
        // A reading call is answered again.
        lose.store(2, Ordering::SeqCst);
        assert_eq!(client.call("getTag", ("none",)).await.unwrap(), toji_client::Value::Nil);
        assert_eq!(lose.load(Ordering::SeqCst), 0);
        // A writing call is not run again, and the client knows that it was run.
        lose.store(1, Ordering::SeqCst);
        let lost = client.call_rpc(CreateTag::new("once")).await.unwrap_err();
        assert!(lost.is_done() && lost.is(FaultKind::Auth), "{lost:?}");
        assert_eq!(lose.load(Ordering::SeqCst), 0);
        let tag = client.tag("once").await.unwrap().expect("made");
        let again = client.call_rpc(CreateTag::new("once")).await.unwrap_err();
        assert!(!again.is_done(), "{again:?}");
        // The session goes on, with numbers in order.
        let other = client.call_rpc(CreateTag::new("after")).await.unwrap().as_int().unwrap();
        assert_eq!(other, tag.id().unwrap() + 1);
        // A multicall is one transaction, and one repetition.
        lose.store(1, Ordering::SeqCst);
        let mut calls = client.multicall();
        calls.rpc(CreateTag::new("m1"));
        calls.rpc(CreateTag::new("m2"));
        assert!(calls.run().await.unwrap_err().is_done());
        assert_eq!(client.tag("m2").await.unwrap().and_then(|tag| tag.id()), Some(other + 2));
        // Of the only session of its user the hub keeps the answers.
        client.exclusive(false).await.unwrap();
        lose.store(1, Ordering::SeqCst);
        let kept = client.call_rpc(CreateTag::new("kept")).await.unwrap();
        assert_eq!(kept.as_int(), Some(other + 3));
        assert_eq!(lose.load(Ordering::SeqCst), 0);
        let twice = client.call("queryHistory", args!(; "tables" => toji_client::list!["tag_config"]));
        let rows = twice.await.unwrap().get("tag_config").as_array().unwrap().len();
        assert_eq!(rows, 5, "every tag was made once");
    }

    async fn side_by_side(db: Db) {
        let world = World::new(db).await;
        let (client, lose) = world.behind_proxy().await;
        // Many tasks with one session, and a connection that breaks now and then: no number goes astray.
        let names: Vec<String> = (0..40).map(|n| format!("tag{n}")).collect();
        let make = names.iter().enumerate().map(|(n, name)| {
            let (client, lose) = (client.clone(), lose.clone());
            async move {
                if n % 7 == 3 {
                    lose.store(1, Ordering::SeqCst);
                }
                client.call_rpc(CreateTag::new(name.as_str())).await
            }
        });
        for result in futures::future::join_all(make).await {
            if let Err(error) = result {
                assert!(error.is_done(), "{error:?}");
            }
        }
        let mut calls = client.multicall().batch(7);
        let slots: Vec<_> = names.iter().map(|name| calls.rpc(GetTag::new(name.as_str()))).collect();
        let mut done = calls.run_strict().await.unwrap();
        for (name, slot) in names.iter().zip(slots) {
            assert_eq!(done.take(slot).unwrap().get("name").as_str(), Some(name.as_str()));
        }
    }

    async fn multicalls(db: Db) {
        let world = World::new(db).await;
        let client = world.root().await;
        let mut calls = client.multicall();
        let first = calls.rpc(CreateTag::new("a"));
        let wrong = calls.rpc(CreateTag::new("a"));
        let raw = calls.add("echo", (1, "x"));
        let mut done = calls.run().await.unwrap();
        assert!(done.take(first).unwrap().as_int() > Some(0));
        assert_eq!(done.take(wrong).unwrap_err().kind(), Some(FaultKind::Generic));
        assert_eq!(done.take_value(raw).unwrap(), toji_client::list![1, "x"]);
        assert!(done.take_value(raw).is_err(), "taken before");
        let mut strict = client.multicall();
        strict.rpc(CreateTag::new("b"));
        strict.add("nothing", ());
        assert!(strict.run_strict().await.unwrap_err().is(FaultKind::Generic));
    }

    async fn names_are_kept(db: Db) {
        let world = World::new(db).await;
        let client = world.root().await;
        let id = client.call_rpc(CreateTag::new("f43")).await.unwrap().as_int().unwrap();
        let names = client.names();
        assert_eq!(names.cached("tag", id).await, None);
        assert_eq!(names.tag(id).await.unwrap().as_deref(), Some("f43"));
        assert_eq!(names.tag(id + 1).await.unwrap(), None);
        assert_eq!(names.user(1).await.unwrap().as_deref(), Some("root"));
        // Another program, and the hub knows it by another name now.
        client.call("editTag2", args!(id; "name" => "f44")).await.unwrap();
        let other = Client::new(&world.url, world.options()).unwrap();
        assert_eq!(other.names().tag(id).await.unwrap().as_deref(), Some("f43"));
    }

    async fn tasks_are_watched(db: Db) {
        let world = World::new(db).await;
        let client = world.root().await;
        let id = client.call("makeTask", args!("sleep", toji_client::list![1])).await.unwrap();
        let id = id.as_int().unwrap();
        let mut events = client.events(Wanted { kinds: vec!["task.*".into()], ..Wanted::default() });
        let mut states = client.watch_tasks(&[id]);
        let first = states.next().await.unwrap().unwrap();
        assert_eq!(first.state(), Some(toji_client::TaskState::Free));
        assert_eq!(first.method(), "sleep");
        // The stream begins when the hub has answered; it is asked first when it is polled.
        let told = tokio::spawn(async move { events.next().await });
        let ended = tokio::spawn(async move { states.next().await });
        while !told.is_finished() {
            client.call("cancelTask", (id,)).await.unwrap();
            client.call("freeTask", (id,)).await.ok();
            tokio::task::yield_now().await;
            if ended.is_finished() {
                break;
            }
        }
        let last = ended.await.unwrap().unwrap().unwrap();
        assert_eq!(last.state(), Some(toji_client::TaskState::Canceled));
        told.abort();
        let mut all = client.events(Wanted { after: Some(0), ..Wanted::default() });
        let canceled = loop {
            let next = all.next().await.unwrap().unwrap();
            if let Event::TaskState { task, new: toji_client::TaskState::Canceled, .. } = next.event {
                break task;
            }
        };
        assert_eq!((canceled.id(), canceled.method()), (Some(id), "sleep"));
    }

    async fn files_go_up(db: Db) {
        let world = World::new(db).await;
        let client = world.root().await;
        let file = world.dir.path().join("file");
        let data: Vec<u8> = (0..3_000_000u32).flat_map(u32::to_le_bytes).collect();
        std::fs::write(&file, &data).unwrap();
        let seen: Arc<std::sync::Mutex<Vec<u64>>> = Arc::default();
        let watch = seen.clone();
        let watcher = toji_client::Watcher::new(move |at| {
            assert_eq!(at.total, Some(12_000_000));
            watch.lock().unwrap().push(at.done);
        });
        let to = Upload { path: "cli-build/x", name: "file", watcher, ..Upload::default() };
        let up = client.upload(&file, &to).await.unwrap();
        assert_eq!((up.size, up.resumed), (12_000_000, 0));
        let there = std::fs::read(world.dir.path().join("work/cli-build/x/file")).unwrap();
        assert!(there == data);
        let steps = seen.lock().unwrap().clone();
        assert_eq!((steps.first(), steps.last(), steps.len()), (Some(&0), Some(&12_000_000), 13));
        // The rest only, when a part is there.
        std::fs::write(world.dir.path().join("work/cli-build/x/file"), &data[..5_000_000]).unwrap();
        let again = Upload { resume: true, ..to };
        assert_eq!(client.upload(&file, &again).await.unwrap().resumed, 5_000_000);
        let there = std::fs::read(world.dir.path().join("work/cli-build/x/file")).unwrap();
        assert!(there == data);
    }

    async fn old_hubs_get_what_they_know(db: Db) {
        let world = World::new(db).await;
        let client = world.root().await;
        // Trailing parameters at their defaults are not sent, so that hubs without them answer.
        let query = toji_client::api::build::ListBuilds {
            query_opts: map! { "limit" => 1 }.into(),
            ..toji_client::api::build::ListBuilds::new()
        };
        assert_eq!(client.builds(query).await.unwrap(), []);
    }
}
