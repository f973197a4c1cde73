//! Users, groups of users, and permissions.

mod group;
mod permission;

use toji_api::user::*;
use toji_db::lookup::Names;
use toji_types::{UserStatus, UserType};
use toji_value::{Fault, Map, Value};

use crate::dispatch::Handle;
use crate::session::verified::check_realm;
use crate::{Call, listing, user};

impl Handle for GetUser {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let Some(found) = user::find(call, &self.user_info).await? else {
            if self.strict {
                return Err(Fault::generic(format!("No such user: {}", self.user_info.repr())));
            }
            return Ok(Value::Nil);
        };
        let mut map = found.to_map();
        if self.krb_princs {
            map.insert("krb_principals", user::principals(call, found.id).await?);
        }
        if self.groups {
            map.insert("groups", user::group_names(call, found.id).await?);
        }
        Ok(map.into())
    }
}

impl Handle for ListUsers {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        if self.inherited_perm && !self.perm.truthy() {
            let text = "inherited_perm option must be used with perm option";
            return Err(Fault::generic(text));
        }
        if self.query_opts.get("group").truthy() {
            return Err(Fault::generic("queryOpts.group is not available for this API"));
        }
        let mut filter = toji_db::user::Filter {
            types: types(&self.user_type)?,
            prefix: self.prefix.as_str().filter(|p| !p.is_empty()).map(str::to_owned),
            perm_id: None,
            inherited: self.inherited_perm,
        };
        if self.perm.truthy() {
            filter.perm_id = Some(call.need(Names::Permissions, &self.perm).await?.id);
        }
        let mut opts = listing::options(&self.query_opts)?;
        let as_list = std::mem::take(&mut opts.as_list);
        let found = toji_db::user::list(&mut call.tx, &filter, &opts).await?;
        let Value::Array(found) = found else { return Ok(found) };
        let is_map = |value| if let Value::Struct(map) = value { Some(map) } else { None };
        let mut users: Vec<Map> = found.into_iter().filter_map(is_map).collect();
        user::add_principals(call, &mut users).await?;
        let users = users.into_iter().map(Value::Struct);
        Ok(Value::Array(match as_list {
            true => users.map(toji_db::view::values).collect(),
            false => users.collect(),
        }))
    }
}

/// The types that `listUsers` is asked for.
fn types(value: &Value) -> Result<Option<Vec<i64>>, Fault> {
    let wrong = || Fault::parameter("userType must be integer, list, tuple or None");
    match value {
        Value::Nil => Ok(None),
        Value::Int(one) => Ok(Some(vec![*one])),
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_int().ok_or_else(wrong))
            .collect::<Result<_, _>>()
            .map(Some),
        _ => Err(wrong()),
    }
}

impl Handle for CreateUser {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let rules = call.names()?;
        if self.krb_principal.truthy() {
            let principal = rules.principal(&self.krb_principal)?;
            check_realm(call, principal)?;
        }
        let name = rules.user(&self.username)?;
        if user::find(call, &self.username).await?.is_some() {
            return Err(Fault::generic(format!("user already exists: {name}")));
        }
        refuse_known_principal(call, &self.krb_principal).await?;
        let invalid = || Fault::generic(format!("invalid status: {}", self.status.display()));
        let status = match &self.status {
            Value::Nil => UserStatus::Normal,
            other => other.as_int().and_then(|n| n.try_into().ok()).ok_or_else(invalid)?,
        };
        let id = create(call, name, UserType::Normal, status).await?;
        if let Some(principal) = self.krb_principal.as_str().filter(|p| !p.is_empty()) {
            toji_db::user::add_principal(&mut call.tx, id, principal).await?;
        }
        Ok(id.into())
    }
}

/// Makes a user, host or group and gives its id.
pub(crate) async fn create(
    call: &mut Call,
    name: &str,
    usertype: UserType,
    status: UserStatus,
) -> Result<i64, Fault> {
    if name.is_empty() {
        return Err(Fault::generic("a user must have a non-empty name"));
    }
    Ok(toji_db::user::create(&mut call.tx, name, usertype.into(), status.into()).await?)
}

async fn refuse_known_principal(call: &mut Call, principal: &Value) -> Result<(), Fault> {
    let Some(text) = principal.as_str().filter(|p| !p.is_empty()) else { return Ok(()) };
    let key = toji_db::user::Key { principal: Some(text.to_owned()), ..Default::default() };
    if toji_db::user::find(&mut call.tx, &key).await?.is_some() {
        let text = format!("user with this Kerberos principal already exists: {text}");
        return Err(Fault::generic(text));
    }
    Ok(())
}

impl Handle for EditUser {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let found = user::need(call, &self.user_info).await?;
        if self.name.truthy() && self.name.as_str() != Some(&found.name) {
            let rules = call.names()?;
            let name = rules.user(&self.name)?;
            if let Some(other) = call.find(Names::Users, &self.name).await? {
                let text = format!("Name {name} already taken by user {}", other.id);
                return Err(Fault::generic(text));
            }
            toji_db::lookup::rename(&mut call.tx, Names::Users, found.id, name).await?;
        }
        if self.krb_principal_mappings.truthy() {
            toji_db::lookup::hold(&mut call.tx, Names::Users, found.id).await?;
            edit_principals(call, found.id, &self.krb_principal_mappings).await?;
        }
        Ok(Value::Nil)
    }
}

/// Adds and removes principals as pairs of `old` and `new` say.
async fn edit_principals(call: &mut Call, user_id: i64, mappings: &Value) -> Result<(), Fault> {
    let (mut added, mut removed) = (Vec::<String>::new(), Vec::<String>::new());
    let wrong = || Fault::parameter("krb_principal_mappings must be a list of structs");
    let rules = call.names()?;
    for pair in mappings.as_array().ok_or_else(wrong)? {
        let pair = pair.as_struct().ok_or_else(wrong)?;
        if let Some(old) = pair.str("old").filter(|old| !old.is_empty()) {
            removed.push(old.to_owned());
        }
        if pair.truthy("new") {
            let principal = rules.principal(pair.value("new"))?;
            check_realm(call, principal)?;
            added.push(principal.to_owned());
        }
    }
    let current = user::principals(call, user_id).await?;
    let common = |a: &[String], b: &[String]| -> Vec<String> {
        a.iter().filter(|x| b.contains(x)).cloned().collect()
    };
    let refuse = |text: &str, names: Vec<String>| match names.as_slice() {
        [] => Ok(()),
        names => Err(Fault::generic(format!("{text}: {}", names.join(", ")))),
    };
    refuse(
        "There are some conflicts between added and removed Kerberos principals",
        common(&added, &removed),
    )?;
    refuse("Cannot add existing Kerberos principals", common(&added, &current))?;
    let unknown = removed.iter().filter(|name| !current.contains(name)).cloned().collect();
    refuse("Cannot remove non-existent Kerberos principals", unknown)?;
    for name in removed {
        toji_db::user::drop_principal(&mut call.tx, user_id, &name).await?;
    }
    for name in added {
        toji_db::user::add_principal(&mut call.tx, user_id, &name).await?;
    }
    Ok(())
}

impl Handle for AddUserKrbPrincipal {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let found = user::need(call, &self.user).await?;
        let principal = call.names()?.principal(&self.krb_principal)?.to_owned();
        refuse_known_principal(call, &self.krb_principal).await?;
        toji_db::user::add_principal(&mut call.tx, found.id, &principal).await?;
        Ok(found.id.into())
    }
}

impl Handle for RemoveUserKrbPrincipal {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let found = user::need(call, &self.user).await?;
        if !self.krb_principal.truthy() {
            return Err(Fault::generic("krb_principal must be specified"));
        }
        let principal = self.krb_principal.display();
        if !toji_db::user::drop_principal(&mut call.tx, found.id, &principal).await? {
            let name = &found.name;
            let text = format!("cannot remove Kerberos Principal: {principal} with user {name}");
            return Err(Fault::auth(text));
        }
        Ok(found.id.into())
    }
}

impl Handle for EnableUser {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        set_status(call, &self.username, UserStatus::Normal).await
    }
}

impl Handle for DisableUser {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        set_status(call, &self.username, UserStatus::Blocked).await
    }
}

async fn set_status(call: &mut Call, info: &Value, status: UserStatus) -> Result<Value, Fault> {
    let missing = || Fault::generic(format!("No such user: {}", info.display()));
    let found = user::find(call, info).await?.ok_or_else(missing)?;
    call.assert_perm("admin").await?;
    if found.status != i64::from(status) {
        toji_db::user::set_status(&mut call.tx, found.id, status.into()).await?;
    }
    Ok(Value::Nil)
}
