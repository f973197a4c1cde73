//! Packages, and the package lists of tags.

use toji_value::Value;

use crate::moment::at;
use crate::versioned::{insert, revoke};
use crate::{QueryOpts, Result, Row, Select, Tx};

/// What package lists are filtered by.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Lists of these tags.
    pub tags: Option<Vec<i64>>,
    /// Packages of this owner.
    pub owner: Option<i64>,
    /// Only this package.
    pub package: Option<i64>,
    /// The event to look at; nothing is now.
    pub event: Option<i64>,
    /// Leave out entries without an owner, and show owners.
    pub with_owners: bool,
    /// Show blocked entries.
    pub with_blocked: bool,
}

/// The entries of package lists, in the order in which they were set.
pub async fn entries(tx: &mut Tx, filter: &Filter) -> Result<Vec<Row>> {
    let mut select = Select::from("tag_packages")
        .fields(&[("package.id", "package_id"), ("package.name", "package_name")])
        .fields(&[("tag.id", "tag_id"), ("tag.name", "tag_name")])
        .fields(&[("tag_packages.extra_arches", "extra_arches")])
        .fields(&[("tag_packages.blocked", "blocked")])
        .join("tag ON tag.id = tag_packages.tag_id")
        .join("package ON package.id = tag_packages.package_id")
        .filter_opt("tag_packages.tag_id = ANY(?)", filter.tags.clone())
        .filter_opt("tag_packages.package_id = ?", filter.package);
    select = at(select, "tag_packages", filter.event);
    if filter.with_owners {
        select = select
            .fields(&[("users.id", "owner_id"), ("users.name", "owner_name")])
            .join(
                "tag_package_owners ON tag_package_owners.tag_id = tag_packages.tag_id
                 AND tag_package_owners.package_id = tag_packages.package_id",
            )
            .join("users ON users.id = tag_package_owners.owner")
            .filter_opt("users.id = ?", filter.owner);
        select = at(select, "tag_package_owners", filter.event);
    }
    if !filter.with_blocked {
        select = select.filter_text("NOT tag_packages.blocked");
    }
    let since = ("since", "tag_packages.create_event");
    select.order_map([since, ("id", "package.id")]).order_default("since,id").rows(tx).await
}

/// Lists packages by the start of their names, in any case.
pub async fn list(tx: &mut Tx, prefix: Option<String>, opts: &QueryOpts) -> Result<Value> {
    Select::from("package")
        .fields(&[("package.id", "package_id"), ("package.name", "package_name")])
        .filter_opt("package.name ILIKE ? || '%'", prefix)
        .order_default("package_id")
        .opts(opts)
        .fetch(tx)
        .await
}

/// Sets a package's entry in a tag's list, and its owner there.
pub async fn set(tx: &mut Tx, entry: &Entry, by: i64) -> Result<()> {
    remove(tx, entry.tag_id, entry.package_id, by).await?;
    let row = [
        ("tag_id", entry.tag_id.into()),
        ("package_id", entry.package_id.into()),
        ("blocked", entry.blocked.into()),
        ("extra_arches", entry.extra_arches.clone().into()),
    ];
    insert(tx, "tag_packages", &row, by).await?;
    set_owner(tx, entry.tag_id, entry.package_id, entry.owner, by).await
}

/// An entry of a tag's package list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The tag.
    pub tag_id: i64,
    /// The package.
    pub package_id: i64,
    /// The owner.
    pub owner: i64,
    /// Whether the tag must not hold the package.
    pub blocked: bool,
    /// Arches beside those of the tag.
    pub extra_arches: Option<String>,
}

/// Sets the owner of a package in a tag.
pub async fn set_owner(
    tx: &mut Tx,
    tag_id: i64,
    package_id: i64,
    owner: i64,
    by: i64,
) -> Result<()> {
    let keys = [("tag_id", tag_id.into()), ("package_id", package_id.into())];
    revoke(tx, "tag_package_owners", &keys, by).await?;
    let [tag, package] = keys;
    insert(tx, "tag_package_owners", &[tag, package, ("owner", owner.into())], by).await
}

/// Removes a package from a tag's list; its owner there stays.
pub async fn remove(tx: &mut Tx, tag_id: i64, package_id: i64, by: i64) -> Result<()> {
    let keys = [("tag_id", tag_id.into()), ("package_id", package_id.into())];
    revoke(tx, "tag_packages", &keys, by).await.map(drop)
}
