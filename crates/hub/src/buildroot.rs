//! Buildroots: who may touch them, their states and what is installed in them.

use toji_db::buildroot as db;
use toji_types::{BrState, BrType};
use toji_value::{Fault, Value};

use crate::rpm::known::{self, Own};
use crate::{Call, task};

/// Locks a buildroot of the calling host, and of the named task if one is named.
///
/// # Errors
/// `ActionNotAllowed` for a buildroot of another host or task.
pub async fn lock_own(call: &mut Call, id: i64, task_id: Option<i64>) -> Result<BrState, Fault> {
    let host = call.verified_host().await?;
    if let Some(task) = task_id {
        task::lock_held(call, task).await?;
    }
    let missing = || Fault::generic(format!("no buildroot with ID: {id}"));
    let row = db::lock(&mut call.tx, id).await?.ok_or_else(missing)?;
    if row.get::<i64>("br_type")? != BrType::Standard.number() {
        return Err(Fault::generic(format!("Not a standard buildroot: {id}")));
    }
    if row.get::<Option<i64>>("host_id")? != Some(host) {
        let text = format!("Host {host} not owner of buildroot {id}");
        return Err(Fault::not_allowed(text));
    }
    let owner: Option<i64> = row.get("task_id")?;
    if let Some(task) = task_id.filter(|task| owner != Some(*task)) {
        let text = format!("Task {task} does not have lock on buildroot {id}");
        return Err(Fault::not_allowed(text));
    }
    let state: Option<i64> = row.get("state")?;
    BrState::try_from(state.unwrap_or_default()).map_err(|e| Fault::generic(e.to_string()))
}

/// Sets the state of a buildroot; expiring an expired one again is fine.
///
/// # Errors
/// When it would start again or come back.
pub async fn set_state(call: &mut Call, id: i64, from: BrState, to: BrState) -> Result<(), Fault> {
    if to == BrState::Init {
        return Err(Fault::generic("Cannot change buildroot state to INIT"));
    }
    if from == BrState::Expired {
        return match to {
            BrState::Expired => Ok(()),
            _ => Err(Fault::generic(format!("buildroot {id} is EXPIRED"))),
        };
    }
    Ok(db::set_state(&mut call.tx, id, to).await?)
}

/// Adds RPMs to what is installed in a buildroot; those of other places are entered if they are new.
///
/// # Errors
/// When an RPM is not known, or one of another place has changed.
pub async fn install(call: &mut Call, id: i64, rpms: &[Value], update: bool) -> Result<(), Fault> {
    let ids = known::resolve(call, rpms, Own::Drafts).await?;
    Ok(db::install(&mut call.tx, id, &ids, update).await?)
}
