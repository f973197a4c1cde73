//! Tables of names: finding and making entries by id or name.

use crate::{Result, Row, Tx, params, sql};

/// A table with an `id` and a unique `name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Tags.
    Tag,
    /// Permissions.
    Permissions,
    /// Source packages.
    Package,
    /// Channels.
    Channels,
    /// Groups of packages.
    Groups,
    /// Build targets.
    BuildTarget,
    /// External repositories.
    ExternalRepo,
    /// Volumes.
    Volume,
    /// Build types.
    Btype,
    /// Content generators.
    ContentGenerator,
    /// Hosts.
    Host,
    /// Users.
    Users,
}

impl Names {
    /// The table.
    pub fn table(self) -> &'static str {
        match self {
            Names::Tag => "tag",
            Names::Permissions => "permissions",
            Names::Package => "package",
            Names::Channels => "channels",
            Names::Groups => "groups",
            Names::BuildTarget => "build_target",
            Names::ExternalRepo => "external_repo",
            Names::Volume => "volume",
            Names::Btype => "btype",
            Names::ContentGenerator => "content_generator",
            Names::Host => "host",
            Names::Users => "users",
        }
    }
}

/// The entry with this id: `id`, `name`.
pub async fn by_id(tx: &mut Tx, names: Names, id: i64) -> Result<Option<Row>> {
    let sql = sql!["SELECT id, name FROM ", names.table(), " WHERE id = $1"];
    tx.query_opt(sql, params![id]).await
}

/// The entry with this name: `id`, `name`.
pub async fn by_name(tx: &mut Tx, names: Names, name: &str) -> Result<Option<Row>> {
    let sql = sql!["SELECT id, name FROM ", names.table(), " WHERE name = $1"];
    tx.query_opt(sql, params![name]).await
}

/// Makes an entry and gives its id; gives the id of the one that somebody else has just made.
pub async fn insert(tx: &mut Tx, names: Names, name: &str) -> Result<i64> {
    let table = names.table();
    let sql = sql!["INSERT INTO ", table, " (name) VALUES ($1) ON CONFLICT (name) DO NOTHING"];
    tx.execute(sql, params![name]).await?;
    tx.scalar(sql!["SELECT id FROM ", table, " WHERE name = $1"], params![name]).await
}

/// Gives an entry another name.
pub async fn rename(tx: &mut Tx, names: Names, id: i64, name: &str) -> Result<()> {
    let sql = sql!["UPDATE ", names.table(), " SET name = $2 WHERE id = $1"];
    tx.execute(sql, params![id, name]).await.map(drop)
}

/// All names.
pub async fn names(tx: &mut Tx, names: Names) -> Result<Vec<String>> {
    let rows = tx.query(sql!["SELECT name FROM ", names.table(), " ORDER BY name"], &[]).await?;
    rows.iter().map(|row| row.get("name")).collect()
}

/// Holds an object until the end of the transaction ([`versioned::hold`](crate::versioned::hold)).
pub async fn hold(tx: &mut Tx, names: Names, id: i64) -> Result<()> {
    crate::versioned::hold(tx, names.table(), id).await
}
