//! Work for signers.

use toji_api::signing::*;
use toji_db::QueryOpts;
use toji_db::signing as db;
use toji_value::{Fault, Value};

use crate::dispatch::Handle;
use crate::{Call, rpm, signing};

impl Handle for SigningRequest {
    async fn handle(self, call: &mut Call) -> Result<Vec<i64>, Fault> {
        let key = self.key.ok_or_else(|| Fault::parameter("a key must be given"))?;
        signing::request(call, &self.build, &self.rpms, &key, self.label).await
    }
}

impl Handle for SigningList {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let opts = QueryOpts::from_value(&self.query_opts)?;
        let id = match &self.rpm {
            Value::Nil => None,
            info => rpm::need(call, info).await?.int("id"),
        };
        let key = self.key.map(|key| key.to_lowercase());
        Ok(db::list(&mut call.tx, self.state, id, key, &opts).await?)
    }
}

impl Handle for SigningCancel {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        signing::cancel(call, self.id).await?;
        Ok(Value::Nil)
    }
}

impl Handle for SigningTake {
    async fn handle(self, call: &mut Call) -> Result<Vec<Value>, Fault> {
        signing::take(call, &self.fingerprints, self.limit).await
    }
}

impl Handle for SigningHeader {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        signing::header(call, self.id, self.turn).await
    }
}

impl Handle for SigningSubmit {
    async fn handle(self, call: &mut Call) -> Result<String, Fault> {
        signing::submit(call, self.id, self.turn, &self.signature).await
    }
}

impl Handle for SigningFail {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        signing::fail(call, self.id, self.turn, &self.reason).await?;
        Ok(Value::Nil)
    }
}
