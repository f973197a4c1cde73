//! A small world for the tests of the scheduler and of the repository daemon.

use toji_bus::Bus;
use toji_db::{Db, Param, Sql, Time, versioned};
use toji_hub::{Call, Config, Hub, Request};
use toji_value::{Args, Fault, Map, Value};

/// A hub on a fresh database with the user `kojira`, who is the only one.
pub(super) struct World {
    pub(super) hub: Hub,
    pub(super) user: i64,
}

impl World {
    pub(super) async fn new(db: Db, change: impl FnOnce(&mut Config)) -> World {
        let mut config = Config::default();
        change(&mut config);
        let hub = Hub::new(db, Bus::new(), config);
        let mut call = hub.internal().await.unwrap();
        let user = add(
            &mut call,
            "users",
            &[("name", "kojira".into()), ("status", 0.into()), ("usertype", 0.into())],
        )
        .await;
        call.commit().await.unwrap();
        World { hub, user }
    }

    /// A call of the hub's own, for what has no RPC.
    pub(super) async fn call(&self) -> Call {
        self.hub.internal().await.unwrap()
    }

    /// An RPC of an anonymous caller.
    pub(super) async fn rpc(
        &self,
        method: &str,
        args: Vec<Value>,
        keywords: Map,
    ) -> Result<Value, Fault> {
        self.hub.call(&Request::default(), method, Args { positional: args, keywords }).await
    }

    /// The id of a row by name.
    pub(super) async fn id(&self, table: &str, name: &str) -> i64 {
        let sql = format!("SELECT id FROM {table} WHERE name = $1");
        self.call().await.tx.scalar(Sql::unchecked(sql), &[name.into()]).await.unwrap()
    }

    /// One value.
    pub(super) async fn get(&self, sql: &str, params: &[Param]) -> Value {
        self.call().await.tx.scalar(Sql::unchecked(sql.to_owned()), params).await.unwrap()
    }

    /// Runs a statement.
    pub(super) async fn set(&self, sql: &str, params: &[Param]) {
        let mut call = self.call().await;
        call.tx.execute(Sql::unchecked(sql.to_owned()), params).await.unwrap();
        call.commit().await.unwrap();
    }

    /// A ready host in the default channel.
    pub(super) async fn host(&self, name: &str) -> i64 {
        let default = self.id("channels", "default").await;
        let mut call = self.call().await;
        let user = add(
            &mut call,
            "users",
            &[("name", name.into()), ("status", 0.into()), ("usertype", 1.into())],
        )
        .await;
        let now = Time::from_epoch(self.hub.now()).unwrap();
        let host = add(
            &mut call,
            "host",
            &[
                ("user_id", user.into()),
                ("name", name.into()),
                ("ready", true.into()),
                ("task_load", 0.0.into()),
                ("update_time", now.into()),
            ],
        )
        .await;
        let config = [
            ("host_id", Param::Int(host)),
            ("arches", "x86_64 i686".into()),
            ("capacity", 2.0.into()),
            ("enabled", true.into()),
        ];
        versioned::insert(&mut call.tx, "host_config", &config, user).await.unwrap();
        let channel = [("host_id", Param::Int(host)), ("channel_id", default.into())];
        versioned::insert(&mut call.tx, "host_channels", &channel, user).await.unwrap();
        call.commit().await.unwrap();
        host
    }

    /// A free task in a channel.
    pub(super) async fn task(&self, channel: &str, arch: &str, priority: i64) -> i64 {
        let channel = self.id("channels", channel).await;
        let mut call = self.call().await;
        let task = toji_db::task::New {
            state: toji_types::TaskState::Free,
            host_id: None,
            owner: self.user,
            method: "sleep",
            request: "",
            priority,
            parent: None,
            label: None,
            channel_id: channel,
            arch,
        };
        let id = toji_db::task::insert(&mut call.tx, &task).await.unwrap();
        call.emit("task.state", &format!("task:{id}"), Map::new());
        call.signal(toji_bus::Topic::Scheduler);
        call.commit().await.unwrap();
        id
    }

    /// A tag with arches and parents.
    pub(super) async fn tag(&self, name: &str, parents: &[i64]) -> i64 {
        let mut call = self.call().await;
        let tag = add(&mut call, "tag", &[("name", name.into())]).await;
        let config = [("tag_id", Param::Int(tag)), ("arches", "x86_64".into())];
        versioned::insert(&mut call.tx, "tag_config", &config, self.user).await.unwrap();
        for (parent, priority) in parents.iter().zip(0i64..) {
            let link = [
                ("tag_id", Param::Int(tag)),
                ("parent_id", (*parent).into()),
                ("priority", priority.into()),
                ("intransitive", false.into()),
                ("noconfig", false.into()),
                ("pkg_filter", "".into()),
            ];
            versioned::insert(&mut call.tx, "tag_inheritance", &link, self.user).await.unwrap();
        }
        call.commit().await.unwrap();
        tag
    }

    /// Makes a target build in a tag.
    pub(super) async fn target(&self, name: &str, build_tag: i64) {
        let mut call = self.call().await;
        let target = add(&mut call, "build_target", &[("name", name.into())]).await;
        let config = [
            ("build_target_id", Param::Int(target)),
            ("build_tag", build_tag.into()),
            ("dest_tag", build_tag.into()),
        ];
        versioned::insert(&mut call.tx, "build_target_config", &config, self.user).await.unwrap();
        call.commit().await.unwrap();
    }

    /// Sets an extra value of a tag, which changes the tag.
    pub(super) async fn extra(&self, tag: i64, key: &str, value: &str) {
        let mut call = self.call().await;
        versioned::hold(&mut call.tx, "tag", tag).await.unwrap();
        let same = [("tag_id", Param::Int(tag)), ("key", key.into())];
        versioned::revoke(&mut call.tx, "tag_extra", &same, self.user).await.unwrap();
        let row = [("tag_id", Param::Int(tag)), ("key", key.into()), ("value", value.into())];
        versioned::insert(&mut call.tx, "tag_extra", &row, self.user).await.unwrap();
        call.commit().await.unwrap();
    }

    /// A repository of a tag as it is now, in a state, with the tag's own options.
    pub(super) async fn repo(
        &self,
        tag: i64,
        state: toji_types::RepoState,
        task: Option<i64>,
    ) -> i64 {
        let mut call = self.call().await;
        let event = toji_db::repo::newest_event(&mut call.tx).await.unwrap();
        let opts = toji_value::map! {
            "src" => false, "debuginfo" => false, "separate_src" => false, "maven" => false,
        };
        let row = [
            ("tag_id", Param::Int(tag)),
            ("create_event", event.into()),
            ("state", (state as i64).into()),
            ("dist", false.into()),
            ("opts", Value::Struct(opts).into()),
            ("custom_opts", Value::Struct(Map::new()).into()),
            ("task_id", task.into()),
        ];
        let id = add(&mut call, "repo", &row).await;
        call.commit().await.unwrap();
        id
    }
}

async fn add(call: &mut Call, table: &'static str, row: &[(&'static str, Param)]) -> i64 {
    versioned::insert_id(&mut call.tx, table, row).await.unwrap()
}
