//! The hub policy.

use toji_api::policy::*;
use toji_value::{Fault, FromValue, Value, list};

use crate::dispatch::Handle;
use crate::{Call, policy};

async fn evaluate(call: &mut Call, name: Value, data: &Value) -> Result<Value, Fault> {
    let name = String::from_value(name)?;
    call.policy_action(&name, &policy::data(data)?).await
}

impl Handle for EvalPolicy {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        evaluate(call, self.name, &self.data).await
    }
}

impl Handle for HostEvalPolicy {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        evaluate(call, self.name, &self.data).await
    }
}

impl Handle for HostCheckPolicy {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let name = String::from_value(self.name)?;
        let default = String::from_value(self.default)?;
        let data = policy::data(&self.data)?;
        let decision = call.check_policy(&name, &data, &default, false).await?;
        if self.strict {
            decision.clone().demand(&name)?;
        }
        Ok(list![decision.allowed, decision.reason])
    }
}

impl Handle for HostAssertPolicy {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let name = String::from_value(self.name)?;
        let default = String::from_value(self.default)?;
        let data = policy::data(&self.data)?;
        call.check_policy(&name, &data, &default, false).await?.demand(&name)?;
        Ok(Value::Nil)
    }
}
