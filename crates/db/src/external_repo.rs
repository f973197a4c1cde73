//! External repositories, and which tags use them.

use toji_value::Value;

use crate::moment::at;
use crate::tag::Key;
use crate::versioned::{insert, revoke};
use crate::{QueryOpts, Result, Row, Select, Tx};

fn select(key: Option<&Key>, url: Option<&str>, event: Option<i64>) -> Select {
    let select = Select::from("external_repo")
        .fields(&[("external_repo.id", "id"), ("external_repo.name", "name")])
        .field("external_repo_config.url", "url")
        .join("external_repo_config ON external_repo_config.external_repo_id = external_repo.id")
        .filter_opt("external_repo_config.url = ?", url);
    let select = match key {
        None => select,
        Some(Key::Id(id)) => select.filter("external_repo.id = ?", *id),
        Some(Key::Name(name)) => select.filter("external_repo.name = ?", name),
    };
    at(select, "external_repo_config", event).order_default("id")
}

/// Lists external repositories as the options want.
pub async fn list(
    tx: &mut Tx,
    key: Option<&Key>,
    url: Option<&str>,
    event: Option<i64>,
    opts: &QueryOpts,
) -> Result<Value> {
    select(key, url, event).opts(opts).fetch(tx).await
}

/// An external repository, now or at an event: `id`, `name`, `url`.
pub async fn find(tx: &mut Tx, key: &Key, event: Option<i64>) -> Result<Option<Row>> {
    select(Some(key), None, event).row_opt(tx).await
}

/// The addresses of all external repositories that there are now.
pub async fn urls(tx: &mut Tx) -> Result<Vec<String>> {
    let rows = select(None, None, None).rows(tx).await?;
    rows.iter().map(|row| row.get("url")).collect()
}

/// Sets the address of an external repository.
pub async fn configure(tx: &mut Tx, id: i64, url: &str, by: i64) -> Result<()> {
    revoke(tx, "external_repo_config", &[("external_repo_id", id.into())], by).await?;
    let row = [("external_repo_id", id.into()), ("url", url.into())];
    insert(tx, "external_repo_config", &row, by).await
}

/// Deletes an external repository, and takes it from all tags.
pub async fn delete(tx: &mut Tx, id: i64, by: i64) -> Result<()> {
    let keys = [("external_repo_id", id.into())];
    revoke(tx, "tag_external_repos", &keys, by).await?;
    revoke(tx, "external_repo_config", &keys, by).await.map(drop)
}

/// Which tags use which external repositories, by priority; of the given tags, or of all.
pub async fn uses(
    tx: &mut Tx,
    tags: Option<Vec<i64>>,
    repo_id: Option<i64>,
    event: Option<i64>,
) -> Result<Vec<Row>> {
    let select = Select::from("tag_external_repos")
        .fields(&[("external_repo.id", "external_repo_id")])
        .fields(&[("external_repo.name", "external_repo_name")])
        .fields(&[("tag_external_repos.priority", "priority")])
        .fields(&[("tag.id", "tag_id"), ("tag.name", "tag_name")])
        .fields(&[("external_repo_config.url", "url")])
        .fields(&[("tag_external_repos.merge_mode", "merge_mode")])
        .fields(&[("tag_external_repos.arches", "arches")])
        .join("tag ON tag.id = tag_external_repos.tag_id")
        .join("external_repo ON external_repo.id = tag_external_repos.external_repo_id")
        .join("external_repo_config ON external_repo_config.external_repo_id = external_repo.id")
        .filter_opt("tag_external_repos.tag_id = ANY(?)", tags)
        .filter_opt("tag_external_repos.external_repo_id = ?", repo_id);
    let select = at(at(select, "tag_external_repos", event), "external_repo_config", event);
    select.order_default("priority,tag_id").rows(tx).await
}

/// How a tag uses an external repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The tag.
    pub tag_id: i64,
    /// The external repository.
    pub repo_id: i64,
    /// Lower comes first.
    pub priority: i64,
    /// How its packages are mixed with the tag's.
    pub merge_mode: String,
    /// Arches that it has; nothing is all.
    pub arches: Option<String>,
}

/// Lets a tag use an external repository.
pub async fn add_use(tx: &mut Tx, entry: &Use, by: i64) -> Result<()> {
    let row = [
        ("tag_id", entry.tag_id.into()),
        ("external_repo_id", entry.repo_id.into()),
        ("priority", entry.priority.into()),
        ("merge_mode", entry.merge_mode.clone().into()),
        ("arches", entry.arches.clone().into()),
    ];
    insert(tx, "tag_external_repos", &row, by).await
}

/// Keeps a tag from using an external repository; tells whether it did.
pub async fn remove_use(tx: &mut Tx, tag_id: i64, repo_id: i64, by: i64) -> Result<bool> {
    let keys = [("tag_id", tag_id.into()), ("external_repo_id", repo_id.into())];
    Ok(revoke(tx, "tag_external_repos", &keys, by).await? > 0)
}
