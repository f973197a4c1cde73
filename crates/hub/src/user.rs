//! Users: finding them as callers name them, and what is shown of them.

use toji_db::user::{self, Key};
use toji_types::UserType;
use toji_value::{Fault, Map, Value, map};

use crate::Call;
use crate::lookup::fit;

/// A user, host or group of users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The id.
    pub id: i64,
    /// The name.
    pub name: String,
    /// 0 for those who may log in (`UserStatus`).
    pub status: i64,
    /// What it is (`UserType`).
    pub usertype: i64,
}

impl User {
    /// Whether this is a group of users.
    pub fn is_group(&self) -> bool {
        self.usertype == UserType::Group as i64
    }

    /// The user as `getUser` shows it, without principals and groups.
    pub fn to_map(&self) -> Map {
        map! {
            "id" => self.id,
            "name" => &self.name,
            "status" => self.status,
            "usertype" => self.usertype,
        }
    }
}

/// The user that a caller's value names (nil: the caller), or nothing.
///
/// # Errors
/// `GenericError` for a value that names nobody, or nil from an anonymous caller.
pub async fn find(call: &mut Call, info: &Value) -> Result<Option<User>, Fault> {
    let key = key(call, info)?;
    let row = user::find(&mut call.tx, &key).await?;
    row.map(|row| {
        Ok(User {
            id: row.get("id")?,
            name: row.get("name")?,
            status: row.get("status")?,
            usertype: row.get("usertype")?,
        })
    })
    .transpose()
}

/// The user that a caller's value names (nil: the caller).
///
/// # Errors
/// `GenericError` when there is none.
pub async fn need(call: &mut Call, info: &Value) -> Result<User, Fault> {
    let missing = || Fault::generic(format!("No such user: {}", info.repr()));
    find(call, info).await?.ok_or_else(missing)
}

/// The user with this id.
///
/// # Errors
/// When the database fails.
pub async fn by_id(call: &mut Call, id: i64) -> Result<Option<User>, Fault> {
    find(call, &Value::Int(id)).await
}

fn key(call: &Call, info: &Value) -> Result<Key, Fault> {
    let invalid = |what: &str, value: &Value| {
        Fault::generic(format!("Invalid type for {what}: <class '{}'>", value.type_name()))
    };
    let mut key = Key::default();
    match info {
        Value::Nil => {
            let id = call.user_id().ok_or_else(|| Fault::generic("No user provided"))?;
            key.id = Some(id);
        }
        Value::Int(id) => key.id = Some(fit(*id)),
        Value::Str(name) => key.name_or_principal = Some(name.clone()),
        Value::Struct(map) => {
            key.id = match map.value("id") {
                Value::Nil => None,
                Value::Int(id) => Some(fit(*id)),
                other => return Err(invalid("userid", other)),
            };
            let text = |name: &str, what: &str| match map.value(name) {
                value if !value.truthy() => Ok(None),
                Value::Str(text) => Ok(Some(text.clone())),
                other => Err(invalid(what, other)),
            };
            key.name = text("name", "username")?;
            key.principal = text("krb_principal", "krb_principal")?;
            if key.id.is_none() && key.name.is_none() && key.principal.is_none() {
                return Err(Fault::generic(format!("No user named by {}", info.repr())));
            }
        }
        other => return Err(invalid("userInfo", other)),
    }
    Ok(key)
}

/// The Kerberos principals of a user.
///
/// # Errors
/// When the database fails.
pub async fn principals(call: &mut Call, user_id: i64) -> Result<Vec<String>, Fault> {
    let rows = user::principals(&mut call.tx, &[user_id]).await?;
    rows.iter().map(|row| Ok(row.get("krb_principal")?)).collect()
}

/// Adds the member `krb_principals` to mappings that have a user's `id`.
///
/// # Errors
/// When the database fails.
pub async fn add_principals(call: &mut Call, users: &mut [Map]) -> Result<(), Fault> {
    let ids: Vec<i64> = users.iter().filter_map(|user| user.int("id")).collect();
    let rows = user::principals(&mut call.tx, &ids).await?;
    let mut by_user = std::collections::HashMap::<i64, Vec<Value>>::new();
    for row in rows {
        let own = by_user.entry(row.get("user_id")?).or_default();
        own.push(row.value("krb_principal").clone());
    }
    for user in users {
        let own = user.int("id").and_then(|id| by_user.remove(&id));
        user.insert("krb_principals", own.unwrap_or_default());
    }
    Ok(())
}

/// Names of the permissions of a user, groups included; each with where it comes from (nothing:
/// the user's own).
///
/// # Errors
/// When the database fails.
pub async fn perms(
    call: &mut Call,
    user_id: i64,
) -> Result<Vec<(String, Vec<Option<String>>)>, Fault> {
    let rows = user::perms(&mut call.tx, user_id).await?;
    let mut perms: Vec<(String, Vec<Option<String>>)> = Vec::new();
    for row in rows {
        let (name, group): (String, Option<String>) = (row.get("name")?, row.get("group")?);
        match perms.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sources)) => sources.push(group),
            None => perms.push((name, vec![group])),
        }
    }
    Ok(perms)
}

/// Names of the groups of a user.
///
/// # Errors
/// When the database fails.
pub async fn group_names(call: &mut Call, user_id: i64) -> Result<Vec<String>, Fault> {
    let rows = user::groups(&mut call.tx, user_id).await?;
    rows.iter().map(|row| Ok(row.get("name")?)).collect()
}
