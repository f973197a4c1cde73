//! Inheritance between tags.

use toji_api::tag::*;
use toji_db::lookup::Names;
use toji_value::{Fault, Value};

use crate::Call;
use crate::dispatch::Handle;
use crate::lookup::{event, fit};
use crate::tag::{inherit, links};

impl Handle for GetInheritanceData {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let id = call.need(Names::Tag, &self.tag).await?.id;
        let at = event(&self.event)?;
        let rows = toji_db::tag::inheritance::parents(&mut call.tx, id, at).await?;
        Ok(Value::Array(rows.into_iter().map(|row| row.into_map().into()).collect()))
    }
}

impl Handle for SetInheritanceData {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let id = call.need(Names::Tag, &self.tag).await?.id;
        call.assert_perm("tag").await?;
        links::set(call, id, &self.data, self.clear).await?;
        Ok(Value::Nil)
    }
}

impl Handle for GetFullInheritance {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        for (option, value) in self.kwargs.iter() {
            // Clients that still send the two removed options send them empty.
            let text = match option {
                "stops" | "jumps" if !value.truthy() => continue,
                "stops" | "jumps" => format!("{option} option has been removed since 1.26"),
                other => {
                    format!("getFullInheritance() got an unexpected keyword argument '{other}'")
                }
            };
            return Err(Fault::parameter(text));
        }
        let id = match &self.tag {
            Value::Int(id) => fit(*id),
            other => call.need(Names::Tag, other).await?.id,
        };
        let at = event(&self.event)?;
        let order = match self.reverse {
            false => inherit::full(call, id, at).await?,
            true => inherit::descendants(call, id, at).await?,
        };
        let shown = order.iter().map(|node| node.to_map(self.reverse).into());
        Ok(Value::Array(shown.collect()))
    }
}
