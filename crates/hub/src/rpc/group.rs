//! Groups of packages in tags (comps).

use toji_api::group::*;
use toji_db::group::Part;
use toji_db::lookup::Names;
use toji_value::{Fault, Map, Value};

use crate::dispatch::Handle;
use crate::group::edit::{self, Member};
use crate::group::{self, Parts};
use crate::{Call, check};

impl Handle for GroupListAdd {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let (tag, group) = (&self.taginfo, &self.grpinfo);
        edit::add(call, tag, group, self.block, self.force, self.opts).await?;
        Ok(Value::Nil)
    }
}

impl Handle for GroupListRemove {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        edit::remove(call, &self.taginfo, &self.grpinfo, self.force).await?;
        Ok(Value::Nil)
    }
}

impl Handle for GroupListBlock {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        edit::add(call, &self.taginfo, &self.grpinfo, true, false, Map::new()).await?;
        Ok(Value::Nil)
    }
}

impl Handle for GroupListUnblock {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        edit::unblock(call, &self.taginfo, &self.grpinfo, Part::Config).await?;
        Ok(Value::Nil)
    }
}

impl Handle for GroupPackageListAdd {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let package = check::text(&self.pkg_name)?.to_owned();
        let member = Member {
            tag: self.taginfo,
            group: self.grpinfo,
            block: self.block,
            force: self.force,
            opts: self.opts,
        };
        edit::add_package(call, member, &package).await?;
        Ok(Value::Nil)
    }
}

impl Handle for GroupPackageListRemove {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let part = Part::Package(check::text(&self.pkg_name)?.to_owned());
        edit::remove_member(call, &self.taginfo, &self.grpinfo, part).await?;
        Ok(Value::Nil)
    }
}

fn blocking(tag: Value, group: Value) -> Member {
    Member { tag, group, block: true, force: false, opts: Map::new() }
}

impl Handle for GroupPackageListBlock {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let package = check::text(&self.pkg_name)?.to_owned();
        edit::add_package(call, blocking(self.taginfo, self.grpinfo), &package).await?;
        Ok(Value::Nil)
    }
}

impl Handle for GroupPackageListUnblock {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let part = Part::Package(check::text(&self.pkg_name)?.to_owned());
        edit::unblock(call, &self.taginfo, &self.grpinfo, part).await?;
        Ok(Value::Nil)
    }
}

impl Handle for GroupReqListAdd {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let member = Member {
            tag: self.taginfo,
            group: self.grpinfo,
            block: self.block,
            force: self.force,
            opts: self.opts,
        };
        edit::add_requirement(call, member, &self.reqinfo).await?;
        Ok(Value::Nil)
    }
}

impl Handle for GroupReqListRemove {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let part = Part::Requirement(call.need(Names::Groups, &self.reqinfo).await?.id);
        edit::remove_member(call, &self.taginfo, &self.grpinfo, part).await?;
        Ok(Value::Nil)
    }
}

impl Handle for GroupReqListBlock {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let member = blocking(self.taginfo, self.grpinfo);
        edit::add_requirement(call, member, &self.reqinfo).await?;
        Ok(Value::Nil)
    }
}

impl Handle for GroupReqListUnblock {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let part = Part::Requirement(call.need(Names::Groups, &self.reqinfo).await?.id);
        edit::unblock(call, &self.taginfo, &self.grpinfo, part).await?;
        Ok(Value::Nil)
    }
}

impl Handle for GetTagGroups {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let id = call.need(Names::Tag, &self.tag).await?.id;
        let event = crate::lookup::event(&self.event)?;
        let parts = Parts { packages: self.incl_pkgs, requirements: self.incl_reqs };
        let groups = group::read(call, id, event, self.inherit, parts).await?;
        Ok(group::to_value(groups, parts, self.incl_blocked))
    }
}
