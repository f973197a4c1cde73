//! Tags, their options and their inheritance.

mod change;
mod inheritance;
mod snapshot;

use toji_api::tag::*;
use toji_db::lookup::Names;
use toji_value::{Fault, Value, list, map};

use crate::dispatch::Handle;
use crate::tag::{self, When, access, edit, inherit};
use crate::{Call, listing};

impl Handle for CreateTag {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let new = edit::New {
            name: self.name,
            parent: self.parent,
            arches: self.arches,
            perm: self.perm,
            locked: self.locked,
            maven_support: self.maven_support,
            maven_include_all: self.maven_include_all,
            extra: self.extra,
        };
        Ok(edit::create(call, new).await?.into())
    }
}

impl Handle for EditTag {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let edits = map! {
            "name" => self.name,
            "arches" => self.arches,
            "locked" => self.locked,
            "perm_id" => self.permission_id,
            "extra" => self.extra,
        };
        edit::edit(call, &self.tag_info, &edits).await?;
        Ok(Value::Nil)
    }
}

impl Handle for EditTag2 {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        edit::edit(call, &self.tag_info, &self.kwargs).await?;
        Ok(Value::Nil)
    }
}

impl Handle for DeleteTag {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        edit::delete(call, &self.tag_info).await?;
        Ok(Value::Nil)
    }
}

impl Handle for GetTag {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let when = When::of(&self.event)?;
        match tag::find(call, &self.tag_info, when).await? {
            Some(found) => Ok(found.to_map(self.blocked).into()),
            None if self.strict => Err(tag::missing(&self.tag_info)),
            None => Ok(Value::Nil),
        }
    }
}

impl Handle for GetTagID {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        if self.strict {
            return Ok(call.need(Names::Tag, &self.info).await?.id.into());
        }
        if let Some(entry) = call.find(Names::Tag, &self.info).await? {
            return Ok(entry.id.into());
        }
        if !self.create {
            return Ok(Value::Nil);
        }
        // A Koji hub makes the row for everybody; here it takes what createTag takes.
        call.assert_perm("tag").await?;
        Ok(call.find_or_make(Names::Tag, &self.info).await?.id.into())
    }
}

impl Handle for ListTags {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        if !self.build.is_nil() && !self.package.is_nil() {
            return Err(Fault::generic("only one of build and package may be specified"));
        }
        let mut filter = toji_db::tag::Filter { perms: self.perms, ..Default::default() };
        if !self.build.is_nil() {
            let missing = || Fault::generic(format!("No such build: {}", self.build.display()));
            let build = crate::policy::build(call, &self.build).await?;
            filter.build_id = Some(build.ok_or_else(missing)?.id);
        } else if !self.package.is_nil() {
            let shown = self.package.display();
            let missing = || Fault::generic(format!("No such package: {shown}"));
            let package = call.find(Names::Package, &self.package).await?;
            filter.package_id = Some(package.ok_or_else(missing)?.id);
        }
        filter.pattern = match &self.pattern {
            Value::Nil => None,
            Value::Str(glob) => Some(like(glob)),
            other => return Err(Fault::parameter(format!("Invalid pattern: {}", other.repr()))),
        };
        let opts = listing::options(&self.query_opts)?;
        Ok(toji_db::tag::list(&mut call.tx, &filter, &opts).await?)
    }
}

/// A glob pattern (`*` and `?`) as LIKE understands it.
pub(crate) fn like(glob: &str) -> String {
    glob.replace('\\', "\\\\").replace('_', "\\_").replace('?', "_").replace('*', "%")
}

impl Handle for GetBuildConfig {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let event = crate::lookup::event(&self.event)?;
        let mut found = tag::need(call, &self.tag, event.into()).await?;
        let order = inherit::full(call, found.id, event).await?;
        let links: Vec<i64> =
            order.iter().filter(|node| !node.noconfig).map(|node| node.parent_id).collect();
        let ancestors = tag::find_all(call, &links, event).await?;
        let mut arches_from = Value::Nil;
        let mut extra_from = toji_value::Map::new();
        for id in links {
            let ancestor = ancestors.get(&id).ok_or_else(|| tag::missing(&Value::Int(id)))?;
            let source = || map! { "id" => ancestor.id, "name" => &ancestor.name };
            if found.config.arches.is_none() && ancestor.config.arches.is_some() {
                found.config.arches.clone_from(&ancestor.config.arches);
                arches_from = source().into();
            }
            for (key, value) in &ancestor.extra {
                if found.extra.iter().all(|(own, _)| own != key) {
                    found.extra.push((key.clone(), value.clone()));
                    extra_from.insert(key.clone(), source());
                }
            }
        }
        let mut shown = found.to_map(false);
        let sources = map! { "extra" => extra_from, "arches" => arches_from };
        shown.insert("config_inheritance", sources);
        Ok(shown.into())
    }
}

impl Handle for CheckTagAccess {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let missing = || Fault::generic("a user_id is required");
        let user_id = match self.user_id {
            Value::Nil => call.user_id().ok_or_else(missing)?,
            other => crate::lookup::fit(toji_value::FromValue::from_value(other)?),
        };
        let found = tag::need(call, &self.tag_id, When::Now).await?;
        let access = access::check(call, &found, user_id).await?;
        Ok(list![access.allowed, access.with_force, access.reason])
    }
}

impl Handle for CheckTagPackage {
    async fn handle(self, call: &mut Call) -> Result<bool, Fault> {
        let found = call.find(Names::Tag, &self.tag).await?;
        let package = call.find(Names::Package, &self.pkg).await?;
        match (found, package) {
            (Some(tag), Some(package)) => crate::package::is_listed(call, tag.id, package.id).await,
            _ => Ok(false),
        }
    }
}
