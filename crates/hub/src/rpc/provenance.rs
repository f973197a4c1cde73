//! Statements about builds.

use toji_api::provenance::*;
use toji_value::{Fault, Value};

use crate::Call;
use crate::dispatch::Handle;
use crate::statement::{self, Part};

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

impl Handle for ProvenanceRenew {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        statement::renew(call, &self.build).await?;
        Ok(Value::Nil)
    }
}
