//! Groups of packages in tags, with packages and requirements.

use crate::moment::at;
use crate::{Param, Result, Row, Select, Tx, sql, versioned};

/// The groups of tags, now or at an event, in the order in which they were set.
pub async fn configs(tx: &mut Tx, tags: &[i64], event: Option<i64>) -> Result<Vec<Row>> {
    let select = Select::from("group_config")
        .fields(&[("groups.name", "name"), ("group_config.group_id", "group_id")])
        .fields(&[("group_config.tag_id", "tag_id"), ("group_config.blocked", "blocked")])
        .fields(&[("group_config.exported", "exported")])
        .fields(&[("group_config.display_name", "display_name")])
        .fields(&[("group_config.is_default", "is_default")])
        .fields(&[("group_config.uservisible", "uservisible")])
        .fields(&[("group_config.description", "description")])
        .fields(&[("group_config.langonly", "langonly")])
        .fields(&[("group_config.biarchonly", "biarchonly")])
        .join("groups ON groups.id = group_config.group_id")
        .filter("group_config.tag_id = ANY(?)", tags);
    in_order(at(select, "group_config", event), "group_config").rows(tx).await
}

/// The packages of groups in tags.
pub async fn packages(tx: &mut Tx, tags: &[i64], event: Option<i64>) -> Result<Vec<Row>> {
    let select = Select::from("group_package_listing")
        .fields(&[("group_id", "group_id"), ("tag_id", "tag_id"), ("package", "package")])
        .fields(&[("blocked", "blocked"), ("type", "type"), ("basearchonly", "basearchonly")])
        .field("requires", "requires")
        .filter("tag_id = ANY(?)", tags);
    let select = at(select, "group_package_listing", event);
    in_order(select, "group_package_listing").rows(tx).await
}

/// The requirements of groups in tags, with the names of the required groups.
pub async fn requirements(tx: &mut Tx, tags: &[i64], event: Option<i64>) -> Result<Vec<Row>> {
    let select = Select::from("group_req_listing")
        .fields(&[("group_req_listing.group_id", "group_id")])
        .fields(&[("group_req_listing.tag_id", "tag_id")])
        .fields(&[("group_req_listing.req_id", "req_id")])
        .fields(&[("group_req_listing.blocked", "blocked"), ("group_req_listing.type", "type")])
        .fields(&[("group_req_listing.is_metapkg", "is_metapkg"), ("groups.name", "name")])
        .join("groups ON groups.id = group_req_listing.req_id")
        .filter("group_req_listing.tag_id = ANY(?)", tags);
    in_order(at(select, "group_req_listing", event), "group_req_listing").rows(tx).await
}

fn in_order(select: Select, table: &'static str) -> Select {
    select.order_map([("since", sql![table, ".create_event"])]).order_default("since")
}

/// What is said of a group in a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The group itself.
    Config,
    /// One of its packages.
    Package(String),
    /// A group that it requires.
    Requirement(i64),
}

impl Part {
    fn table(&self) -> &'static str {
        match self {
            Part::Config => "group_config",
            Part::Package(_) => "group_package_listing",
            Part::Requirement(_) => "group_req_listing",
        }
    }

    fn keys(&self, tag_id: i64, group_id: i64) -> Vec<(&'static str, Param)> {
        let mut keys = vec![("tag_id", tag_id.into()), ("group_id", group_id.into())];
        match self {
            Part::Config => {}
            Part::Package(name) => keys.push(("package", name.into())),
            Part::Requirement(id) => keys.push(("req_id", (*id).into())),
        }
        keys
    }
}

/// Sets a part of a group in a tag.
pub async fn set(
    tx: &mut Tx,
    tag_id: i64,
    group_id: i64,
    part: &Part,
    values: &[(&'static str, Param)],
    by: i64,
) -> Result<()> {
    remove(tx, tag_id, group_id, part, by).await?;
    let mut row = part.keys(tag_id, group_id);
    row.extend_from_slice(values);
    versioned::insert(tx, part.table(), &row, by).await
}

/// Removes a part of a group from a tag; gives how many entries there were.
pub async fn remove(tx: &mut Tx, tag_id: i64, group_id: i64, part: &Part, by: i64) -> Result<u64> {
    versioned::revoke(tx, part.table(), &part.keys(tag_id, group_id), by).await
}

/// Whether a tag itself blocks a part of a group; nothing if it says nothing of it.
pub async fn blocked(tx: &mut Tx, tag_id: i64, group_id: i64, part: &Part) -> Result<Option<bool>> {
    let mut select = Select::from(part.table()).field("blocked", "blocked");
    for (column, value) in part.keys(tag_id, group_id) {
        select = select.filter(sql![column, " = ?"], value);
    }
    let row = select.filter_text("active = TRUE").row_opt(tx).await?;
    row.map(|row| row.get("blocked")).transpose()
}
