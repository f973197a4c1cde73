//! Builders that lie on their live connection, over real gRPC: refused, and nobody else is disturbed.

use std::time::Duration;

use axum::Router;
use bytes::{Buf as _, BufMut as _};
use toji_bus::Bus;
use toji_db::Db;
use toji_hub::{Config, Hub, Request, SessionKey};
use toji_proto::builder::builder_client::BuilderClient;
use toji_proto::builder::{
    FromBuilder, Heartbeat, Hello, Status, ToBuilder, from_builder, to_builder,
};
use toji_proto::tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use toji_proto::tonic::transport::Channel;
use toji_proto::tonic::{self, Code, Streaming};
use toji_server::{Front, Listeners, Options, Site};
use toji_testkit::both_databases;
use toji_value::{Args, Map, Value, list};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// A served hub with an administrator, a user and two hosts.
struct World {
    hub: Hub,
    url: String,
    _dir: tempfile::TempDir,
}

/// The builder's end of a stream.
struct Stream {
    out: mpsc::Sender<FromBuilder>,
    answers: Streaming<ToBuilder>,
}

impl World {
    async fn new(db: Db) -> World {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { topdir: dir.path().to_owned(), ..Config::default() };
        let hub = Hub::new(db, Bus::new(), config);
        let mut tx = hub.db.begin();
        toji_db::setup::administrator(&mut tx, "root", "secret").await.unwrap();
        tx.commit().await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let site = Site { hub: hub.clone(), pages: Router::new(), front: Front::default() };
        let listeners = Listeners { plain: Some(listener), tls: None };
        let serve = toji_server::serve(
            site.fixed(),
            listeners,
            Options::default(),
            std::future::pending::<()>(),
        );
        tokio::spawn(serve);
        let world = World { hub, url, _dir: dir };
        let root = world.login("root").await;
        for name in ["one", "two"] {
            world.call(&root, "addHost", list![name, list!["x86_64"]]).await;
            world.password(name).await;
        }
        world.call(&root, "createUser", list!["alice"]).await;
        world.password("alice").await;
        world
    }

    async fn password(&self, name: &str) {
        let mut tx = self.hub.db.begin();
        toji_db::setup::set_password(&mut tx, name, "secret").await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn call(&self, who: &Request, method: &str, args: Value) -> Value {
        let Value::Array(positional) = args else { panic!("arguments are a list") };
        let args = Args { positional, keywords: Map::new() };
        let done = self.hub.call(who, method, args).await;
        done.unwrap_or_else(|fault| panic!("{method}: {fault}"))
    }

    async fn login(&self, name: &str) -> Request {
        let mut request = Request { remote: "127.0.0.1".into(), ..Request::default() };
        let session = self.call(&request, "login", list![name, "secret"]).await;
        request.session = Some(SessionKey {
            id: session.get("session-id").as_int().unwrap(),
            key: session.get("session-key").as_str().unwrap().to_owned(),
            callnum: None,
        });
        request
    }

    /// Logs a builder in as the only session of its user.
    async fn builder(&self, name: &str) -> Request {
        let request = self.login(name).await;
        self.call(&request, "exclusiveSession", list![]).await;
        request
    }

    async fn channel(&self) -> Channel {
        Channel::from_shared(self.url.clone()).unwrap().connect().await.unwrap()
    }

    async fn attach(
        &self,
        first: from_builder::Message,
        over: Channel,
    ) -> Result<Stream, tonic::Status> {
        let (out, outgoing) = mpsc::channel(1024);
        out.send(FromBuilder { message: Some(first) }).await.unwrap();
        let request = tonic::Request::new(ReceiverStream::new(outgoing));
        let answers = BuilderClient::new(over).attach(request).await?.into_inner();
        Ok(Stream { out, answers })
    }

    async fn hello(&self, hello: Hello) -> Result<Stream, tonic::Status> {
        self.attach(from_builder::Message::Hello(hello), self.channel().await).await
    }

    /// A stream that was welcomed as the host of this session.
    async fn welcomed(&self, who: &Request) -> Stream {
        let mut stream = self.hello(hello(who)).await.unwrap();
        let message = stream.next().await.unwrap();
        assert!(matches!(message, to_builder::Message::Welcome(_)), "{message:?}");
        stream
    }
}

impl Stream {
    /// The next message, or how the stream ended.
    async fn next(&mut self) -> Result<to_builder::Message, tonic::Status> {
        let next = tokio::time::timeout(Duration::from_secs(60), self.answers.message()).await;
        let message = next.expect("an answer in time")?;
        message.and_then(|m| m.message).ok_or_else(|| tonic::Status::cancelled("the end"))
    }

    /// How the stream ends, after whatever else comes.
    async fn end(&mut self) -> tonic::Status {
        loop {
            match self.next().await {
                Ok(to_builder::Message::Assigned(task)) => panic!("was given {task:?}"),
                Ok(_) => {}
                Err(status) => return status,
            }
        }
    }
}

fn hello(who: &Request) -> Hello {
    let session = who.session.as_ref().unwrap();
    Hello { session_id: session.id, session_key: session.key.clone(), ..Hello::default() }
}

/// A stream whose messages are written by hand, as a builder of another version has them.
struct Raw {
    out: mpsc::Sender<Vec<u8>>,
    answers: Streaming<Vec<u8>>,
}

/// Passes bytes on as they are.
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Bytes;
    type Decoder = Bytes;

    fn encoder(&mut self) -> Bytes {
        Bytes
    }

    fn decoder(&mut self) -> Bytes {
        Bytes
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = tonic::Status;

    fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), tonic::Status> {
        to.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = tonic::Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, tonic::Status> {
        Ok(Some(from.copy_to_bytes(from.remaining()).to_vec()))
    }
}

/// A field with a length before it; numbers and lengths are short.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
    bytes.extend_from_slice(content);
    bytes
}

/// A field with a number in it.
fn number(field: u8, mut value: u64) -> Vec<u8> {
    let mut bytes = vec![field << 3];
    while value > 0x7f {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A field and a kind of message that nobody has yet: number 900, bytes.
const NEWER: &[u8] = &[0xa2, 0x38, 3, b'n', b'e', b'w'];

impl Raw {
    /// Greets with the fields of the first version, and `more` behind them.
    async fn greet(world: &World, who: &Request, more: &[u8]) -> Raw {
        let session = who.session.as_ref().unwrap();
        let id = u64::try_from(session.id).unwrap();
        let hello =
            [number(1, id), field(2, session.key.as_bytes()), field(3, b"0.0.1"), more.to_vec()];
        let (out, outgoing) = mpsc::channel(16);
        out.send(field(1, &hello.concat())).await.unwrap();
        let mut client = tonic::client::Grpc::new(world.channel().await);
        client.ready().await.unwrap();
        let path = axum::http::uri::PathAndQuery::from_static("/toji.builder.v1.Builder/Attach");
        let request = tonic::Request::new(ReceiverStream::new(outgoing));
        let answers = client.streaming(request, path, Bytes).await.unwrap().into_inner();
        Raw { out, answers }
    }

    /// The next message of one of these kinds, by the numbers of the first version.
    async fn next(&mut self, kinds: &[u8]) -> Vec<u8> {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(60), self.answers.message()).await;
            let message = next.expect("an answer in time").unwrap().expect("no end");
            if kinds.contains(&(message[0] >> 3)) {
                return message;
            }
        }
    }

    /// Is told of a task that was given to its host, and of its end.
    async fn works(&mut self, world: &World, host: &str) {
        let root = world.login("root").await;
        let made = world.call(&root, "makeTask", list!["sleep", list![0]]).await;
        let id = u64::try_from(made.as_int().unwrap()).unwrap();
        world.call(&root, "assignTask", list![&made, host]).await;
        let told = self.next(&[2, 3]).await;
        // What a later version put behind the number is passed over.
        assert_eq!((told[0], &told[2..2 + number(1, id).len()]), (2 << 3 | 2, &*number(1, id)));
        world.call(&root, "cancelTask", list![&made]).await;
        assert_eq!(self.next(&[2, 3]).await, field(3, &number(1, id)));
    }
}

both_databases! {
    async fn a_builder_of_the_first_version_is_served(db: Db) {
        let world = World::new(db).await;
        let one = world.builder("one").await;
        let mut stream = Raw::greet(&world, &one, &[]).await;
        let welcome = stream.next(&[1]).await;
        let host = number(1, world.call(&one, "host.getID", list![]).await.as_int().unwrap() as u64);
        // The host's number and the period of heartbeats, which the first version knows; then what it does not.
        assert_eq!(welcome[2..2 + host.len()], host);
        assert_eq!(welcome[2 + host.len()], 2 << 3);
        // It says only that it is ready, and its heartbeats have no figures.
        stream.out.send(field(2, &number(3, 1))).await.unwrap();
        stream.out.send(field(3, &number(1, 1))).await.unwrap();
        stream.works(&world, "one").await;
    }

    async fn a_builder_of_a_later_version_is_served(db: Db) {
        let world = World::new(db).await;
        let one = world.builder("one").await;
        let mut stream = Raw::greet(&world, &one, NEWER).await;
        stream.next(&[1]).await;
        stream.out.send(NEWER.to_vec()).await.unwrap();
        stream.out.send(field(2, &[&number(3, 1), NEWER].concat())).await.unwrap();
        stream.out.send([field(3, &[&number(1, 1), NEWER].concat()), NEWER.to_vec()].concat()).await.unwrap();
        stream.works(&world, "one").await;
    }

    async fn a_hello_with_another_session_is_refused(db: Db) {
        let world = World::new(db).await;
        let (one, two) = (world.builder("one").await, world.builder("two").await);
        let alice = world.login("alice").await;
        let shared = world.login("one").await;
        let mut mixed = hello(&one);
        mixed.session_key = hello(&two).session_key;
        let mut guessed = hello(&two);
        guessed.session_key = "1234-aaaaaaaaaaaaaaaaaaaa".into();
        for (what, wrong) in [
            ("the key of another", mixed),
            ("a guessed key", guessed),
            ("nothing", Hello::default()),
            ("a user's session", hello(&alice)),
            ("a session that is not the exclusive one", hello(&shared)),
        ] {
            let refused = world.hello(wrong).await.err().unwrap_or_else(|| panic!("{what}"));
            assert_eq!(refused.code(), Code::Unauthenticated, "{what}: {refused}");
        }
        let beat = from_builder::Message::Heartbeat(Heartbeat { number: 1, resources: None });
        let refused = world.attach(beat, world.channel().await).await.err().unwrap();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
        world.welcomed(&one).await;
    }

    async fn a_host_has_one_stream(db: Db) {
        let world = World::new(db).await;
        let (one, two) = (world.builder("one").await, world.builder("two").await);
        let mut other = world.welcomed(&two).await;
        let over = world.channel().await;
        let (mut open, mut refused) = (Vec::new(), 0);
        for _ in 0..2000 {
            let first = from_builder::Message::Hello(hello(&one));
            match world.attach(first, over.clone()).await {
                Ok(stream) => open.push(stream),
                Err(status) => {
                    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
                    refused += 1;
                }
            }
        }
        assert!(refused > 1000, "only {refused} of 2000 streams were refused");
        let last = open.pop().unwrap();
        for mut stream in open {
            assert_eq!(stream.end().await.code(), Code::ResourceExhausted);
        }
        drop(last);
        let beat = from_builder::Message::Heartbeat(Heartbeat { number: 1, resources: None });
        other.out.send(FromBuilder { message: Some(beat) }).await.unwrap();
        assert!(other.next().await.is_ok(), "the other host's stream goes on");
    }

    async fn a_stream_that_floods_is_ended(db: Db) {
        let world = World::new(db).await;
        let one = world.builder("one").await;
        let mut stream = world.welcomed(&one).await;
        let beat = from_builder::Message::Heartbeat(Heartbeat { number: 1, resources: None });
        let out = stream.out.clone();
        let flood = async move { while out.send(FromBuilder { message: Some(beat.clone()) }).await.is_ok() {} };
        let flood = tokio::spawn(flood);
        let status = stream.end().await;
        flood.abort();
        assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "too many messages"));
    }

    async fn claimed_tasks_are_limited_and_told_to_be_gone(db: Db) {
        let world = World::new(db).await;
        let one = world.builder("one").await;
        // A task of nobody, of which the builder says that it works on it, is taken from it.
        let root = world.login("root").await;
        let made = world.call(&root, "makeTask", list!["sleep", list![0]]).await;
        let task = made.as_int().unwrap();
        let claim = Hello { task_ids: vec![task, task + 1], ..hello(&one) };
        let mut stream = world.hello(claim).await.unwrap();
        assert!(matches!(stream.next().await, Ok(to_builder::Message::Welcome(_))));
        let mut gone = Vec::new();
        while gone.len() < 2 {
            if let to_builder::Message::Cancelled(told) = stream.next().await.unwrap() {
                gone.push(told.task_id);
            }
        }
        assert_eq!(gone, [task, task + 1]);
        let info = world.call(&root, "getTaskInfo", list![task]).await;
        assert_eq!((info.get("state"), info.get("host_id")), (&Value::Int(0), &Value::Nil));
        for n in 0..3 {
            let task_ids = (n * 5000..(n + 1) * 5000).collect();
            let status = from_builder::Message::Status(Status { task_ids, ..Status::default() });
            stream.out.send(FromBuilder { message: Some(status) }).await.unwrap();
        }
        let status = stream.end().await;
        assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "too many tasks"));
    }

    async fn a_message_that_is_too_large_ends_the_stream(db: Db) {
        let world = World::new(db).await;
        let one = world.builder("one").await;
        let large = Hello { version: "x".repeat(1 << 20), ..hello(&one) };
        let refused = world.hello(large).await.err().unwrap();
        assert_eq!(refused.code(), Code::OutOfRange, "{refused}");
        let mut stream = world.welcomed(&one).await;
        let task_ids = (0..200_000).collect();
        let status = from_builder::Message::Status(Status { task_ids, ..Status::default() });
        stream.out.send(FromBuilder { message: Some(status) }).await.unwrap();
        let ended = stream.end().await;
        assert!(matches!(ended.code(), Code::OutOfRange | Code::ResourceExhausted | Code::Cancelled), "{ended}");
    }

    async fn strangers_do_not_wait_for_ever(db: Db) {
        let world = World::new(db).await;
        let one = world.builder("one").await;
        // Streams that never say whose they are, more than may wait at once: builders still get in afterwards.
        let mut silent = Vec::new();
        let over = [world.channel().await, world.channel().await];
        for n in 0..1500 {
            let (out, outgoing) = mpsc::channel::<FromBuilder>(1);
            let mut client = BuilderClient::new(over[n % 2].clone());
            let waiting = tokio::spawn(async move {
                client.attach(tonic::Request::new(ReceiverStream::new(outgoing))).await.err()
            });
            silent.push((out, waiting));
        }
        for (out, waiting) in silent {
            let status = waiting.await.unwrap().expect("no stream without a Hello");
            assert!(matches!(status.code(), Code::ResourceExhausted | Code::DeadlineExceeded), "{status}");
            drop(out);
        }
        world.welcomed(&one).await;
    }
}
