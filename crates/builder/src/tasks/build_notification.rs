//! `buildNotification`: tells people how a build went.
//!
//! Without a mail server, the result says who would have been told.

use toji_value::Value;

use super::{method, take, texts};
use crate::context::Context;
use crate::failure::Result;

method!("buildNotification", 0.1, [recipients, build, target, weburl]);

async fn run(_: &Context, values: Vec<Value>) -> Result<Value> {
    let [recipients, build, ..]: [Value; 4] = take(values)?;
    let recipients = texts(&recipients);
    if recipients.is_empty() {
        return Ok(Value::Nil);
    }
    let (id, list) = (build.get("id").display(), recipients.join(", "));
    Ok(format!("no mail server is configured: notification of build {id} not sent to: {list}")
        .into())
}
