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

fn wrong(value: &Value, expected: &str) -> Fault {
    let (shown, kind) = (value.display(), value.type_name());
    Fault::parameter(format!(
        "Invalid type for value '{shown}': <class '{kind}'>, expected type <class '{expected}'>"
    ))
}
