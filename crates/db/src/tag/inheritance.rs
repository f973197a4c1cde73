//! Inheritance links between tags.

use crate::moment::at;
use crate::versioned::{insert, revoke};
use crate::{Result, Row, Select, Tx, params};

/// The links from a tag to its parents by priority, with the parents' names.
pub async fn parents(tx: &mut Tx, tag_id: i64, event: Option<i64>) -> Result<Vec<Row>> {
    let select = Select::from("tag_inheritance")
        .fields(&[("tag_inheritance.parent_id", "parent_id"), ("tag.name", "name")])
        .fields(&[("tag_inheritance.priority", "priority")])
        .fields(&[("tag_inheritance.maxdepth", "maxdepth")])
        .fields(&[("tag_inheritance.intransitive", "intransitive")])
        .fields(&[("tag_inheritance.noconfig", "noconfig")])
        .fields(&[("tag_inheritance.pkg_filter", "pkg_filter")])
        .field("tag_inheritance.tag_id", "child_id")
        .join("tag ON tag.id = tag_inheritance.parent_id")
        .filter("tag_inheritance.tag_id = ?", tag_id);
    at(select, "tag_inheritance", event).order_default("priority").rows(tx).await
}

macro_rules! closure {
    ($from:literal, $to:literal, $condition:literal) => {
        concat!(
            "WITH RECURSIVE reach(id) AS (
                 SELECT $1::int
                  UNION
                 SELECT ti.",
            $to,
            " FROM tag_inheritance ti
                   JOIN reach ON ti.",
            $from,
            " = reach.id WHERE ",
            $condition,
            ")
             SELECT ti.tag_id AS tag_id, ti.parent_id AS parent_id, t.name AS name,
                    ti.priority AS priority, ti.maxdepth AS maxdepth,
                    ti.intransitive AS intransitive, ti.noconfig AS noconfig,
                    ti.pkg_filter AS pkg_filter
               FROM tag_inheritance ti
               JOIN reach ON ti.",
            $from,
            " = reach.id
               JOIN tag t ON t.id = ti.",
            $to,
            "
              WHERE ",
            $condition,
            "
              ORDER BY ti.",
            $from,
            ", ti.priority, ti.create_event"
        )
    };
}

/// Every link that can be reached from a tag towards its parents, or (reverse) its children, each
/// with the name of the tag at its far end; those of one tag by priority.
pub async fn reachable(
    tx: &mut Tx,
    tag_id: i64,
    event: Option<i64>,
    reverse: bool,
) -> Result<Vec<Row>> {
    let now = match reverse {
        false => closure!("tag_id", "parent_id", "ti.active = TRUE"),
        true => closure!("parent_id", "tag_id", "ti.active = TRUE"),
    };
    let Some(event) = event else { return tx.query(now, params![tag_id]).await };
    let then = match reverse {
        false => closure!(
            "tag_id",
            "parent_id",
            "ti.create_event <= $2 AND (ti.revoke_event IS NULL OR $2 < ti.revoke_event)"
        ),
        true => closure!(
            "parent_id",
            "tag_id",
            "ti.create_event <= $2 AND (ti.revoke_event IS NULL OR $2 < ti.revoke_event)"
        ),
    };
    tx.query(then, params![tag_id, event]).await
}

/// A link from a tag to a parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The parent.
    pub parent_id: i64,
    /// Lower comes first.
    pub priority: i64,
    /// How many more steps are inherited over the parent; nothing is no limit.
    pub maxdepth: Option<i64>,
    /// Whether it counts only for the tag itself, not for those that inherit from it.
    pub intransitive: bool,
    /// Whether groups, arches and extra values are not inherited.
    pub noconfig: bool,
    /// Pattern at the start of the names of inherited packages.
    pub pkg_filter: Option<String>,
}

/// Adds a link.
pub async fn add(tx: &mut Tx, tag_id: i64, link: &Link, by: i64) -> Result<()> {
    let row = [
        ("tag_id", tag_id.into()),
        ("parent_id", link.parent_id.into()),
        ("priority", link.priority.into()),
        ("maxdepth", link.maxdepth.into()),
        ("intransitive", link.intransitive.into()),
        ("noconfig", link.noconfig.into()),
        ("pkg_filter", link.pkg_filter.clone().into()),
    ];
    insert(tx, "tag_inheritance", &row, by).await
}

/// Removes the link to a parent.
pub async fn remove(tx: &mut Tx, tag_id: i64, parent_id: i64, by: i64) -> Result<()> {
    let keys = [("tag_id", tag_id.into()), ("parent_id", parent_id.into())];
    revoke(tx, "tag_inheritance", &keys, by).await.map(drop)
}
