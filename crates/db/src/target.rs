//! Build targets.

use toji_value::Value;

use crate::moment::at;
use crate::tag::Key;
use crate::versioned::{insert, revoke};
use crate::{QueryOpts, Result, Row, Select, Tx};

/// What targets are filtered by.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The target itself.
    pub target: Option<Key>,
    /// The tag that they build in.
    pub build_tag: Option<i64>,
    /// The tag that they build for.
    pub dest_tag: Option<i64>,
    /// The event to look at; nothing is now.
    pub event: Option<i64>,
}

fn select(filter: &Filter) -> Select {
    let mut select = Select::from("build_target_config")
        .fields(&[("build_target.id", "id"), ("build_target.name", "name")])
        .fields(&[("build_target_config.build_tag", "build_tag")])
        .fields(&[("build_target_config.dest_tag", "dest_tag")])
        .fields(&[("tag1.name", "build_tag_name"), ("tag2.name", "dest_tag_name")])
        .join("build_target ON build_target.id = build_target_config.build_target_id")
        .join("tag AS tag1 ON tag1.id = build_target_config.build_tag")
        .join("tag AS tag2 ON tag2.id = build_target_config.dest_tag")
        .filter_opt("build_target_config.build_tag = ?", filter.build_tag)
        .filter_opt("build_target_config.dest_tag = ?", filter.dest_tag);
    select = match &filter.target {
        None => select,
        Some(Key::Id(id)) => select.filter("build_target.id = ?", *id),
        Some(Key::Name(name)) => select.filter("build_target.name = ?", name),
    };
    at(select, "build_target_config", filter.event).order_default("id")
}

/// Lists targets as the options want.
pub async fn list(tx: &mut Tx, filter: &Filter, opts: &QueryOpts) -> Result<Value> {
    select(filter).opts(opts).fetch(tx).await
}

/// Targets as rows.
pub async fn find(tx: &mut Tx, filter: &Filter) -> Result<Vec<Row>> {
    select(filter).rows(tx).await
}

/// Sets the tags of a target.
pub async fn configure(tx: &mut Tx, id: i64, build_tag: i64, dest_tag: i64, by: i64) -> Result<()> {
    delete(tx, id, by).await?;
    let row = [
        ("build_target_id", id.into()),
        ("build_tag", build_tag.into()),
        ("dest_tag", dest_tag.into()),
    ];
    insert(tx, "build_target_config", &row, by).await
}

/// Deletes a target; its name and history stay.
pub async fn delete(tx: &mut Tx, id: i64, by: i64) -> Result<()> {
    revoke(tx, "build_target_config", &[("build_target_id", id.into())], by).await.map(drop)
}
