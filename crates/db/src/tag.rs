//! Tags: configuration, extra values and inheritance.

mod change;
pub mod inheritance;

pub use change::{changed_since, created, first_change, last_change};

use toji_value::Value;

use crate::moment::at;
use crate::versioned::{insert, insert_row, revoke};
use crate::{Param, QueryOpts, Result, Row, Select, Tx, params};

/// What a tag is looked up by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// The id.
    Id(i64),
    /// The name.
    Name(String),
}

fn select() -> Select {
    Select::from("tag_config")
        .fields(&[("tag.id", "id"), ("tag.name", "name"), ("tag_config.arches", "arches")])
        .fields(&[("tag_config.locked", "locked"), ("tag_config.maven_support", "maven_support")])
        .field("tag_config.maven_include_all", "maven_include_all")
        .join("tag ON tag.id = tag_config.tag_id")
}

fn with_perm(select: Select) -> Select {
    select
        .fields(&[("tag_config.perm_id", "perm_id"), ("permissions.name", "perm")])
        .join("LEFT JOIN permissions ON permissions.id = tag_config.perm_id")
}

fn by_key(select: Select, key: &Key) -> Select {
    match key {
        Key::Id(id) => select.filter("tag.id = ?", *id),
        Key::Name(name) => select.filter("tag.name = ?", name),
    }
}

/// A tag's configuration now or at an event, with `revoke_event`.
pub async fn find(tx: &mut Tx, key: &Key, event: Option<i64>) -> Result<Option<Row>> {
    let select = with_perm(select()).field("tag_config.revoke_event", "revoke_event");
    at(by_key(select, key), "tag_config", event).row_opt(tx).await
}

/// The configurations of several tags now or at an event.
pub async fn find_all(tx: &mut Tx, ids: &[i64], event: Option<i64>) -> Result<Vec<Row>> {
    let select = with_perm(select()).filter("tag.id = ANY(?)", ids);
    at(select, "tag_config", event).rows(tx).await
}

/// The event that ended a tag's newest configuration; nothing for a tag that is there.
pub async fn deleted(tx: &mut Tx, key: &Key) -> Result<Option<i64>> {
    let select = Select::from("tag_config")
        .field("tag_config.revoke_event", "revoke_event")
        .field("tag_config.create_event", "create_event")
        .join("tag ON tag.id = tag_config.tag_id");
    let newest = QueryOpts { limit: Some(1), ..QueryOpts::default() };
    let rows = by_key(select, key).order_default("-create_event").opts(&newest).rows(tx).await?;
    Ok(rows.first().map(|row| row.get::<Option<i64>>("revoke_event")).transpose()?.flatten())
}

/// The extra values of tags now or at an event: `tag_id`, `key`, `value` (JSON text; NULL blocks).
pub async fn extras(tx: &mut Tx, ids: &[i64], event: Option<i64>) -> Result<Vec<Row>> {
    let select = Select::from("tag_extra")
        .fields(&[("tag_extra.tag_id", "tag_id"), ("tag_extra.key", "key")])
        .fields(&[("tag_extra.value", "value"), ("tag_extra.create_event", "since")])
        .filter("tag_extra.tag_id = ANY(?)", ids);
    at(select, "tag_extra", event).order_default("since,key").rows(tx).await
}

/// What `listTags` filters by.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only tags that hold this build.
    pub build_id: Option<i64>,
    /// Only tags that list this package; their entries are shown too.
    pub package_id: Option<i64>,
    /// Only tags whose name matches, as LIKE understands it, in any case.
    pub pattern: Option<String>,
    /// Whether permissions are shown.
    pub perms: bool,
}

/// Lists tags as the options want.
pub async fn list(tx: &mut Tx, filter: &Filter, opts: &QueryOpts) -> Result<Value> {
    let mut select = select().filter_text("tag_config.active = TRUE");
    if filter.perms {
        select = with_perm(select);
    }
    if let Some(build) = filter.build_id {
        select = select
            .join("tag_listing ON tag_listing.tag_id = tag.id")
            .filter("tag_listing.active = TRUE AND tag_listing.build_id = ?", build);
    }
    if let Some(package) = filter.package_id {
        select = select
            .fields(&[("users.id", "owner_id"), ("users.name", "owner_name")])
            .fields(&[("tag_packages.blocked", "blocked")])
            .fields(&[("tag_packages.extra_arches", "extra_arches")])
            .join("tag_packages ON tag_packages.tag_id = tag.id")
            .join(
                "tag_package_owners ON tag_package_owners.tag_id = tag_packages.tag_id
                 AND tag_package_owners.package_id = tag_packages.package_id
                 AND tag_package_owners.active = TRUE",
            )
            .join("users ON users.id = tag_package_owners.owner")
            .filter("tag_packages.active = TRUE AND tag_packages.package_id = ?", package);
    }
    select = select.filter_opt("tag.name ILIKE ?", filter.pattern.clone());
    select.order_default("id").opts(opts).fetch(tx).await
}

/// The options of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Arches, separated by spaces.
    pub arches: Option<String>,
    /// Permission that tagging needs.
    pub perm_id: Option<i64>,
    /// Whether nothing may be tagged.
    pub locked: bool,
    /// Whether repositories have a Maven part.
    pub maven_support: bool,
    /// Whether that part has all versions.
    pub maven_include_all: bool,
}

/// Sets the options of a tag.
pub async fn configure(tx: &mut Tx, tag_id: i64, config: &Config, by: i64) -> Result<()> {
    revoke(tx, "tag_config", &[("tag_id", tag_id.into())], by).await?;
    let row = [
        ("tag_id", tag_id.into()),
        ("arches", config.arches.clone().into()),
        ("perm_id", config.perm_id.into()),
        ("locked", config.locked.into()),
        ("maven_support", config.maven_support.into()),
        ("maven_include_all", config.maven_include_all.into()),
    ];
    insert(tx, "tag_config", &row, by).await
}

/// Sets an extra value (JSON text; nothing blocks the inherited one).
pub async fn set_extra(
    tx: &mut Tx,
    tag_id: i64,
    key: &str,
    value: Option<String>,
    by: i64,
) -> Result<()> {
    drop_extra(tx, tag_id, key, by).await?;
    let row = [("tag_id", tag_id.into()), ("key", key.into()), ("value", value.into())];
    insert(tx, "tag_extra", &row, by).await
}

/// Removes an extra value, or the block of one.
pub async fn drop_extra(tx: &mut Tx, tag_id: i64, key: &str, by: i64) -> Result<()> {
    let keys = [("tag_id", tag_id.into()), ("key", key.into())];
    revoke(tx, "tag_extra", &keys, by).await.map(drop)
}

/// What belongs to a tag: table and the column that holds the tag.
const PARTS: [(&str, &str); 13] = [
    ("tag_config", "tag_id"),
    ("tag_extra", "tag_id"),
    ("tag_inheritance", "tag_id"),
    ("tag_inheritance", "parent_id"),
    ("build_target_config", "build_tag"),
    ("build_target_config", "dest_tag"),
    ("tag_listing", "tag_id"),
    ("tag_packages", "tag_id"),
    ("tag_package_owners", "tag_id"),
    ("tag_external_repos", "tag_id"),
    ("group_config", "tag_id"),
    ("group_req_listing", "tag_id"),
    ("group_package_listing", "tag_id"),
];

/// Deletes a tag: revokes everything that belongs to it.
pub async fn delete(tx: &mut Tx, tag_id: i64, by: i64) -> Result<()> {
    for (table, column) in PARTS {
        revoke(tx, table, &[(column, tag_id.into())], by).await?;
    }
    Ok(())
}

/// Notes a change of a tag's content that no versioned table shows (`TagUpdate`).
pub async fn note_update(tx: &mut Tx, tag_id: i64, kind: i64, by: i64) -> Result<()> {
    let event = crate::versioned::event(tx).await?;
    let row: [(&str, Param); 4] = [
        ("tag_id", tag_id.into()),
        ("update_type", kind.into()),
        ("update_event", event.into()),
        ("updater_id", by.into()),
    ];
    insert_row(tx, "tag_updates", &row).await
}

/// Whether a tag holds a build now.
pub async fn holds(tx: &mut Tx, tag_id: i64, build_id: i64) -> Result<bool> {
    let sql = "SELECT tag_id FROM tag_listing
                WHERE tag_id = $1 AND build_id = $2 AND active = TRUE";
    Ok(tx.query_opt(sql, params![tag_id, build_id]).await?.is_some())
}
