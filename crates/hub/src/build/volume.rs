//! The volume that the policy gives a build that is being imported.

use toji_db::lookup::Names;
use toji_value::{Fault, Map, Value};

use crate::Call;
use crate::lookup::Entry;

/// The volume that the policy names, or nothing; what is wrong with the policy is logged only.
///
/// # Errors
/// When the database fails.
pub async fn choose(call: &mut Call, data: Map) -> Result<Option<Entry>, Fault> {
    let data = crate::policy::data(&Value::Struct(data))?;
    let outcome = match call.evaluate("volume", &data).await {
        Ok(outcome) => outcome,
        Err(fault) if fault.code == toji_value::code::UNEXPECTED => return Err(fault),
        Err(fault) => {
            tracing::error!(error = %fault, "the volume policy cannot be evaluated");
            None
        }
    };
    let action = outcome.as_ref().and_then(|outcome| outcome.action());
    let Some(name) = action.map(str::to_owned) else { return Ok(None) };
    let found = call.find(Names::Volume, &name.as_str().into()).await?;
    if found.is_none() {
        tracing::error!(volume = name, "the volume policy names a volume that does not exist");
    }
    Ok(found)
}

/// The volume for a build that a task completes.
///
/// # Errors
/// When the database fails.
pub async fn for_task(call: &mut Call, task_id: i64, mut data: Map) -> Result<Entry, Fault> {
    let (method, args) = crate::task::request(call, task_id).await?;
    data.extend(crate::task::make::policy_values(call, &method, &args).await?);
    let default = || Entry { id: 0, name: "DEFAULT".to_owned() };
    Ok(choose(call, data).await?.unwrap_or_else(default))
}
