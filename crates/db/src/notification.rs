//! Who is told of builds, and who is not.

use crate::versioned::{insert_row, update};
use crate::{Param, Result, Row, Select, Tx, params, sql};

/// The two kinds of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The user is told.
    Notification,
    /// The user is not told, whatever else says so.
    Block,
}

impl Kind {
    fn table(self) -> &'static str {
        match self {
            Kind::Notification => "build_notifications",
            Kind::Block => "build_notifications_block",
        }
    }
}

fn select(kind: Kind) -> Select {
    let select = Select::from(kind.table())
        .fields(&[("id", "id"), ("user_id", "user_id")])
        .fields(&[("package_id", "package_id"), ("tag_id", "tag_id")]);
    match kind {
        Kind::Notification => {
            select.fields(&[("success_only", "success_only"), ("email", "email")])
        }
        Kind::Block => select,
    }
}

/// The entries of a user.
pub async fn of_user(tx: &mut Tx, kind: Kind, user_id: i64) -> Result<Vec<Row>> {
    select(kind).filter("user_id = ?", user_id).order_default("id").rows(tx).await
}

/// An entry.
pub async fn find(tx: &mut Tx, kind: Kind, id: i64) -> Result<Option<Row>> {
    select(kind).filter("id = ?", id).row_opt(tx).await
}

/// Makes an entry.
pub async fn create(tx: &mut Tx, kind: Kind, columns: &[(&'static str, Param)]) -> Result<()> {
    insert_row(tx, kind.table(), columns).await
}

/// Changes an entry.
pub async fn change(tx: &mut Tx, kind: Kind, id: i64, set: &[(&'static str, Param)]) -> Result<()> {
    update(tx, kind.table(), set, &[("id", id.into())]).await.map(drop)
}

/// Deletes an entry.
pub async fn delete(tx: &mut Tx, kind: Kind, id: i64) -> Result<()> {
    tx.execute(sql!["DELETE FROM ", kind.table(), " WHERE id = $1"], params![id]).await.map(drop)
}
