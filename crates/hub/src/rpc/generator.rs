//! Calls of content generators.

use toji_api::generator::*;
use toji_value::{Fault, Value};

use crate::dispatch::Handle;
use crate::{Call, generator};

impl Handle for CGInitBuild {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        Ok(generator::reserve(call, &self.cg, self.data).await?.into())
    }
}

impl Handle for CGRefundBuild {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let id = self.build_id;
        generator::refund(call, &self.cg, id, &self.token, &self.state).await?;
        Ok(Value::Nil)
    }
}

impl Handle for CGImport {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        // A Koji hub's own error (code 1) for a directory that is no text.
        let wrong = || Fault::unexpected("the directory is no text");
        let directory = self.directory.as_str().ok_or_else(wrong)?;
        Ok(generator::import(call, self.metadata, directory, &self.token).await?.into())
    }
}
