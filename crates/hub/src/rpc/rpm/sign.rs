//! Signatures of RPMs and signed copies.

use toji_api::rpm::*;
use toji_value::{Fault, Value};

use crate::Call;
use crate::dispatch::Handle;
use crate::rpm::signature;

impl Handle for AddRPMSig {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let label = self.sigkey.filter(|label| !label.is_empty());
        signature::add(
            call,
            &self.an_rpm,
            signature::decode(&self.data, "a signature header")?,
            label,
        )
        .await?;
        Ok(Value::Nil)
    }
}

impl Handle for DeleteRPMSig {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        signature::delete(call, &self.rpminfo, self.sigkey, self.all_sigs).await?;
        Ok(Value::Nil)
    }
}

impl Handle for RenameRPMSig {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        signature::rename(call, &self.rpminfo, &self.oldkey, &self.newkey).await?;
        Ok(Value::Nil)
    }
}

impl Handle for WriteSignedRPM {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        signature::write_signed(call, &self.an_rpm, &self.sigkey, self.force).await?;
        Ok(Value::Nil)
    }
}

impl Handle for HostWriteSignedRPM {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        signature::write_signed(call, &self.an_rpm, &self.sigkey, self.force).await?;
        Ok(Value::Nil)
    }
}
