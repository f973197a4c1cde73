//! `shutdown`: has this builder end once its other tasks have.

use toji_value::Value;

use super::{method, take};
use crate::context::Context;
use crate::failure::Result;
use crate::leave::Ending;

method!("shutdown", 0.0, []);

async fn run(task: &Context, values: Vec<Value>) -> Result<Value> {
    let [] = take(values)?;
    task.shared.leave.ask(Ending::Shutdown);
    Ok(Value::Nil)
}
