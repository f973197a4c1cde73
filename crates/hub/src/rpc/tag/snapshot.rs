//! Copies of tags.

use toji_api::tag::*;
use toji_value::{Fault, Value};

use crate::Call;
use crate::dispatch::Handle;
use crate::lookup;
use crate::tag::snapshot::{Options, create, modify};

impl Handle for SnapshotTag {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let options = Options {
            config: self.config,
            packages: self.pkgs,
            builds: self.builds,
            groups: self.groups,
            latest_only: self.latest_only,
            inherit_builds: self.inherit_builds,
            event: lookup::event(&self.event)?,
            force: self.force,
        };
        create(call, &self.src, &self.dst, options).await?;
        Ok(Value::Nil)
    }
}

impl Handle for SnapshotTagModify {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let options = Options {
            config: self.config,
            packages: self.pkgs,
            builds: self.builds,
            groups: self.groups,
            latest_only: self.latest_only,
            inherit_builds: self.inherit_builds,
            event: lookup::event(&self.event)?,
            force: self.force,
        };
        modify::modify(call, &self.src, &self.dst, options, self.remove).await?;
        Ok(Value::Nil)
    }
}
