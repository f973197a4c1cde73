//! Between the values of calls and the fields of policy data.

use toji_policy::{Data, Field};
use toji_value::{Fault, Map, Value};

/// A caller's policy data.
///
/// # Errors
/// `ParameterError` for anything but a struct.
pub fn data(value: &Value) -> Result<Data, Fault> {
    match value {
        Value::Struct(map) => Ok(map.iter().map(|(name, value)| (name, field(value))).collect()),
        other => Err(Fault::parameter(format!("policy data must be a struct: {}", other.repr()))),
    }
}

/// A value as a field.
pub(crate) fn field(value: &Value) -> Field {
    match value {
        Value::Nil => Field::Null,
        Value::Bool(b) => Field::Bool(*b),
        Value::Int(i) => Field::Int(*i),
        Value::Double(d) => Field::Float(*d),
        Value::Str(s) | Value::DateTime(s) => Field::Text(s.clone()),
        Value::Bytes(b) => Field::Text(String::from_utf8_lossy(b).into_owned()),
        Value::Array(items) => Field::List(items.iter().map(field).collect()),
        Value::Struct(map) => {
            Field::Map(map.iter().map(|(name, value)| (name.to_owned(), field(value))).collect())
        }
    }
}

/// A field as a value, for look-ups.
pub(crate) fn value(field: &Field) -> Value {
    match field {
        Field::Null => Value::Nil,
        Field::Bool(b) => Value::Bool(*b),
        Field::Int(i) => Value::Int(*i),
        Field::Float(d) => Value::Double(*d),
        Field::Text(s) => Value::Str(s.clone()),
        Field::List(items) => Value::Array(items.iter().map(value).collect()),
        Field::Map(entries) => {
            let pairs = entries.iter().map(|(name, field)| (name.clone().into(), value(field)));
            Value::Struct(pairs.collect::<Map>())
        }
    }
}
