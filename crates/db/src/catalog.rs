//! Volumes, build types, archive types and content generators.

use toji_value::Value;

use crate::versioned::{insert, insert_row, revoke};
use crate::{QueryOpts, Result, Row, Select, Tx, params};

/// All volumes: `id`, `name`.
pub async fn volumes(tx: &mut Tx) -> Result<Vec<Value>> {
    tx.maps("SELECT id, name FROM volume ORDER BY id", params![]).await
}

/// Whether a build is on a volume.
pub async fn volume_in_use(tx: &mut Tx, id: i64) -> Result<bool> {
    let sql = "SELECT id FROM build WHERE volume_id = $1 LIMIT 1";
    Ok(tx.query_opt(sql, params![id]).await?.is_some())
}

/// Removes a volume.
pub async fn remove_volume(tx: &mut Tx, id: i64) -> Result<()> {
    tx.execute("DELETE FROM volume WHERE id = $1", params![id]).await.map(drop)
}

/// Lists build types by name or id, as the options want.
pub async fn btypes(
    tx: &mut Tx,
    name: Option<&str>,
    id: Option<i64>,
    opts: &QueryOpts,
) -> Result<Value> {
    Select::from("btype")
        .fields(&[("id", "id"), ("name", "name")])
        .filter_opt("btype.name = ?", name)
        .filter_opt("btype.id = ?", id)
        .order_default("id")
        .opts(opts)
        .fetch(tx)
        .await
}

/// All archive types: `id`, `name`, `description`, `extensions`, `compression_type`.
pub async fn archive_types(tx: &mut Tx) -> Result<Vec<Row>> {
    let sql = "SELECT id, name, description, extensions, compression_type
                 FROM archivetypes ORDER BY id";
    tx.query(sql, params![]).await
}

/// Makes an archive type.
pub async fn add_archive_type(
    tx: &mut Tx,
    name: &str,
    description: &str,
    extensions: &str,
    compression: Option<&str>,
) -> Result<()> {
    let row = [
        ("name", name.into()),
        ("description", description.into()),
        ("extensions", extensions.into()),
        ("compression_type", compression.into()),
    ];
    insert_row(tx, "archivetypes", &row).await
}

/// Content generators with their users: `id`, `name`, `user_name`.
pub async fn generators(tx: &mut Tx) -> Result<Vec<Row>> {
    tx.query(
        "SELECT cg.id AS id, cg.name AS name, u.name AS user_name
           FROM cg_users cu JOIN content_generator cg ON cg.id = cu.cg_id
           JOIN users u ON u.id = cu.user_id
          WHERE cu.active = TRUE ORDER BY cu.create_event, cg.id, u.id",
        params![],
    )
    .await
}

/// Whether a user may act as a content generator.
pub async fn is_generator_user(tx: &mut Tx, cg_id: i64, user_id: i64) -> Result<bool> {
    let sql = "SELECT cg_id FROM cg_users
                WHERE active = TRUE AND cg_id = $1 AND user_id = $2";
    Ok(tx.query_opt(sql, params![cg_id, user_id]).await?.is_some())
}

/// Lets a user act as a content generator.
pub async fn grant_generator(tx: &mut Tx, cg_id: i64, user_id: i64, by: i64) -> Result<()> {
    insert(tx, "cg_users", &[("cg_id", cg_id.into()), ("user_id", user_id.into())], by).await
}

/// Keeps a user from acting as a content generator.
pub async fn revoke_generator(tx: &mut Tx, cg_id: i64, user_id: i64, by: i64) -> Result<()> {
    let keys = [("cg_id", cg_id.into()), ("user_id", user_id.into())];
    revoke(tx, "cg_users", &keys, by).await.map(drop)
}
