//! `tagNotification`: tells people of a tagging.

use toji_client::args;
use toji_value::{Default, Value};

use super::{method, take, texts};
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::letters::{self, tagging::Tagging};

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
    let [recipients, success, tag, from, build, user, ignore_success, failure] = take(values)?;
    let recipients = texts(&recipients);
    if recipients.is_empty() || ignore_success.truthy() && success.truthy() {
        return Ok(Value::Nil);
    }
    let found = task.call("getBuild", args!(build.clone())).await?;
    if found.is_nil() {
        return Err(Failure::generic(format!("No such build: {}", build.display())));
    }
    let user = task.call("getUser", args!(user)).await?;
    let from = tag_name(task, from).await?;
    let to = tag_name(task, tag).await?;
    let failure = failure.display();
    let told = Tagging {
        build: &found,
        user: user.get("name").as_str().unwrap_or("somebody"),
        from: from.as_deref(),
        to: to.as_deref(),
        failure: (!success.truthy()).then_some(failure.as_str()),
    };
    let mut letter = told.letter();
    letter.to.clone_from(&recipients);
    let id = task.id;
    Ok(match letters::send(task, letter).await? {
        Some(sent) => format!("sent notification of tag operation {id} to: {}", sent.join(", ")),
        None => format!(
            "no mail server is configured: notification of tag operation {id} not sent to: {}",
            recipients.join(", ")
        ),
    }
    .into())
}

/// The name of a tag that is given by name or number, if one is given.
async fn tag_name(task: &Context, info: Value) -> Result<Option<String>> {
    if !info.truthy() {
        return Ok(None);
    }
    let tag = task.call("getTag", args!(info.clone())).await?;
    Ok(Some(tag.get("name").as_str().map_or_else(|| info.display(), str::to_owned)))
}
