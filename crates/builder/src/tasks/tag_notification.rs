//! `tagNotification`: tells people of a tagging.
//!
//! Without a mail server, the result says who would have been told.

use toji_value::{Default, Value};

use super::{method, take, texts};
use crate::context::Context;
use crate::failure::Result;

method!(
    "tagNotification",
    0.1,
    [
        recipients,
        is_successful,
        tag_info,
        from_info,
        build_info,
        user_info,
        ignore_success = Default::Nil,
        failure_msg = Default::Str(""),
    ]
);

async fn run(task: &Context, values: Vec<Value>) -> Result<Value> {
    let [recipients, success, _, _, _, _, ignore_success, _] = take(values)?;
    let recipients = texts(&recipients);
    if recipients.is_empty() || ignore_success.truthy() && success.truthy() {
        return Ok(Value::Nil);
    }
    let (id, list) = (task.id, recipients.join(", "));
    Ok(format!(
        "no mail server is configured: notification of tag operation {id} not sent to: {list}"
    )
    .into())
}
