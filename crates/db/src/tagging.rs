//! Which builds a tag holds: changes, and builds that none holds.

use toji_types::BuildState;
use toji_value::Value;

use crate::versioned::{hold, insert, revoke};
use crate::{Param, QueryOpts, Result, Row, Select, Tx, params};

/// Whether a tag holds a build now; the build is held, so that this stays so, and the entry is locked.
pub async fn is_tagged(tx: &mut Tx, tag: i64, build: i64) -> Result<bool> {
    // A build that is not tagged has no entry to lock.
    hold(tx, "build", build).await?;
    let sql = "SELECT build_id FROM tag_listing
                WHERE tag_id = $1 AND build_id = $2 AND active = TRUE FOR UPDATE";
    Ok(tx.query_opt(sql, params![tag, build]).await?.is_some())
}

/// Adds a build to a tag.
pub async fn add(tx: &mut Tx, tag: i64, build: i64, user: i64) -> Result<()> {
    let columns = [("tag_id", Param::Int(tag)), ("build_id", Param::Int(build))];
    insert(tx, "tag_listing", &columns, user).await
}

/// Takes a build out of a tag; tells whether it was there.
pub async fn remove(tx: &mut Tx, tag: i64, build: i64, user: i64) -> Result<bool> {
    hold(tx, "build", build).await?;
    let keys = [("tag_id", Param::Int(tag)), ("build_id", Param::Int(build))];
    Ok(revoke(tx, "tag_listing", &keys, user).await? > 0)
}

/// Builds of a package that a tag holds, in the order in which they were tagged: `id`, `nvr`.
pub async fn of_package(tx: &mut Tx, tag: i64, package: i64) -> Result<Vec<Row>> {
    let sql = "SELECT build.id AS id FROM tag_listing
                 JOIN build ON tag_listing.build_id = build.id
                WHERE tag_listing.active = TRUE AND tag_listing.tag_id = $1
                  AND build.pkg_id = $2 AND build.state = $3
                ORDER BY tag_listing.create_event, build.id";
    tx.query(sql, params![tag, package, BuildState::Complete.number()]).await
}

/// Complete builds that no tag holds: `id`, `name`, `release`, `version`.
pub async fn untagged(
    tx: &mut Tx,
    name: Option<String>,
    draft: Option<bool>,
    opts: &QueryOpts,
) -> Result<Value> {
    let select = Select::from("build")
        .fields(&[
            ("build.id", "id"),
            ("package.name", "name"),
            ("build.release", "release"),
            ("build.version", "version"),
        ])
        .join("package ON package.id = build.pkg_id")
        .filter_text(
            "NOT EXISTS (SELECT 1 FROM tag_listing
                          WHERE tag_listing.build_id = build.id AND tag_listing.active IS TRUE)",
        )
        .filter("build.state = ?", BuildState::Complete.number())
        .filter_opt("package.name = ?", name);
    let select = match draft {
        Some(true) => select.filter_text("build.draft IS TRUE"),
        Some(false) => select.filter_text("build.draft IS NOT TRUE"),
        None => select,
    };
    select.opts(opts).fetch(tx).await
}
