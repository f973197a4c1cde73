//! The volume that the policy gives a build that is being imported.

use toji_value::{Fault, Map, Value};

use crate::lookup::Entry;
use crate::{Call, policy, volume};

/// The volume that the policy names, or nothing; what is wrong with the policy is logged only.
///
/// # Errors
/// When the database fails.
pub async fn choose(call: &mut Call, data: Map) -> Result<Option<Entry>, Fault> {
    let data = policy::data(&Value::Struct(data))?;
    volume::by_policy(call, &data, false).await
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
