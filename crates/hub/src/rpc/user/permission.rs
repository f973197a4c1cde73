//! Permissions: what a user may do.

use toji_api::user::*;
use toji_db::lookup::Names;
use toji_value::{Fault, IntoValue, Map, Value};

use crate::dispatch::Handle;
use crate::{Call, user};

impl Handle for GetPerms {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let Some(id) = call.user_id() else { return Ok(Value::Array(Vec::new())) };
        names(call, id, true).await
    }
}

impl Handle for HasPerm {
    async fn handle(self, call: &mut Call) -> Result<bool, Fault> {
        if self.strict && call.find(Names::Permissions, &self.perm).await?.is_none() {
            let text = format!("No such permission {} defined", self.perm.display());
            return Err(Fault::generic(text));
        }
        match &self.perm {
            Value::Str(name) => call.has_perm(name).await,
            _ => Ok(false),
        }
    }
}

impl Handle for GetAllPerms {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        Ok(Value::Array(toji_db::user::all_perms(&mut call.tx).await?))
    }
}

impl Handle for GetUserPerms {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let found = user::need(call, &self.user_id).await?;
        names(call, found.id, self.with_groups).await
    }
}

async fn names(call: &mut Call, user_id: i64, with_groups: bool) -> Result<Value, Fault> {
    let perms = user::perms(call, user_id).await?;
    let wanted = perms.into_iter().filter(|(_, from)| with_groups || from.contains(&None));
    Ok(Value::Array(wanted.map(|(name, _)| Value::Str(name)).collect()))
}

impl Handle for GetUserPermsInheritance {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let found = user::need(call, &self.user_id).await?;
        let perms = user::perms(call, found.id).await?;
        let map = perms.into_iter().map(|(name, from)| (name.into(), from.into_value()));
        Ok(map.collect::<Map>().into())
    }
}

impl Handle for GrantPermission {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        if self.create {
            call.names()?.internal(&self.permission)?;
        }
        if !self.description.is_nil() && !self.create {
            return Err(Fault::generic("Description should be specified only with create."));
        }
        let description = crate::check::text_opt(&self.description)?.map(str::to_owned);
        let found = user::need(call, &self.userinfo).await?;
        let perm = match self.create {
            true => call.find_or_make(Names::Permissions, &self.permission).await?,
            false => call.need(Names::Permissions, &self.permission).await?,
        };
        if let Some(text) = description {
            toji_db::user::describe_perm(&mut call.tx, perm.id, &text).await?;
        }
        toji_db::lookup::hold(&mut call.tx, Names::Users, found.id).await?;
        if has_own(call, found.id, &perm.name).await? {
            let who = self.userinfo.display();
            let text = format!("user {who} already has permission: {}", perm.name);
            return Err(Fault::generic(text));
        }
        let actor = call.actor()?;
        toji_db::user::grant(&mut call.tx, found.id, perm.id, actor).await?;
        Ok(Value::Nil)
    }
}

async fn has_own(call: &mut Call, user_id: i64, perm: &str) -> Result<bool, Fault> {
    let perms = user::perms(call, user_id).await?;
    Ok(perms.iter().any(|(name, from)| name == perm && from.contains(&None)))
}

impl Handle for RevokePermission {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let found = user::need(call, &self.userinfo).await?;
        let perm = call.need(Names::Permissions, &self.permission).await?;
        toji_db::lookup::hold(&mut call.tx, Names::Users, found.id).await?;
        if !has_own(call, found.id, &perm.name).await? {
            let who = self.userinfo.display();
            let text = format!("user {who} does not have permission: {}", perm.name);
            return Err(Fault::generic(text));
        }
        let actor = call.actor()?;
        toji_db::user::ungrant(&mut call.tx, found.id, perm.id, actor).await?;
        Ok(Value::Nil)
    }
}

impl Handle for EditPermission {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let text = crate::check::text(&self.description)?.to_owned();
        let perm = call.need(Names::Permissions, &self.permission).await?;
        toji_db::user::describe_perm(&mut call.tx, perm.id, &text).await?;
        Ok(Value::Nil)
    }
}
