//! `sleep`: does nothing for a while; for trying out a builder.

use std::time::Duration;

use toji_value::Value;

use super::{method, take};
use crate::context::Context;
use crate::failure::{Failure, Result};

method!("sleep", 0.25, [n]);

async fn run(task: &Context, values: Vec<Value>) -> Result<Value> {
    let [seconds] = take(values)?;
    let seconds = seconds.as_f64().filter(|s| (0.0..=1e6).contains(s));
    let seconds = seconds.ok_or_else(|| Failure::generic("sleep takes a number of seconds"))?;
    task.cancel.run_until_cancelled(tokio::time::sleep(Duration::from_secs_f64(seconds))).await;
    Ok(Value::Nil)
}
