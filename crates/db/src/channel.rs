//! Channels, and which hosts take their tasks.

use crate::moment::at;
use crate::versioned::{insert, insert_id, revoke};
use crate::{Param, Result, Row, Select, Tx};

fn fields(select: Select) -> Select {
    select
        .fields(&[("channels.id", "id"), ("channels.name", "name")])
        .fields(&[("channels.description", "description"), ("channels.enabled", "enabled")])
        .field("channels.comment", "comment")
}

/// All channels, or those that are enabled or disabled.
pub async fn list(tx: &mut Tx, enabled: Option<bool>) -> Result<Vec<Row>> {
    let select = fields(Select::from("channels"));
    select.filter_opt("channels.enabled = ?", enabled).order_default("id").rows(tx).await
}

/// The channels of a host, now or at an event.
pub async fn of_host(
    tx: &mut Tx,
    host_id: i64,
    event: Option<i64>,
    enabled: Option<bool>,
) -> Result<Vec<Row>> {
    let select = fields(Select::from("host_channels"))
        .join("channels ON channels.id = host_channels.channel_id")
        .filter("host_channels.host_id = ?", host_id)
        .filter_opt("channels.enabled = ?", enabled);
    at(select, "host_channels", event).order_default("id").rows(tx).await
}

/// The channel with this id.
pub async fn by_id(tx: &mut Tx, id: i64) -> Result<Option<Row>> {
    fields(Select::from("channels")).filter("channels.id = ?", id).row_opt(tx).await
}

/// The channel with this name.
pub async fn by_name(tx: &mut Tx, name: &str) -> Result<Option<Row>> {
    fields(Select::from("channels")).filter("channels.name = ?", name).row_opt(tx).await
}

/// Makes a channel and gives its id.
pub async fn create(tx: &mut Tx, name: &str, description: Option<String>) -> Result<i64> {
    insert_id(tx, "channels", &[("name", name.into()), ("description", description.into())]).await
}

/// Changes columns of a channel.
pub async fn update(tx: &mut Tx, id: i64, set: &[(&'static str, Param)]) -> Result<()> {
    crate::versioned::update(tx, "channels", set, &[("id", id.into())]).await.map(drop)
}

/// Lets a host take tasks of a channel.
pub async fn add_host(tx: &mut Tx, host_id: i64, channel_id: i64, by: i64) -> Result<()> {
    let row = [("host_id", host_id.into()), ("channel_id", channel_id.into())];
    insert(tx, "host_channels", &row, by).await
}

/// Keeps a host from taking tasks of a channel; tells whether it did.
pub async fn remove_host(tx: &mut Tx, host_id: i64, channel_id: i64, by: i64) -> Result<bool> {
    let keys = [("host_id", host_id.into()), ("channel_id", channel_id.into())];
    Ok(revoke(tx, "host_channels", &keys, by).await? > 0)
}
