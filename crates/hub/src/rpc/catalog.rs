//! Volumes, build types, archive types and content generators.

mod archive_type;
mod volume;

use toji_api::catalog::*;
use toji_db::catalog as rows;
use toji_db::lookup::{self, Names};
use toji_value::{Fault, Map, Value, map};

use crate::dispatch::Handle;
use crate::{Call, check, listing, user};

impl Handle for MavenEnabled {
    async fn handle(self, call: &mut Call) -> Result<bool, Fault> {
        Ok(call.hub.config.enable_maven)
    }
}

impl Handle for WinEnabled {
    async fn handle(self, call: &mut Call) -> Result<bool, Fault> {
        Ok(call.hub.config.enable_win)
    }
}

impl Handle for ListBTypes {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let wrong = || Fault::parameter(format!("Invalid query: {}", self.query.repr()));
        let (mut name, mut id) = (None, None);
        if !self.query.is_nil() {
            let query = self.query.as_struct().ok_or_else(wrong)?;
            name = query.get("name").map(check::text).transpose()?;
            id = query.get("id").map(|id| id.as_int().ok_or_else(wrong)).transpose()?;
        }
        let opts = listing::options(&self.query_opts)?;
        Ok(rows::btypes(&mut call.tx, name, id.map(crate::lookup::fit), &opts).await?)
    }
}

impl Handle for AddBType {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let rules = call.names()?;
        let name = rules.internal(&self.name)?;
        if lookup::by_name(&mut call.tx, Names::Btype, name).await?.is_some() {
            return Err(Fault::generic("btype already exists"));
        }
        lookup::insert(&mut call.tx, Names::Btype, name).await?;
        Ok(Value::Nil)
    }
}

impl Handle for ListCGs {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let mut generators: Vec<(String, i64, Vec<Value>)> = Vec::new();
        for row in rows::generators(&mut call.tx).await? {
            let name: String = row.get("name")?;
            let user = row.value("user_name").clone();
            match generators.iter_mut().find(|(known, _, _)| *known == name) {
                Some((_, _, users)) => users.push(user),
                None => generators.push((name, row.get("id")?, vec![user])),
            }
        }
        let shown = generators.into_iter().map(|(name, id, users)| {
            (name.into(), Value::Struct(map! { "id" => id, "users" => users }))
        });
        Ok(shown.collect::<Map>().into())
    }
}

impl Handle for GrantCGAccess {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let found = user::need(call, &self.user).await?;
        let cg = match self.create {
            true => call.find_or_make(Names::ContentGenerator, &self.cg).await?,
            false => call.need(Names::ContentGenerator, &self.cg).await?,
        };
        toji_db::lookup::hold(&mut call.tx, Names::Users, found.id).await?;
        if rows::is_generator_user(&mut call.tx, cg.id, found.id).await? {
            let text = format!("User already has access to content generator {}", cg.name);
            return Err(Fault::generic(text));
        }
        let actor = call.actor()?;
        rows::grant_generator(&mut call.tx, cg.id, found.id, actor).await?;
        Ok(Value::Nil)
    }
}

impl Handle for RevokeCGAccess {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let found = user::need(call, &self.user).await?;
        let cg = call.need(Names::ContentGenerator, &self.cg).await?;
        let actor = call.actor()?;
        toji_db::lookup::hold(&mut call.tx, Names::Users, found.id).await?;
        rows::revoke_generator(&mut call.tx, cg.id, found.id, actor).await?;
        Ok(Value::Nil)
    }
}
