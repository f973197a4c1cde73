//! Packages, and the package lists of tags.

use toji_api::package::*;
use toji_db::lookup::Names;
use toji_value::{Fault, Value};

use crate::dispatch::Handle;
use crate::package::edit::{self, Check, Request};
use crate::package::{self, Question};
use crate::{Call, listing, user};

impl Handle for PackageListAdd {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let request = Request {
            tag: self.taginfo,
            package: self.pkginfo,
            owner: self.owner,
            block: self.block,
            extra_arches: self.extra_arches,
            force: self.force,
            update: self.update,
        };
        edit::add(call, request, Check::Policy).await?;
        Ok(Value::Nil)
    }
}

impl Handle for PackageListRemove {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        edit::remove(call, &self.taginfo, &self.pkginfo, self.force, Check::Policy).await?;
        Ok(Value::Nil)
    }
}

impl Handle for PackageListBlock {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        edit::block(call, self.taginfo, self.pkginfo, self.force).await?;
        Ok(Value::Nil)
    }
}

impl Handle for PackageListUnblock {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        edit::unblock(call, &self.taginfo, &self.pkginfo, self.force).await?;
        Ok(Value::Nil)
    }
}

impl Handle for PackageListSetOwner {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let request = Request {
            tag: self.taginfo,
            package: self.pkginfo,
            owner: self.owner,
            force: self.force,
            update: true,
            ..Request::default()
        };
        edit::add(call, request, Check::Policy).await?;
        Ok(Value::Nil)
    }
}

impl Handle for PackageListSetArches {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let request = Request {
            tag: self.taginfo,
            package: self.pkginfo,
            extra_arches: self.arches,
            force: self.force,
            update: true,
            ..Request::default()
        };
        edit::add(call, request, Check::Policy).await?;
        Ok(Value::Nil)
    }
}

impl Handle for ListPackages {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        if self.tag_id.is_nil() && self.user_id.is_nil() && self.pkg_id.is_nil() {
            return simple(call, &self.prefix, &self.query_opts).await;
        }
        let mut question = Question {
            inherit: self.inherited,
            with_owners: self.with_owners,
            with_blocked: self.with_blocked,
            with_dups: self.with_dups,
            ..Question::default()
        };
        if !self.tag_id.is_nil() {
            question.tag = Some(call.need(Names::Tag, &self.tag_id).await?.id);
        }
        if !self.user_id.is_nil() {
            question.owner = Some(user::need(call, &self.user_id).await?.id);
        }
        if !self.pkg_id.is_nil() {
            question.package = Some(call.need(Names::Package, &self.pkg_id).await?.id);
        }
        if question.owner.is_some() && !question.with_owners {
            let text = "userID and with_owners=False can't be used together";
            return Err(Fault::generic(text));
        }
        question.event = crate::lookup::event(&self.event)?;
        let prefix = self.prefix.as_str().unwrap_or_default().to_lowercase();
        let found = package::read(call, &question).await?;
        let fits = |name: &str| name.to_lowercase().starts_with(&prefix);
        let shown = found.into_iter().filter(|entry| fits(&entry.package_name));
        let shown = shown.map(|entry| Value::Struct(entry.shown)).collect();
        listing::apply(shown, &listing::options(&self.query_opts)?)
    }
}

impl Handle for ListPackagesSimple {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        simple(call, &self.prefix, &self.query_opts).await
    }
}

async fn simple(call: &mut Call, prefix: &Value, opts: &Value) -> Result<Value, Fault> {
    let prefix = match prefix {
        Value::Nil => None,
        other => Some(other.display()),
    };
    let opts = listing::options(opts)?;
    Ok(toji_db::package::list(&mut call.tx, prefix, &opts).await?)
}

impl Handle for GetPackage {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        if self.strict {
            return Ok(call.need(Names::Package, &self.info).await?.into());
        }
        if let Some(entry) = call.find(Names::Package, &self.info).await? {
            return Ok(entry.into());
        }
        if !self.create {
            return Ok(Value::Nil);
        }
        // A Koji hub makes the row for everybody; here it takes what listing a package takes.
        call.assert_perm("tag").await?;
        Ok(call.find_or_make(Names::Package, &self.info).await?.into())
    }
}

impl Handle for GetPackageID {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let wrong = || Fault::parameter(format!("Invalid package name: {}", self.name.repr()));
        let name = match &self.name {
            Value::Nil if self.strict => return Err(Fault::generic("No such package name: None")),
            Value::Nil => return Ok(Value::Nil),
            name => name.as_str().ok_or_else(wrong)?,
        };
        match toji_db::lookup::by_name(&mut call.tx, Names::Package, name).await? {
            Some(row) => Ok(row.value("id").clone()),
            None if self.strict => Err(Fault::generic(format!("No such package name: {name}"))),
            None => Ok(Value::Nil),
        }
    }
}

impl Handle for GetPackageConfig {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let tag = call.find(Names::Tag, &self.tag).await?;
        let package = call.find(Names::Package, &self.pkg).await?;
        let (Some(tag), Some(package)) = (tag, package) else { return Ok(Value::Nil) };
        let event = crate::lookup::event(&self.event)?;
        let found = package::config(call, tag.id, package.id, event).await?;
        Ok(found.map(|entry| Value::Struct(entry.shown)).unwrap_or_default())
    }
}
