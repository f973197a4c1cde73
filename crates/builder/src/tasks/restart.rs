//! `restart`: has this builder start anew once its other tasks have ended.

use toji_value::Value;

use super::{method, take};
use crate::context::{Context, int_of};
use crate::failure::{Failure, Result};
use crate::leave::Ending;

method!("restart", 0.1, [host]);

async fn run(task: &Context, values: Vec<Value>) -> Result<Value> {
    let [host] = take(values)?;
    check_host(task, &host).await?;
    task.shared.leave.ask(Ending::Restart);
    Ok("graceful restart initiated".into())
}

/// Refuses a task that was meant for another host.
pub(super) async fn check_host(task: &Context, host: &Value) -> Result<()> {
    let own = task.call("host.getID", ()).await?;
    match own.as_int() == Some(int_of(host, "id")?) {
        true => Ok(()),
        false => Err(Failure::generic("Host mismatch")),
    }
}
