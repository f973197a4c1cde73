//! Many calls in one transaction: Koji's multicall, and the batches of the other doors.

use toji_value::{Args, Fault, Map, Value, code};

use crate::dispatch::invoke;
use crate::{Call, Hub, Request};

/// The two names of the call that carries other calls.
pub(crate) fn is_multicall(method: &str) -> bool {
    matches!(method, "multiCall" | "system.multicall")
}

/// A call within a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Its name.
    pub method: String,
    /// Its arguments.
    pub args: Args,
}

/// The answer to a call within a batch.
pub type Answer = Result<Value, Fault>;

impl Hub {
    /// Runs calls one after the other in one transaction, each in a savepoint.
    ///
    /// With `strict`, the first failure takes back the whole batch; the calls before and behind it are answered with
    /// a fault that says so.
    ///
    /// # Errors
    /// When none of them was run: no session, a commit that failed.
    pub async fn batch(
        &self,
        request: &Request,
        items: Vec<Item>,
        strict: bool,
    ) -> Result<Vec<Answer>, Fault> {
        let calls = items.into_iter().map(|item| {
            let params = item.args.encode();
            Value::from(toji_value::map! { "methodName" => item.method, "params" => params })
        });
        let positional = vec![Value::Array(calls.collect())];
        let mut args = Args { positional, keywords: Map::new() };
        if strict {
            args.keywords.insert("strict", true);
        }
        let Value::Array(answers) = self.call(request, "multiCall", args).await? else {
            return Err(Fault::unexpected("a batch was not answered with a list"));
        };
        answers.into_iter().map(taken_apart).collect()
    }
}

/// What the convention of `system.multicall` stands for.
fn taken_apart(answer: Value) -> Result<Answer, Fault> {
    match answer {
        Value::Array(mut one) if one.len() == 1 => Ok(Ok(one.remove(0))),
        Value::Struct(mut fault) => {
            let number = fault.int("faultCode").and_then(|number| i32::try_from(number).ok());
            let message = fault.remove("faultString").map(|text| text.display());
            Ok(Err(Fault {
                code: number.unwrap_or(code::UNEXPECTED),
                message: message.unwrap_or_default(),
            }))
        }
        _ => Err(Fault::unexpected("an answer within a batch is of no known form")),
    }
}

/// Runs the calls of a multicall one after the other, each in a savepoint.
///
/// Each result is a list of one value, each failure a fault struct (the convention of
/// `system.multicall`). The keyword `strict`, which Koji does not have, takes the whole back after a failure.
pub(crate) async fn multicall(call: &mut Call, args: Args) -> Result<Value, Fault> {
    let strict = args.keywords.truthy("strict");
    let Some(Value::Array(calls)) = args.positional.into_iter().next() else {
        return Err(Fault::parameter("a multicall needs a list of calls"));
    };
    let count = calls.len();
    let mut results = Vec::with_capacity(count);
    for (at, inner) in calls.into_iter().enumerate() {
        let mark = call.mark().await?;
        match inner_call(call, inner).await {
            Ok(value) => {
                call.keep(mark).await?;
                results.push(Value::Array(vec![value]));
            }
            Err(fault) if strict => {
                call.doomed = true;
                return Ok(taken_back(at, count, &fault));
            }
            Err(fault) => {
                call.undo(mark).await?;
                results.push(Value::Struct(fault_struct(&fault)));
            }
        }
        // A later call must not reuse an event that a rollback may have taken away.
        call.tx.reset_event();
    }
    Ok(Value::Array(results))
}

/// The answers of a strict batch whose call at this place failed.
fn taken_back(at: usize, count: usize, fault: &Fault) -> Value {
    let number = at + 1;
    let before = Fault::generic(format!("taken back, because call {number} of {count} failed"));
    let behind = Fault::generic(format!("not begun, because call {number} of {count} failed"));
    let said = (0..count).map(|place| match place.cmp(&at) {
        std::cmp::Ordering::Less => &before,
        std::cmp::Ordering::Equal => fault,
        std::cmp::Ordering::Greater => &behind,
    });
    Value::Array(said.map(|fault| Value::Struct(fault_struct(fault))).collect())
}

async fn inner_call(call: &mut Call, inner: Value) -> Result<Value, Fault> {
    let Value::Struct(mut inner) = inner else {
        return Err(Fault::parameter("each call of a multicall is a struct"));
    };
    let method = match inner.remove("methodName") {
        Some(Value::Str(name)) => name,
        _ => return Err(Fault::parameter("a call of a multicall has no methodName")),
    };
    let params = match inner.remove("params") {
        Some(Value::Array(params)) => params,
        _ => return Err(Fault::parameter("a call of a multicall has no list of params")),
    };
    if is_multicall(&method) {
        return Box::pin(multicall(call, Args::decode(params))).await;
    }
    call.method.clone_from(&method);
    Box::pin(invoke(call, &method, Args::decode(params))).await
}

fn fault_struct(fault: &Fault) -> Map {
    toji_value::map! {
        "faultCode" => fault.code,
        "faultString" => &fault.message,
        "traceback" => toji_value::list![],
    }
}
