//! Statements about builds.

use toji_api::provenance::*;
use toji_types::BuildState;
use toji_value::{Fault, Value};

use super::task::submit;
use crate::dispatch::Handle;
use crate::statement::{self, Part};
use crate::{Call, build};

impl Handle for ProvenanceGet {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        statement::show(call, &self.build, Part::Envelope, self.strict).await
    }
}

impl Handle for ProvenanceSbom {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        statement::show(call, &self.build, Part::Bill, self.strict).await
    }
}

impl Handle for ProvenanceKeys {
    async fn handle(self, call: &mut Call) -> Result<Vec<Value>, Fault> {
        statement::keys(call).await
    }
}

impl Handle for RebuildCompare {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        let build = build::need(call, &self.build).await?;
        if build.state != BuildState::Complete {
            return Err(Fault::generic(format!("Build {} is {}", build.nvr(), build.state)));
        }
        let args = vec![build.id.into(), self.opts];
        submit(call, "rebuildCompare", args, self.priority, self.channel).await
    }
}

impl Handle for ProvenanceRenew {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        statement::renew(call, &self.build).await?;
        Ok(Value::Nil)
    }
}
