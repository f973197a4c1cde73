//! The messages of `hub.proto` and `calls.proto`: requests into arguments, answers out of values, and both for clients.

use toji_api::{Declaration, Type};
use toji_value::{Args, Fault, Map, ParamKind, Value};

use super::wire::{Back, Budget, Fields, Malformed, Wire};

/// A call by its name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Named {
    /// The client's own number.
    pub id: i64,
    /// Koji's name of it.
    pub method: String,
    /// Its arguments.
    pub args: Args,
}

/// What a client sends in a multicall.
#[derive(Clone, Debug, PartialEq)]
pub enum Sent {
    /// Whether a failure takes back the batch.
    Options {
        /// It does.
        strict: bool,
    },
    /// A call, and the size of its message in bytes.
    Call(Named, usize),
    /// The end of a batch.
    Commit,
    /// Something of a newer version.
    Unknown,
}

/// What a server sends in a multicall.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// What became of a call.
    Answer {
        /// That of the call.
        id: i64,
        /// What it said.
        outcome: Result<Value, Fault>,
    },
    /// The end of a batch's answers.
    Done {
        /// Calls in the batch.
        calls: usize,
        /// Those that failed.
        failed: usize,
    },
}

/// The arguments in the request of a declared call: what is absent has its default.
///
/// # Errors
/// When the message is malformed.
pub fn read_args(call: &Declaration, bytes: &[u8]) -> Result<Args, Malformed> {
    let budget = Budget::call();
    let params = call.signature.params;
    let mut members = Map::new();
    let mut rest = Vec::new();
    let mut keywords = Vec::new();
    let mut fields = Fields::new(bytes);
    while let Some((number, wire)) = fields.read()? {
        let at = number as usize - 1;
        let Some(param) = params.get(at) else { continue };
        match param.kind {
            ParamKind::Rest => rest.push(budget.value(wire.bytes()?)?),
            ParamKind::Keywords => keywords.push(budget.entry(wire.bytes()?)?),
            ParamKind::Plain | ParamKind::Named => {
                members.insert(param.name, field(&budget, call.types[at], wire)?);
            }
        }
    }
    if let Some(param) = params.iter().find(|param| param.kind == ParamKind::Rest)
        && !rest.is_empty()
    {
        members.insert(param.name, Value::Array(rest));
    }
    let mut args = Args::named(members, &call.signature);
    args.keywords.extend(Map::from_pairs(keywords));
    Ok(args)
}

fn field(budget: &Budget, kind: Type, wire: Wire<'_>) -> Result<Value, Malformed> {
    Ok(match kind.inner() {
        Type::Any | Type::Maybe(_) => budget.value(wire.bytes()?)?,
        Type::Bool => Value::Bool(wire.int()? != 0),
        Type::Int => Value::Int(wire.int()?),
        Type::Double => Value::Double(wire.double()?),
        Type::Str => Value::Str(wire.text()?.to_owned()),
        Type::List => Value::Array(budget.items(wire.bytes()?)?),
        Type::Struct => Value::Struct(budget.members(wire.bytes()?)?),
    })
}

/// Writes the request of a declared call, as a client does.
///
/// # Errors
/// The name of an argument that the declaration does not know, or that has another type there.
pub fn write_args(call: &Declaration, args: &Args) -> Result<Vec<u8>, String> {
    let params = call.signature.params;
    let plain = params.iter().filter(|p| p.kind == ParamKind::Plain).count();
    let mut out = Back::default();
    let mut known = 0;
    for (at, param) in params.iter().enumerate().rev() {
        let number = at as u32 + 1;
        let named = args.keywords.get(param.name);
        known += usize::from(named.is_some());
        match (param.kind, named) {
            (ParamKind::Rest, _) => out.items(number, args.positional.get(plain..).unwrap_or(&[])),
            (ParamKind::Keywords, _) => {
                let own = |key: &str| params.iter().any(|p| p.name == key);
                let more = args.keywords.clone().into_iter().filter(|(key, _)| !own(key));
                let more = Map::from_pairs(more.collect());
                known += more.len();
                out.members(number, &more);
            }
            (ParamKind::Plain, None) => {
                if let Some(value) = args.positional.get(at) {
                    write_field(&mut out, number, call.types[at], value)
                        .ok_or_else(|| param.name.to_owned())?;
                }
            }
            (_, Some(value)) => write_field(&mut out, number, call.types[at], value)
                .ok_or_else(|| param.name.to_owned())?,
            (ParamKind::Named, None) => {}
        }
    }
    let rest = params.iter().any(|p| p.kind == ParamKind::Rest);
    if known < args.keywords.len() || args.positional.len() > plain && !rest {
        return Err("an argument that is not declared".to_owned());
    }
    Ok(out.as_bytes().to_vec())
}

/// Writes a value by its declared type; nothing for nil where that is what absence means.
fn write_field(out: &mut Back, number: u32, kind: Type, value: &Value) -> Option<()> {
    match (kind.inner(), value) {
        (Type::Any | Type::Maybe(_), value) => out.value(number, value),
        (_, Value::Nil) if matches!(kind, Type::Maybe(_)) => {}
        (Type::Bool, Value::Bool(b)) => out.int(number, i64::from(*b)),
        (Type::Int, Value::Int(i)) => out.int(number, *i),
        (Type::Double, Value::Double(d)) => out.double(number, *d),
        (Type::Double, Value::Int(i)) => out.double(number, *i as f64),
        (Type::Str, Value::Str(s)) => out.bytes(number, s.as_bytes()),
        (Type::List, Value::Array(items)) => out.message(number, |out| out.items(1, items)),
        (Type::Struct, Value::Struct(map)) => out.message(number, |out| out.members(1, map)),
        _ => return None,
    }
    Some(())
}

/// Writes the response of a declared call; none when the answer is not of the declared type.
pub fn write_result(call: &Declaration, value: &Value) -> Option<Back> {
    let mut out = Back::default();
    match (call.output, value) {
        (Type::List, Value::Array(items)) => out.items(1, items),
        (kind, value) => write_field(&mut out, 1, kind, value)?,
    }
    Some(out)
}

/// The result in the response of a declared call, for clients.
///
/// # Errors
/// When the message is malformed.
pub fn read_result(call: &Declaration, bytes: &[u8]) -> Result<Value, Malformed> {
    let budget = Budget::answer();
    let mut fields = Fields::new(bytes);
    let mut items = Vec::new();
    let mut result = None;
    while let Some((number, wire)) = fields.read()? {
        match (number, call.output) {
            (1, Type::List) => items.push(budget.value(wire.bytes()?)?),
            (1, kind) => result = Some(field(&budget, kind, wire)?),
            _ => {}
        }
    }
    Ok(match (result, call.output) {
        (_, Type::List) => Value::Array(items),
        (Some(result), _) => result,
        (None, Type::Any | Type::Maybe(_)) => Value::Nil,
        (None, Type::Bool) => Value::Bool(false),
        (None, Type::Int) => Value::Int(0),
        (None, Type::Double) => Value::Double(0.0),
        (None, Type::Str) => Value::Str(String::new()),
        (None, Type::Struct) => Value::Struct(Map::new()),
    })
}

/// Reads a `CallRequest`.
///
/// # Errors
/// When the message is malformed.
pub fn read_named(bytes: &[u8]) -> Result<Named, Malformed> {
    let budget = Budget::call();
    let mut named = Named::default();
    let mut keywords = Vec::new();
    let mut fields = Fields::new(bytes);
    while let Some((number, wire)) = fields.read()? {
        match number {
            1 => named.id = wire.int()?,
            2 => named.method = wire.text()?.to_owned(),
            3 => named.args.positional.push(budget.value(wire.bytes()?)?),
            4 => keywords.push(budget.entry(wire.bytes()?)?),
            _ => {}
        }
    }
    named.args.keywords = Map::from_pairs(keywords);
    Ok(named)
}

/// Writes the fields of a `CallRequest`, as a client does.
pub fn write_named(named: &Named, out: &mut Back) {
    out.members(4, &named.args.keywords);
    out.items(3, &named.args.positional);
    out.bytes(2, named.method.as_bytes());
    out.int(1, named.id);
}

/// Reads a `MulticallRequest`.
///
/// # Errors
/// When the message is malformed.
pub fn read_sent(bytes: &[u8]) -> Result<Sent, Malformed> {
    let mut sent = Sent::Unknown;
    let mut fields = Fields::new(bytes);
    while let Some((number, wire)) = fields.read()? {
        sent = match number {
            1 => {
                let mut options = Fields::new(wire.bytes()?);
                let mut strict = false;
                while let Some((number, wire)) = options.read()? {
                    if number == 1 {
                        strict = wire.int()? != 0;
                    }
                }
                Sent::Options { strict }
            }
            2 => Sent::Call(read_named(wire.bytes()?)?, bytes.len()),
            3 => Sent::Commit,
            _ => sent,
        };
    }
    Ok(sent)
}

/// Writes a `MulticallResponse`.
pub fn write_said(said: &Said) -> Back {
    let mut out = Back::default();
    match said {
        Said::Answer { id, outcome } => out.message(1, |out| {
            match outcome {
                Ok(value) => out.value(2, value),
                Err(fault) => out.message(3, |out| {
                    out.bytes(3, fault.class().as_bytes());
                    out.bytes(2, fault.message.as_bytes());
                    out.int(1, i64::from(fault.code));
                }),
            }
            out.int(1, *id);
        }),
        Said::Done { calls, failed } => out.message(2, |out| {
            out.int(2, *failed as i64);
            out.int(1, *calls as i64);
        }),
    }
    out
}

/// The entry for fuzzers: the requests of every declared call, and those of calls by name.
#[doc(hidden)]
pub fn fuzz(data: &[u8]) {
    let [first, rest @ ..] = data else { return };
    let calls = toji_api::declarations().count();
    if let Some(call) = toji_api::declarations().nth(usize::from(*first) * 7 % calls) {
        let _ = read_args(call, rest);
    }
    let _ = read_sent(rest);
    if let Ok(named) = read_named(rest) {
        let mut out = Back::default();
        write_named(&named, &mut out);
        let again = read_named(out.as_bytes());
        assert_eq!(format!("{again:?}"), format!("{:?}", Ok::<_, Malformed>(named)));
    }
}
