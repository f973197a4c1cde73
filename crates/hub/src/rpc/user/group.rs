//! Groups of users.

use toji_api::user::*;
use toji_types::{UserStatus, UserType};
use toji_value::{Fault, Map, Value};

use super::create;
use crate::Call;
use crate::dispatch::Handle;
use crate::user::{self, User};

impl Handle for GetUserGroups {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let found = user::need(call, &self.user).await?;
        let rows = toji_db::user::groups(&mut call.tx, found.id).await?;
        Ok(Value::Array(rows.into_iter().map(|row| row.into_map().into()).collect()))
    }
}

impl Handle for NewGroup {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let rules = call.names()?;
        let name = rules.internal(&self.name)?;
        if user::find(call, &self.name).await?.is_some() {
            return Err(Fault::generic(format!("user/group already exists: {name}")));
        }
        Ok(create(call, name, UserType::Group, UserStatus::Normal).await?.into())
    }
}

/// The group that a caller names, or the fault that `text` begins.
async fn group(call: &mut Call, info: &Value, text: &str) -> Result<User, Fault> {
    let found = user::find(call, info).await?.filter(User::is_group);
    found.ok_or_else(|| Fault::generic(format!("{text}: {}", info.display())))
}

impl Handle for AddGroupMember {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let group = group(call, &self.group, "Not a group").await?;
        let missing = || Fault::generic(format!("Not a user: {}", self.user.display()));
        let member = user::find(call, &self.user).await?.ok_or_else(missing)?;
        if member.is_group() {
            return Err(Fault::generic("Groups cannot be members of other groups"));
        }
        if toji_db::user::is_member(&mut call.tx, group.id, member.id).await? {
            if self.strict {
                return Err(Fault::generic("User already in group"));
            }
            return Ok(Value::Nil);
        }
        let actor = call.actor()?;
        toji_db::user::add_member(&mut call.tx, group.id, member.id, actor).await?;
        Ok(Value::Nil)
    }
}

impl Handle for DropGroupMember {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let member = user::need(call, &self.user).await?;
        let group = group(call, &self.group, "Not a group").await?;
        if !toji_db::user::is_member(&mut call.tx, group.id, member.id).await? {
            let text = format!("No such user in group: {}", self.group.display());
            return Err(Fault::generic(text));
        }
        let actor = call.actor()?;
        toji_db::user::drop_member(&mut call.tx, group.id, member.id, actor).await?;
        Ok(Value::Nil)
    }
}

impl Handle for GetGroupMembers {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let group = group(call, &self.group, "No such group").await?;
        let rows = toji_db::user::members(&mut call.tx, group.id).await?;
        let mut members: Vec<Map> = rows.into_iter().map(|row| row.into_map()).collect();
        user::add_principals(call, &mut members).await?;
        Ok(Value::Array(members.into_iter().map(Value::Struct).collect()))
    }
}
