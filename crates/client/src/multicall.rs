//! Many calls in one request.

use std::marker::PhantomData;

use toji_api::Rpc;
use toji_value::{Fault, FromValue, Map, Value, map};

use crate::{Client, Error, IntoArgs, args};

/// A list of calls; the hub runs each batch as one transaction.
///
/// ```no_run
/// # async fn example(client: toji_client::Client) -> Result<(), toji_client::Error> {
/// use toji_client::api::build::{FindBuildID, GetNextRelease};
/// use toji_client::map;
///
/// let mut calls = client.multicall();
/// let id = calls.rpc(FindBuildID::new("bash-5.2.26-1"));
/// let release = calls.rpc(GetNextRelease::new(map! {"name" => "bash", "version" => "5.3"}));
/// let mut done = calls.run().await?;
/// println!("{:?} {}", done.take(id)?, done.take(release)?);
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is sent before `send`, `strict` or `run`"]
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

    /// Adds a declared call and returns where its result will be.
    pub fn rpc<R>(&mut self, rpc: R) -> Slot<R::Output>
    where
        R: Rpc,
        R::Output: FromValue,
    {
        let call = R::SIGNATURE.name;
        Slot { place: self.add(call, crate::call::needed(rpc)), call, output: PhantomData }
    }

    /// How many calls there are.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether there is no call yet.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
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

    /// Sends the calls; each result is taken by its [`Slot`].
    pub async fn run(self) -> Result<Results, Error> {
        let results = self.send().await?;
        Ok(Results { results: results.into_iter().map(Some).collect() })
    }

    /// Like [`Multicall::run`], but the first fault fails the whole.
    pub async fn run_strict(self) -> Result<Results, Error> {
        let results = self.strict().await?;
        Ok(Results { results: results.into_iter().map(|value| Some(Ok(value))).collect() })
    }
}

/// Where the result of a declared call in a multicall will be.
#[derive(Debug)]
pub struct Slot<T> {
    place: usize,
    call: &'static str,
    output: PhantomData<fn() -> T>,
}

/// The results of a multicall.
#[derive(Debug)]
pub struct Results {
    results: Vec<Option<Result<Value, Fault>>>,
}

impl Results {
    /// Takes the result of a declared call.
    ///
    /// # Errors
    /// The call's own fault; [`Error::Answer`] when the result is not of the declared type, or the slot is of another multicall.
    pub fn take<T: FromValue>(&mut self, slot: Slot<T>) -> Result<T, Error> {
        let wrong = |what: String| Error::Answer { call: slot.call.to_owned(), what };
        let result = self.results.get_mut(slot.place).and_then(Option::take);
        let value = result.ok_or_else(|| wrong("not in this multicall".to_owned()))??;
        T::from_value(value).map_err(|fault| wrong(fault.message))
    }

    /// Takes the result at a place that [`Multicall::add`] returned.
    ///
    /// # Errors
    /// The call's own fault; [`Error::Answer`] when there is none at this place any more.
    pub fn take_value(&mut self, place: usize) -> Result<Value, Error> {
        let result = self.results.get_mut(place).and_then(Option::take);
        let missing =
            || Error::Answer { call: "multiCall".into(), what: format!("no result {place}") };
        Ok(result.ok_or_else(missing)??)
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
