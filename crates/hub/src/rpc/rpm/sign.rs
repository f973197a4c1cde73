//! Signatures of RPMs and signed copies.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use toji_api::rpm::*;
use toji_value::{Fault, Value};

use crate::Call;
use crate::dispatch::Handle;
use crate::rpm::signature;

impl Handle for AddRPMSig {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let label = self.sigkey.filter(|label| !label.is_empty());
        signature::add(call, &self.an_rpm, decode(&self.data)?, label).await?;
        Ok(Value::Nil)
    }
}

/// The bytes of a base64 text, in which line ends and the like are allowed.
fn decode(data: &Value) -> Result<Vec<u8>, Fault> {
    let text = match data {
        Value::Str(text) => text.as_bytes(),
        Value::Bytes(bytes) => bytes,
        other => {
            let kind = other.type_name();
            return Err(Fault::parameter(format!("a signature header is base64, not {kind}")));
        }
    };
    let known = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    let plain: Vec<u8> = text.iter().copied().filter(known).collect();
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let decoded = GeneralPurpose::new(&STANDARD, config).decode(plain);
    decoded.map_err(|e| Fault::unexpected(format!("a signature header is no base64: {e}")))
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
