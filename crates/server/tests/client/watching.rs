//! What waits for a hub: trees of tasks, logs and repositories, told by events and by asking again and again.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use futures::StreamExt as _;
use toji_client::{
    Client, Error, Events, LogPiece, Logs, RepoStep, TaskChange, TaskState, Value, WaitRepo, args,
    list, map,
};
use toji_db::Db;
use toji_testkit::both_databases;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::World;

impl World {
    /// A client for whom the hub has nothing but calls, as Koji's.
    pub(crate) async fn old(&self) -> Client {
        self.older("").await
    }

    /// And one that does not know a call.
    pub(crate) async fn older(&self, unknown: &'static str) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/kojihub", listener.local_addr().unwrap());
        let hub = self.url.trim_start_matches("http://").trim_end_matches("/kojihub").to_owned();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(hub.clone()).await.unwrap();
                tokio::spawn(calls_only(near, far, unknown));
            }
        });
        let client = Client::new(&url, self.options()).unwrap();
        client.login("root", "secret").await.unwrap();
        client
    }

    /// Both kinds of clients.
    async fn clients(&self) -> [Client; 2] {
        [self.root().await, self.old().await]
    }

    fn log(&self, task: i64, name: &str) -> PathBuf {
        let dir = self.dir.path().join(format!("work/tasks/{}/{task}", task % 10_000));
        std::fs::create_dir_all(&dir).unwrap();
        dir.join(name)
    }

    fn write(&self, task: i64, name: &str, text: &str) {
        let mut file = std::fs::OpenOptions::new();
        let mut file = file.create(true).append(true).open(self.log(task, name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }
}

fn place_of(word: &[u8], text: &[u8]) -> Option<usize> {
    let mut parts = text.windows(word.len().max(1));
    parts.position(|part| part == word)
}

/// Passes calls on, and answers everything else with 404.
async fn calls_only(mut near: TcpStream, mut far: TcpStream, unknown: &str) {
    let (mut from_near, mut to_near) = near.split();
    let (mut from_far, mut to_far) = far.split();
    let asks = async {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let n = from_near.read(&mut buffer).await.unwrap_or(0);
            if n == 0 {
                return true;
            }
            if buffer[..n].starts_with(b"GET ") {
                return false;
            }
            let asked = &mut buffer[..n];
            while let Some(place) = place_of(unknown.as_bytes(), asked) {
                asked[place] = b'x';
            }
            to_far.write_all(asked).await.unwrap();
        }
    };
    let passed = tokio::select! {
        passed = asks => passed,
        _ = tokio::io::copy(&mut from_far, &mut to_near) => true,
    };
    if !passed {
        let answer = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        near.write_all(answer).await.ok();
    }
}

/// Somebody who makes tasks, and a host that begins them.
pub(crate) struct Farm {
    pub(crate) root: Client,
    pub(crate) host: Client,
}

impl Farm {
    pub(crate) async fn new(world: &World) -> Farm {
        let root = world.root().await;
        root.call("addHost", ("b1", list!["x86_64"])).await.unwrap();
        let mut tx = world.hub.db.begin();
        toji_db::setup::set_password(&mut tx, "b1", "secret").await.unwrap();
        tx.commit().await.unwrap();
        let host = Client::new(&world.url, world.options()).unwrap();
        host.login("b1", "secret").await.unwrap();
        host.exclusive(true).await.unwrap();
        Farm { root, host }
    }

    /// A task that runs.
    pub(crate) async fn task(&self, parent: Option<i64>) -> i64 {
        self.task_of("sleep", list![1], parent).await
    }

    pub(crate) async fn task_of(&self, method: &str, request: Value, parent: Option<i64>) -> i64 {
        let mut call = args!(method, request; "assign" => "b1");
        if let Some(parent) = parent {
            call.keywords.insert("parent", parent);
        }
        let id = self.root.call("makeTask", call).await.unwrap().as_int().unwrap();
        assert!(!self.host.call("host.openTask", (id,)).await.unwrap().is_nil());
        id
    }
}

pub(crate) async fn next<T>(stream: &mut Events<T>) -> T {
    let next = tokio::time::timeout(Duration::from_secs(30), stream.next()).await;
    next.expect("nothing comes").expect("the end").expect("an error")
}

fn seen(change: &TaskChange) -> (i64, usize, Option<TaskState>, TaskState) {
    (change.task.id().unwrap(), change.level, change.before, change.task.state().unwrap())
}

/// The pieces until there is this much of a log.
async fn read(pieces: &mut Events<LogPiece>, wanted: &str) {
    let mut text = String::new();
    while text.len() < wanted.len() {
        text += std::str::from_utf8(&next(pieces).await.data).unwrap();
    }
    assert_eq!(text, wanted);
}

both_databases! {
    async fn trees_are_watched(db: Db) {
        let world = World::new(db).await;
        let farm = Farm::new(&world).await;
        for client in world.clients().await {
            let top = farm.task(None).await;
            let below = farm.task(Some(top)).await;
            let mut changes = client.watch_trees(&[top]);
            assert_eq!(seen(&next(&mut changes).await), (top, 0, None, TaskState::Open));
            assert_eq!(seen(&next(&mut changes).await), (below, 1, None, TaskState::Open));
            // Made while it is watched, and a task of somebody else beside it.
            farm.task(None).await;
            let deep = farm.task(Some(below)).await;
            let (id, level, before, mut state) = seen(&next(&mut changes).await);
            assert_eq!((id, level, before), (deep, 2, None));
            while state != TaskState::Open {
                (_, _, _, state) = seen(&next(&mut changes).await);
            }
            farm.root.call("cancelTask", (top,)).await.unwrap();
            let mut ended = Vec::new();
            while let Some(change) = changes.next().await {
                let (id, _, before, now) = seen(&change.unwrap());
                assert_eq!((before, now), (Some(TaskState::Open), TaskState::Canceled));
                ended.push(id);
            }
            ended.sort_unstable();
            assert_eq!(ended, [top, below, deep]);
            let ended = client.task(top).await.unwrap().unwrap();
            assert_eq!(ended.wait().await.unwrap().state(), Some(TaskState::Canceled));
            assert_eq!(ended.watch().count().await, 3);
            let none = client.watch_trees(&[top, 1_000_000]).any(|change| async move {
                matches!(change, Err(Error::NoTask(1_000_000)))
            });
            assert!(none.await);
            assert!(matches!(client.wait_task(1_000_000).await, Err(Error::NoTask(1_000_000))));
        }
    }

    async fn logs_are_followed(db: Db) {
        let world = World::new(db).await;
        let farm = Farm::new(&world).await;
        for client in world.clients().await {
            let top = farm.task(None).await;
            world.write(top, "build.log", "one\n");
            world.write(top, "result.xml", "no log");
            let mut pieces = client.follow_logs(&[top], Logs { below: true, ..Logs::default() });
            read(&mut pieces, "one\n").await;
            world.write(top, "build.log", "two\n");
            read(&mut pieces, "two\n").await;
            // Of a task that is made meanwhile.
            let below = farm.task(Some(top)).await;
            world.write(below, "root.log", "below\n");
            let piece = next(&mut pieces).await;
            assert_eq!((piece.task, piece.log.as_str(), piece.offset), (below, "root.log", 0));
            assert_eq!((&piece.data[..], piece.volume.as_str()), (&b"below\n"[..], "DEFAULT"));
            // What is written before the end is seen after it, too.
            world.write(top, "build.log", "three\n");
            farm.root.call("cancelTask", (top,)).await.unwrap();
            let last = next(&mut pieces).await;
            assert_eq!((last.task, last.offset, &last.data[..]), (top, 8, &b"three\n"[..]));
            assert!(pieces.next().await.is_none());
            let only = Logs { log: Some("result.xml".into()), once: true, ..Logs::default() };
            let all: Vec<_> = client.follow_logs(&[top], only).collect().await;
            assert_eq!(all.len(), 1);
            assert_eq!(&all[0].as_ref().unwrap().data[..], b"no log");
            let none = client.follow_logs(&[1_000_000], Logs::default()).next().await;
            assert!(matches!(none, Some(Err(Error::NoTask(1_000_000)))));
        }
    }

    async fn a_log_that_is_begun_anew(db: Db) {
        let world = World::new(db).await;
        let farm = Farm::new(&world).await;
        let (client, top) = (&farm.root, farm.task(None).await);
        world.write(top, "build.log", "the first run");
        let mut pieces = client.follow_logs(&[top], Logs::default());
        read(&mut pieces, "the first run").await;
        world.write(top, "build.log", " ends");
        let log = world.log(top, "build.log");
        std::fs::rename(&log, log.with_extension("log.1")).unwrap();
        world.write(top, "build.log", "the second run has more to say");
        read(&mut pieces, " ends").await;
        let second = next(&mut pieces).await;
        assert_eq!((second.offset, second.data.len()), (0, 30));
        client.call("cancelTask", (top,)).await.unwrap();
        assert!(pieces.next().await.is_none());
    }

    async fn repositories_are_waited_for(db: Db) {
        let world = World::new(db).await;
        let root = world.root().await;
        for (n, client) in world.clients().await.into_iter().enumerate() {
            let tag = format!("f{n}");
            root.call("createTag", args!(tag.as_str(); "arches" => "x86_64")).await.unwrap();
            root.call("packageListAdd", (tag.as_str(), "bash", "root")).await.unwrap();
            let info = map! { "name" => "bash", "version" => n.to_string(), "release" => "1", "epoch" => Value::Nil };
            root.call("createEmptyBuild", ("bash", n.to_string(), "1", Value::Nil)).await.unwrap();
            let build = format!("bash-{}-1", info.str("version").unwrap());
            let wanted = WaitRepo {
                tag: tag.as_str().into(),
                builds: vec![build.clone()],
                request: true,
                timeout: Some(Duration::from_secs(20)),
                ..WaitRepo::default()
            };
            let mut steps = client.watch_repo(wanted.clone());
            assert_eq!(next(&mut steps).await, RepoStep::Untagged(vec![build.clone()]));
            root.call("tagBuildBypass", (tag.as_str(), build.as_str())).await.unwrap();
            assert_eq!(next(&mut steps).await, RepoStep::Wanted(None));
            let RepoStep::Requested(request) = next(&mut steps).await else { panic!("no request") };
            let last = root.call("tagLastChangeEvent", (tag.as_str(),)).await.unwrap();
            assert_eq!((request.value("min_event"), request.value("tag_name")), (&last, &tag.into()));
            let soon = WaitRepo { timeout: Some(Duration::from_millis(300)), request: false, ..wanted };
            assert!(matches!(client.wait_repo(soon).await, Err(Error::Waited(_))));
        }
    }
}
