//! Many calls in one request.

use toji_value::{Fault, Map, Value, map};

use crate::{Client, Error, IntoArgs, args};

/// A list of calls; the hub runs each batch as one transaction.
#[must_use = "nothing is sent before `send`"]
pub struct Multicall<'c> {
    client: &'c Client,
    calls: Vec<Value>,
    batch: Option<usize>,
}

impl<'c> Multicall<'c> {
    pub(crate) fn new(client: &'c Client) -> Self {
        Multicall { client, calls: Vec::new(), batch: None }
    }

    /// Adds a call and returns its place in the results.
    pub fn add(&mut self, method: &str, args: impl IntoArgs) -> usize {
        let params = Value::Array(args.into_args().encode());
        self.calls.push(Value::Struct(map! {"methodName" => method, "params" => params}));
        self.calls.len() - 1
    }

    /// Splits the list into transactions of at most `size` calls.
    pub fn batch(mut self, size: usize) -> Self {
        self.batch = Some(size.max(1));
        self
    }

    /// Sends the calls; the results are in the order of [`Multicall::add`].
    pub async fn send(self) -> Result<Vec<Result<Value, Fault>>, Error> {
        let size = self.batch.unwrap_or(self.calls.len()).max(1);
        let mut results = Vec::with_capacity(self.calls.len());
        for calls in self.calls.chunks(size) {
            let answer = self.client.call("multiCall", args!(calls.to_vec())).await?;
            let wrong = |what: &str| Error::Answer { call: "multiCall".into(), what: what.into() };
            let Value::Array(entries) = answer else { return Err(wrong("not a list")) };
            if entries.len() != calls.len() {
                return Err(wrong("a wrong number of results"));
            }
            for entry in entries {
                results.push(result(entry).ok_or_else(|| wrong("neither result nor fault"))?);
            }
        }
        Ok(results)
    }

    /// Sends the calls; the first fault fails the whole.
    pub async fn strict(self) -> Result<Vec<Value>, Error> {
        let results = self.send().await?;
        results.into_iter().map(|result| result.map_err(Error::Fault)).collect()
    }
}

/// A list of one is a result, a struct is a fault.
fn result(entry: Value) -> Option<Result<Value, Fault>> {
    match entry {
        Value::Array(mut one) if one.len() == 1 => one.pop().map(Ok),
        Value::Struct(map) => fault(&map).map(Err),
        _ => None,
    }
}

fn fault(map: &Map) -> Option<Fault> {
    let code = map.int("faultCode").and_then(|code| i32::try_from(code).ok())?;
    Some(Fault { code, message: map.str("faultString")?.to_owned() })
}
