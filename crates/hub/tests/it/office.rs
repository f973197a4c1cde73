//! A hub with an administrator and an ordinary user, for the tests of the configuration.

use toji_bus::Bus;
use toji_db::{Db, versioned};
use toji_hub::{Config, Hub, Request, SessionKey};
use toji_value::{Args, Fault, Map, Value};

/// A hub with the users `boss` (administrator) and `mate` (nothing).
pub(super) struct Office {
    pub(super) hub: Hub,
    boss: Request,
    mate: Request,
}

/// Who calls.
#[derive(Clone, Copy)]
pub(super) enum Who {
    Boss,
    Mate,
    Nobody,
}

impl Office {
    pub(super) async fn new(db: Db, change: impl FnOnce(&mut Config)) -> Office {
        let mut config = Config { check_client_ip: false, ..Config::default() };
        change(&mut config);
        let hub = Hub::start(db, Bus::new(), config).await.unwrap();
        let mut call = hub.internal().await.unwrap();
        let mut ids = Vec::new();
        for name in ["boss", "mate"] {
            let row = [
                ("name", name.into()),
                ("password", "secret".into()),
                ("status", 0.into()),
                ("usertype", 0.into()),
            ];
            ids.push(versioned::insert_id(&mut call.tx, "users", &row).await.unwrap());
        }
        let sql = "SELECT id FROM permissions WHERE name = 'admin'";
        let admin: i64 = call.tx.scalar(sql, &[]).await.unwrap();
        toji_db::user::grant(&mut call.tx, ids[0], admin, ids[0]).await.unwrap();
        call.commit().await.unwrap();
        let boss = login(&hub, "boss").await;
        let mate = login(&hub, "mate").await;
        Office { hub, boss, mate }
    }

    /// The same people at a hub with other options.
    pub(super) fn reconfigured(self, change: impl FnOnce(&mut Config)) -> Office {
        let mut config = Config { check_client_ip: false, ..Config::default() };
        change(&mut config);
        Office { hub: self.hub.reconfigured(config), ..self }
    }

    fn request(&self, who: Who) -> Request {
        match who {
            Who::Boss => self.boss.clone(),
            Who::Mate => self.mate.clone(),
            Who::Nobody => Request::default(),
        }
    }

    /// A call by somebody; arguments are a list, or a list and a struct of keywords.
    pub(super) async fn ask(
        &self,
        who: Who,
        method: &str,
        args: Value,
        kw: Map,
    ) -> Result<Value, Fault> {
        let positional = args.as_array().unwrap().to_vec();
        let args = Args { positional, keywords: kw };
        self.hub.call(&self.request(who), method, args).await
    }

    /// A call of the administrator that must succeed.
    pub(super) async fn boss(&self, method: &str, args: Value) -> Value {
        self.boss_kw(method, args, Map::new()).await
    }

    /// A call of the administrator, with keywords, that must succeed.
    pub(super) async fn boss_kw(&self, method: &str, args: Value, kw: Map) -> Value {
        match self.ask(Who::Boss, method, args, kw).await {
            Ok(value) => value,
            Err(fault) => panic!("{method}: {fault}"),
        }
    }

    /// The fault text of a call that must fail.
    pub(super) async fn fault(&self, who: Who, method: &str, args: Value, kw: Map) -> String {
        match self.ask(who, method, args, kw).await {
            Ok(value) => panic!("{method} answered {}", value.repr()),
            Err(fault) => format!("{}: {}", fault.code, fault.message),
        }
    }

    /// The fault text of a call of the administrator that must fail.
    pub(super) async fn refusal(&self, method: &str, args: Value) -> String {
        self.fault(Who::Boss, method, args, Map::new()).await
    }
}

async fn login(hub: &Hub, name: &str) -> Request {
    let args = Args { positional: vec![name.into(), "secret".into()], keywords: Map::new() };
    let session = hub.call(&Request::default(), "login", args).await.unwrap();
    let key = SessionKey {
        id: session.get("session-id").as_int().unwrap(),
        key: session.get("session-key").as_str().unwrap().to_owned(),
        callnum: None,
    };
    Request { session: Some(key), ..Request::default() }
}

/// One member of each struct of a list, as text.
pub(super) fn column(list: &Value, member: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|item| item.get(member).display()).collect()
}
