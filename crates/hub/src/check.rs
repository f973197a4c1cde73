//! Types of callers' values, with Koji's texts.

use toji_value::{Fault, Map, Value};

/// The text of a value.
///
/// # Errors
/// `ParameterError` for anything but text.
pub fn text(value: &Value) -> Result<&str, Fault> {
    match value {
        Value::Str(text) => Ok(text),
        Value::Nil => Err(Fault::parameter("Invalid type, expected type <class 'str'>")),
        other => Err(wrong(other, "str")),
    }
}

/// The text of a value, or nothing for nil.
///
/// # Errors
/// `ParameterError` for anything but text and nil.
pub fn text_opt(value: &Value) -> Result<Option<&str>, Fault> {
    if value.is_nil() { Ok(None) } else { text(value).map(Some) }
}

/// The text that a listing is filtered by; what is false in Python's sense filters nothing.
///
/// # Errors
/// `ParameterError` for anything else but text: Koji's database does not compare a name with a number.
pub fn filter(value: &Value) -> Result<Option<String>, Fault> {
    if value.truthy() { text(value).map(|text| Some(text.to_owned())) } else { Ok(None) }
}

/// The members of a mapping.
///
/// # Errors
/// `ParameterError` for anything but a mapping.
pub fn mapping(value: &Value) -> Result<&Map, Fault> {
    match value {
        Value::Struct(map) => Ok(map),
        Value::Nil => Err(Fault::parameter("Invalid type, expected type <class 'dict'>")),
        other => Err(wrong(other, "dict")),
    }
}

/// The items of a list.
///
/// # Errors
/// `ParameterError` for anything but a list.
pub fn list(value: &Value) -> Result<&[Value], Fault> {
    match value {
        Value::Array(items) => Ok(items),
        Value::Nil => Err(Fault::parameter("Invalid type, expected type <class 'list'>")),
        other => Err(wrong(other, "list")),
    }
}

/// The whole number that a value stands for, as Python's `int` reads it.
///
/// # Errors
/// `ParameterError` for anything that is no number.
pub fn whole(value: &Value) -> Result<i64, Fault> {
    let number = match value {
        Value::Nil => return Err(Fault::parameter("Invalid type, expected type <class 'int'>")),
        Value::Int(n) => Some(*n),
        Value::Bool(b) => Some(i64::from(*b)),
        Value::Double(d) => Some(*d as i64),
        Value::Str(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| wrong(value, "int"))
}

fn wrong(value: &Value, expected: &str) -> Fault {
    let (shown, kind) = (value.display(), value.type_name());
    Fault::parameter(format!(
        "Invalid type for value '{shown}': <class '{kind}'>, expected type <class '{expected}'>"
    ))
}
