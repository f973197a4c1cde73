//! Callers with sessions: an administrator, a packager and a builder.

use toji_db::Db;
use toji_hub::{Request, SessionKey};
use toji_value::{Args, Fault, Map, Value, list, map};

use super::world::World;

/// A task's result that is 7, as builders send it.
pub(super) const DONE: &str = "<?xml version='1.0'?>\n<methodResponse><params><param><value><int>7</int></value>\
                               </param></params></methodResponse>";
/// The fault 1005 "no", as builders send it.
pub(super) const BROKEN: &str = "<?xml version='1.0'?>\n<methodResponse><fault><value><struct>\
                                 <member><name>faultCode</name><value><int>1005</int></value></member>\
                                 <member><name>faultString</name><value><string>no</string></value></member>\
                                 </struct></value></fault></methodResponse>";

/// A hub with people, a builder and a file store.
pub(super) struct Stage {
    pub(super) world: World,
    pub(super) dir: tempfile::TempDir,
    pub(super) admin: Request,
    pub(super) alice: Request,
    pub(super) builder: Request,
    pub(super) host: i64,
}

impl Stage {
    pub(super) async fn new(db: Db) -> Stage {
        Stage::with(db, |config| config.disable_notifications = true).await
    }

    /// A stage whose hub is configured otherwise.
    pub(super) async fn with(db: Db, change: impl FnOnce(&mut toji_hub::Config)) -> Stage {
        let dir = tempfile::tempdir().unwrap();
        let world = World::new(db, |config| {
            config.topdir = dir.path().to_owned();
            change(config);
        })
        .await;
        let mut call = world.call().await;
        toji_db::setup::administrator(&mut call.tx, "root", "secret").await.unwrap();
        call.commit().await.unwrap();
        let host = world.host("builder.example.com").await;
        world.set("INSERT INTO users (name, status, usertype) VALUES ('alice', 0, 0)", &[]).await;
        for name in ["alice", "builder.example.com"] {
            let mut call = world.call().await;
            toji_db::setup::set_password(&mut call.tx, name, "secret").await.unwrap();
            call.commit().await.unwrap();
        }
        let admin = login(&world, "root").await;
        let alice = login(&world, "alice").await;
        let builder = login(&world, "builder.example.com").await;
        let stage = Stage { world, dir, admin, alice, builder, host };
        stage.call(&stage.builder, "exclusiveSession", list![]).await.unwrap();
        stage
    }

    /// A call with positional arguments.
    pub(super) async fn call(
        &self,
        who: &Request,
        method: &str,
        args: Value,
    ) -> Result<Value, Fault> {
        let Value::Array(positional) = args else { panic!("arguments are a list") };
        let args = Args { positional, keywords: Map::new() };
        self.world.hub.call(who, method, args).await
    }

    /// A call with keywords that must succeed.
    pub(super) async fn ok_kw(
        &self,
        who: &Request,
        method: &str,
        args: Value,
        keywords: Map,
    ) -> Value {
        let Value::Array(positional) = args else { panic!("arguments are a list") };
        let args = Args { positional, keywords };
        let done = self.world.hub.call(who, method, args).await;
        done.unwrap_or_else(|fault| panic!("{method}: {fault}"))
    }

    /// A call that must succeed.
    pub(super) async fn ok(&self, who: &Request, method: &str, args: Value) -> Value {
        let done = self.call(who, method, args).await;
        done.unwrap_or_else(|fault| panic!("{method}: {fault}"))
    }

    /// The text of the fault of a call that must fail.
    pub(super) async fn refused(&self, who: &Request, method: &str, args: Value) -> String {
        match self.call(who, method, args).await {
            Ok(value) => panic!("{method} should be refused, answered {}", value.repr()),
            Err(fault) => fault.message,
        }
    }

    /// Submits a task for alice that the builder has opened.
    pub(super) async fn open_task(&self, method: &str, args: Value) -> i64 {
        let made = self.ok(&self.admin, "makeTask", list![method, args]).await;
        let id = made.as_int().unwrap();
        let opened = self.ok(&self.builder, "host.openTask", list![id]).await;
        assert_eq!(opened.get("id"), &Value::Int(id));
        id
    }
}

pub(super) async fn login(world: &World, name: &str) -> Request {
    let mut request = Request { remote: "127.0.0.1".into(), ..Request::default() };
    let args = Args { positional: vec![name.into(), "secret".into()], keywords: map! {} };
    let session = world.hub.call(&request, "login", args).await.unwrap();
    request.session = Some(SessionKey {
        id: session.get("session-id").as_int().unwrap(),
        key: session.get("session-key").as_str().unwrap().to_owned(),
        callnum: None,
    });
    request
}
