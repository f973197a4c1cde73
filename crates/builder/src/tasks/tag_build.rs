//! `tagBuild`: tags a build after the checks that take longer, and has people told.

use toji_client::args;
use toji_value::{Default, Value};

use super::{method, take};
use crate::context::Context;
use crate::failure::{Failure, Result};

method!(
    "tagBuild",
    1.0,
    [
        tag_id,
        build_id,
        force = Default::Bool(false),
        fromtag = Default::Nil,
        ignore_success = Default::Bool(false),
    ]
);

async fn run(task: &Context, values: Vec<Value>) -> Result<Value> {
    let [tag, build, force, from, ignore_success] = take(values)?;
    let user = task.info.get("owner").clone();
    let tagged = tag_it(task, &tag, &build, force, &from).await;
    let (success, text) = match &tagged {
        Ok(()) => (true, String::new()),
        Err(Failure(fault, _)) => (false, fault.message.clone()),
    };
    let told = args!(success, tag, from, build, user, ignore_success, text);
    let told = task.call("host.tagNotification", told).await;
    tagged?;
    told?;
    Ok(Value::Nil)
}

async fn tag_it(
    task: &Context,
    tag: &Value,
    build: &Value,
    force: Value,
    from: &Value,
) -> Result<()> {
    task.call("getBuild", args!(build; "strict" => true)).await?;
    task.call("getTag", args!(tag; "strict" => true)).await?;
    let call = args!(task.id, tag, build; "force" => force, "fromtag" => from);
    task.call("host.tagBuild", call).await.map(drop)
}
