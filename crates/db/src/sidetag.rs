//! Side tags: tags that extra values mark as somebody's own.

use toji_value::Value;

use crate::{QueryOpts, Result, Select, Tx, params};

/// How many side tags a user has.
pub async fn count(tx: &mut Tx, user: i64) -> Result<i64> {
    let sql = "SELECT count(*) AS count FROM tag_extra
                WHERE key = 'sidetag_user_id' AND value = $1 AND active = TRUE";
    tx.scalar(sql, params![user.to_string()]).await
}

/// Side tags by user and base tag: `id`, `name`, `user_id` (as text), `user_name`.
pub async fn list(
    tx: &mut Tx,
    user: Option<i64>,
    base: Option<i64>,
    opts: &QueryOpts,
) -> Result<Value> {
    let mut select = Select::from("tag")
        .fields(&[("tag.id", "id"), ("tag.name", "name")])
        .fields(&[("owner.value", "user_id"), ("users.name", "user_name")])
        .join("tag_extra AS mark ON mark.tag_id = tag.id")
        .join("tag_extra AS owner ON owner.tag_id = tag.id")
        .join("LEFT JOIN users ON CAST(owner.value AS INTEGER) = users.id")
        .filter_text("mark.active = TRUE AND mark.key = 'sidetag' AND mark.value = 'true'")
        .filter_text("owner.active = TRUE AND owner.key = 'sidetag_user_id'")
        .filter_opt("owner.value = ?", user.map(|id| id.to_string()));
    if let Some(base) = base {
        select = select
            .join("tag_inheritance ON tag_inheritance.tag_id = tag.id")
            .filter("tag_inheritance.active = TRUE AND tag_inheritance.parent_id = ?", base);
    }
    select.opts(opts).fetch(tx).await
}

/// Reserves the number of the next tag and makes its row: the name may hold the number.
///
/// One number is left out, as a Koji hub leaves it out, so that names are the same.
pub async fn reserve(tx: &mut Tx) -> Result<i64> {
    crate::versioned::next_id(tx, "tag").await?;
    crate::versioned::next_id(tx, "tag").await
}

/// Enters a tag's name under a reserved number.
pub async fn enter(tx: &mut Tx, id: i64, name: &str) -> Result<()> {
    tx.execute("INSERT INTO tag (id, name) VALUES ($1, $2)", params![id, name]).await.map(drop)
}

/// Whether a tag holds no build.
pub async fn is_empty(tx: &mut Tx, tag: i64) -> Result<bool> {
    let sql = "SELECT build_id FROM tag_listing WHERE tag_id = $1 AND active = TRUE LIMIT 1";
    Ok(tx.query_opt(sql, params![tag]).await?.is_none())
}
