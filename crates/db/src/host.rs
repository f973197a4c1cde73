//! Hosts and their configuration.

use crate::moment::at;
use crate::tag::Key;
use crate::versioned::{insert, insert_id, revoke, update};
use crate::{Result, Row, Select, Tx, params};

fn select() -> Select {
    Select::from("host_config")
        .fields(&[("host.id", "id"), ("host.user_id", "user_id"), ("host.name", "name")])
        .field("date_part('epoch', host.update_time)", "update_ts")
        .fields(&[("host.ready", "ready"), ("host.task_load", "task_load")])
        .fields(&[("host_config.arches", "arches"), ("host_config.capacity", "capacity")])
        .fields(&[("host_config.description", "description")])
        .fields(&[("host_config.comment", "comment"), ("host_config.enabled", "enabled")])
        .join("host ON host.id = host_config.host_id")
}

/// A host with its configuration now or at an event.
pub async fn find(tx: &mut Tx, key: &Key, event: Option<i64>) -> Result<Option<Row>> {
    let select = match key {
        Key::Id(id) => select().filter("host.id = ?", *id),
        Key::Name(name) => select().filter("host.name = ?", name),
    };
    at(select, "host_config", event).row_opt(tx).await
}

/// What hosts are filtered by.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those that take tasks of this channel.
    pub channel_id: Option<i64>,
    /// Those that said they are ready, or not.
    pub ready: Option<bool>,
    /// Those that are enabled, or not.
    pub enabled: Option<bool>,
    /// The host of this user.
    pub user_id: Option<i64>,
}

/// Lists hosts by id.
pub async fn list(tx: &mut Tx, filter: &Filter) -> Result<Vec<Row>> {
    let mut select = select().filter_text("host_config.active = TRUE");
    if let Some(channel) = filter.channel_id {
        select = select
            .join("host_channels ON host_channels.host_id = host.id")
            .filter("host_channels.active = TRUE AND host_channels.channel_id = ?", channel);
    }
    select
        .filter_opt("host.ready = ?", filter.ready)
        .filter_opt("host_config.enabled = ?", filter.enabled)
        .filter_opt("host.user_id = ?", filter.user_id)
        .order_default("id")
        .rows(tx)
        .await
}

/// The options of a host.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Arches, separated by spaces.
    pub arches: Option<String>,
    /// Load that it takes.
    pub capacity: f64,
    /// What it is.
    pub description: Option<String>,
    /// What is to be known of it.
    pub comment: Option<String>,
    /// Whether it takes tasks.
    pub enabled: bool,
}

/// Sets the options of a host.
pub async fn configure(tx: &mut Tx, host_id: i64, config: &Config, by: i64) -> Result<()> {
    revoke(tx, "host_config", &[("host_id", host_id.into())], by).await?;
    let row = [
        ("host_id", host_id.into()),
        ("arches", config.arches.clone().into()),
        ("capacity", config.capacity.into()),
        ("description", config.description.clone().into()),
        ("comment", config.comment.clone().into()),
        ("enabled", config.enabled.into()),
    ];
    insert(tx, "host_config", &row, by).await
}

/// Makes a host and gives its id.
pub async fn create(tx: &mut Tx, name: &str, user_id: i64) -> Result<i64> {
    insert_id(tx, "host", &[("user_id", user_id.into()), ("name", name.into())]).await
}

/// Makes a user a host's.
pub async fn adopt_user(tx: &mut Tx, user_id: i64) -> Result<()> {
    let host = i64::from(toji_types::UserType::Host);
    let set = [("usertype", host.into())];
    update(tx, "users", &set, &[("id", user_id.into())]).await.map(drop)
}

/// When a session of the host's user was last used: `update_time`, `ts`.
pub async fn last_update(tx: &mut Tx, host_id: i64) -> Result<Option<Row>> {
    let sql = "SELECT s.update_time AS update_time, date_part('epoch', s.update_time) AS ts
                 FROM sessions s JOIN host h ON h.user_id = s.user_id
                WHERE h.id = $1 ORDER BY s.update_time DESC LIMIT 1";
    tx.query_opt(sql, params![host_id]).await
}

/// The arches of all hosts, one text for each host, in the order in which they were set.
pub async fn all_arches(tx: &mut Tx) -> Result<Vec<String>> {
    let sql = "SELECT arches FROM host_config
                WHERE active = TRUE AND arches IS NOT NULL ORDER BY create_event, host_id";
    let rows = tx.query(sql, params![]).await?;
    rows.iter().map(|row| row.get("arches")).collect()
}
