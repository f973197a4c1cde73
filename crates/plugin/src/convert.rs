//! Between values and those of scripts.

use rhai::{Array, Dynamic, Map as Object};
use toji_value::{Map, Value};

/// A value for a script; binary data become a blob, times their text.
pub(crate) fn to_script(value: &Value) -> Dynamic {
    match value {
        Value::Nil => Dynamic::UNIT,
        Value::Bool(b) => Dynamic::from_bool(*b),
        Value::Int(i) => Dynamic::from_int(*i),
        Value::Double(d) => Dynamic::from_float(*d),
        Value::Str(s) | Value::DateTime(s) => Dynamic::from(s.clone()),
        Value::Bytes(b) => Dynamic::from_blob(b.clone()),
        Value::Array(items) => Dynamic::from_array(items.iter().map(to_script).collect()),
        Value::Struct(map) => Dynamic::from_map(
            map.iter().map(|(key, value)| (key.into(), to_script(value))).collect(),
        ),
    }
}

/// The value of what a script gives; what has no counterpart becomes its text.
pub(crate) fn from_script(found: Dynamic) -> Value {
    if found.is_unit() {
        return Value::Nil;
    }
    let found = found.flatten();
    if let Ok(b) = found.as_bool() {
        return Value::Bool(b);
    }
    if let Ok(i) = found.as_int() {
        return Value::Int(i);
    }
    if let Ok(d) = found.as_float() {
        return Value::Double(d);
    }
    if found.is_array() {
        let items = found.try_cast::<Array>().unwrap_or_default();
        return Value::Array(items.into_iter().map(from_script).collect());
    }
    if found.is_map() {
        let object = found.try_cast::<Object>().unwrap_or_default();
        let pairs = object.into_iter().map(|(key, v)| (key.to_string().into(), from_script(v)));
        return Value::Struct(pairs.collect::<Map>());
    }
    if found.is_blob() {
        return Value::Bytes(found.into_blob().unwrap_or_default());
    }
    Value::Str(found.to_string())
}
