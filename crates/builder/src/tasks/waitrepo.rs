//! `waitrepo`: waits until a tag has a repository with certain builds or changes.

use toji_client::args;
use toji_value::{Default, Value};

use super::{method, take, texts};
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::wait::Want;

method!(
    "waitrepo",
    0.2,
    [tag, newer_than = Default::Nil, nvrs = Default::Nil, min_event = Default::Nil,]
);

async fn run(task: &Context, values: Vec<Value>) -> Result<Value> {
    let [tag, newer_than, nvrs, mut min_event] = take(values)?;
    let tag = task.call("getTag", args!(tag; "strict" => true)).await?;
    if !newer_than.is_nil() {
        if !min_event.is_nil() {
            return Err(Failure::generic("newer_than and min_event args conflict"));
        }
        min_event = least_event(task, &tag, &newer_than).await?;
    }
    Want::new(task, &tag, &texts(&nvrs), min_event).await?.wait(task).await
}

/// The first change of the tag after a moment, given as `now` or in seconds since 1970.
async fn least_event(task: &Context, tag: &Value, newer_than: &Value) -> Result<Value> {
    if newer_than.as_str().is_some_and(|text| text.eq_ignore_ascii_case("now")) {
        return Ok("last".into());
    }
    if newer_than.as_f64().is_none() {
        let value = newer_than.display();
        return Err(Failure::generic(format!("Invalid value for newer_than: {value}")));
    }
    let base =
        task.call("getLastEvent", args!(; "before" => newer_than, "strict" => false)).await?;
    let args = args!(tag.get("id"); "after" => base.get("id"));
    let event = task.call("tagFirstChangeEvent", args).await?;
    Ok(if event.is_nil() { "last".into() } else { event })
}
