//! Users, their groups, permissions and Kerberos principals.

use toji_types::UserType;
use toji_value::Value;

use crate::lookup::{Names, hold};
use crate::versioned::{insert, insert_id, insert_row, revoke, update};
use crate::{QueryOpts, Result, Row, Select, Tx, params};

/// What a user is looked up by; all that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct Key {
    /// The id.
    pub id: Option<i64>,
    /// The name.
    pub name: Option<String>,
    /// One of the Kerberos principals.
    pub principal: Option<String>,
    /// The name, or one of the principals.
    pub name_or_principal: Option<String>,
}

const PRINCIPAL: &str = "users.id IN (SELECT user_id FROM user_krb_principals
                                       WHERE krb_principal = ?)";

/// A user: `id`, `name`, `status`, `usertype`.
pub async fn find(tx: &mut Tx, key: &Key) -> Result<Option<Row>> {
    let mut select = Select::from("users")
        .fields(&[("id", "id"), ("name", "name"), ("status", "status"), ("usertype", "usertype")])
        .filter_opt("users.id = ?", key.id)
        .filter_opt("users.name = ?", key.name.clone())
        .filter_opt(PRINCIPAL, key.principal.clone());
    if let Some(info) = &key.name_or_principal {
        select = select.filter_any(vec![
            ("users.name = ?", vec![info.into()]),
            (PRINCIPAL, vec![info.into()]),
        ]);
    }
    let rows = select.order_default("id").rows(tx).await?;
    Ok(rows.into_iter().next())
}

/// The Kerberos principals of users: `user_id`, `krb_principal`.
pub async fn principals(tx: &mut Tx, users: &[i64]) -> Result<Vec<Row>> {
    let sql = "SELECT user_id, krb_principal FROM user_krb_principals
                WHERE user_id = ANY($1) ORDER BY user_id, krb_principal";
    tx.query(sql, params![users]).await
}

/// The permissions of a user, directly (`group` is NULL) and by groups: `name`, `group`.
pub async fn perms(tx: &mut Tx, user_id: i64) -> Result<Vec<Row>> {
    tx.query(
        "SELECT p.name AS name, NULL AS \"group\", up.create_event AS since
           FROM user_perms up JOIN permissions p ON p.id = up.perm_id
          WHERE up.active = TRUE AND up.user_id = $1
          UNION ALL
         SELECT p.name, g.name, up.create_event
           FROM user_groups ug
           JOIN user_perms up ON up.user_id = ug.group_id
           JOIN permissions p ON p.id = up.perm_id
           JOIN users g ON g.id = ug.group_id
          WHERE ug.active = TRUE AND up.active = TRUE AND ug.user_id = $1
          ORDER BY 2 NULLS FIRST, 3, 1",
        params![user_id],
    )
    .await
}

/// All permissions: `id`, `name`, `description`.
pub async fn all_perms(tx: &mut Tx) -> Result<Vec<Value>> {
    tx.maps("SELECT id, name, description FROM permissions ORDER BY id", params![]).await
}

/// Sets the description of a permission.
pub async fn describe_perm(tx: &mut Tx, perm_id: i64, text: &str) -> Result<()> {
    let sql = "UPDATE permissions SET description = $2 WHERE id = $1";
    tx.execute(sql, params![perm_id, text]).await.map(drop)
}

/// Gives a user a permission.
pub async fn grant(tx: &mut Tx, user_id: i64, perm_id: i64, by: i64) -> Result<()> {
    let row = [("user_id", user_id.into()), ("perm_id", perm_id.into())];
    insert(tx, "user_perms", &row, by).await
}

/// Takes a permission from a user.
pub async fn ungrant(tx: &mut Tx, user_id: i64, perm_id: i64, by: i64) -> Result<()> {
    let keys = [("user_id", user_id.into()), ("perm_id", perm_id.into())];
    revoke(tx, "user_perms", &keys, by).await.map(drop)
}

/// What `listUsers` filters by.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Types of users.
    pub types: Option<Vec<i64>>,
    /// Start of the name, in any case.
    pub prefix: Option<String>,
    /// A permission that the user has.
    pub perm_id: Option<i64>,
    /// Whether a permission by a group counts.
    pub inherited: bool,
}

/// Lists users: `id`, `name`, `status`, `usertype`; or their number, as the options want.
pub async fn list(tx: &mut Tx, filter: &Filter, opts: &QueryOpts) -> Result<Value> {
    let own = "users.id IN (SELECT user_id FROM user_perms WHERE active = TRUE AND perm_id = ?)";
    let by_group = "users.id IN (SELECT ug.user_id FROM user_groups ug
                      JOIN user_perms up ON up.user_id = ug.group_id
                     WHERE ug.active = TRUE AND up.active = TRUE AND up.perm_id = ?)";
    let mut select = Select::from("users")
        .fields(&[("users.id", "id"), ("users.name", "name")])
        .fields(&[("users.status", "status"), ("users.usertype", "usertype")])
        .filter_opt("users.usertype = ANY(?)", filter.types.clone())
        .filter_opt("users.name ILIKE ? || '%'", filter.prefix.clone());
    if let Some(perm) = filter.perm_id {
        let mut any = vec![(own, vec![perm.into()])];
        if filter.inherited {
            any.push((by_group, vec![perm.into()]));
        }
        select = select.filter_any(any);
    }
    select.order_default("id").opts(opts).fetch(tx).await
}

/// Makes a user and gives the id.
pub async fn create(tx: &mut Tx, name: &str, usertype: i64, status: i64) -> Result<i64> {
    let row = [("name", name.into()), ("usertype", usertype.into()), ("status", status.into())];
    insert_id(tx, "users", &row).await
}

/// Sets whether a user may log in.
pub async fn set_status(tx: &mut Tx, user_id: i64, status: i64) -> Result<()> {
    let set = [("status", status.into())];
    update(tx, "users", &set, &[("id", user_id.into())]).await.map(drop)
}

/// Gives a user a Kerberos principal.
pub async fn add_principal(tx: &mut Tx, user_id: i64, principal: &str) -> Result<()> {
    let row = [("user_id", user_id.into()), ("krb_principal", principal.into())];
    insert_row(tx, "user_krb_principals", &row).await
}

/// Takes a Kerberos principal from a user; tells whether there was one.
pub async fn drop_principal(tx: &mut Tx, user_id: i64, principal: &str) -> Result<bool> {
    let sql = "DELETE FROM user_krb_principals WHERE user_id = $1 AND krb_principal = $2";
    Ok(tx.execute(sql, params![user_id, principal]).await? > 0)
}

/// The groups of a user: `id`, `name`.
pub async fn groups(tx: &mut Tx, user_id: i64) -> Result<Vec<Row>> {
    tx.query(
        "SELECT u.id AS id, u.name AS name
           FROM user_groups ug JOIN users u ON u.id = ug.group_id
          WHERE ug.active = TRUE AND u.usertype = $2 AND ug.user_id = $1
          ORDER BY ug.create_event",
        params![user_id, UserType::Group as i64],
    )
    .await
}

/// The members of a group: `id`, `name`, `usertype`.
pub async fn members(tx: &mut Tx, group_id: i64) -> Result<Vec<Row>> {
    tx.query(
        "SELECT u.id AS id, u.name AS name, u.usertype AS usertype
           FROM user_groups ug JOIN users u ON u.id = ug.user_id
          WHERE ug.active = TRUE AND ug.group_id = $1 ORDER BY u.id",
        params![group_id],
    )
    .await
}

/// Whether a user is in a group; the user is held, so that this stays so.
pub async fn is_member(tx: &mut Tx, group_id: i64, user_id: i64) -> Result<bool> {
    hold(tx, Names::Users, user_id).await?;
    let sql = "SELECT user_id FROM user_groups
                WHERE active = TRUE AND user_id = $1 AND group_id = $2 FOR UPDATE";
    Ok(tx.query_opt(sql, params![user_id, group_id]).await?.is_some())
}

/// Puts a user into a group.
pub async fn add_member(tx: &mut Tx, group_id: i64, user_id: i64, by: i64) -> Result<()> {
    let row = [("user_id", user_id.into()), ("group_id", group_id.into())];
    insert(tx, "user_groups", &row, by).await
}

/// Takes a user out of a group.
pub async fn drop_member(tx: &mut Tx, group_id: i64, user_id: i64, by: i64) -> Result<()> {
    let keys = [("user_id", user_id.into()), ("group_id", group_id.into())];
    revoke(tx, "user_groups", &keys, by).await.map(drop)
}
