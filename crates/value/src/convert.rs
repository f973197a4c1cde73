//! Conversion between [`Value`] and Rust types, and Python's `repr`.

use crate::{Fault, Map, Value};

/// A type that a parameter or a member can have.
pub trait FromValue: Sized {
    /// Takes the value, or tells why not (`ParameterError`).
    fn from_value(value: Value) -> Result<Self, Fault>;
}

/// A type that an answer can have.
pub trait IntoValue {
    /// The value on the wire.
    fn into_value(self) -> Value;
}

/// The fault of Koji's `convert_value` for a value of a wrong type.
fn wrong_type(value: &Value, expected: &str) -> Fault {
    if value.is_nil() {
        return Fault::parameter(format!("Invalid type, expected type <class '{expected}'>"));
    }
    Fault::parameter(format!(
        "Invalid type for value '{}': <class '{}'>, expected type <class '{expected}'>",
        value.display(),
        value.type_name()
    ))
}

impl FromValue for Value {
    fn from_value(value: Value) -> Result<Self, Fault> {
        Ok(value)
    }
}

/// Truth is Python's: Koji's clients send 0, 1, None and text for switches.
impl FromValue for bool {
    fn from_value(value: Value) -> Result<Self, Fault> {
        Ok(value.truthy())
    }
}

/// A truth value that Koji casts with `bool()`: nil is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Truth(pub bool);

impl FromValue for Truth {
    fn from_value(value: Value) -> Result<Self, Fault> {
        if value.is_nil() { Err(wrong_type(&value, "bool")) } else { Ok(Truth(value.truthy())) }
    }
}

impl IntoValue for Truth {
    fn into_value(self) -> Value {
        Value::Bool(self.0)
    }
}

/// Integers also come as text of digits, as doubles and as booleans (Koji casts with `int()`).
impl FromValue for i64 {
    fn from_value(value: Value) -> Result<Self, Fault> {
        match &value {
            Value::Int(i) => Ok(*i),
            Value::Bool(b) => Ok(i64::from(*b)),
            Value::Double(d) if d.is_finite() && d.abs() < 9e18 => Ok(*d as i64),
            Value::Str(s) => s.trim().parse().map_err(|_| wrong_type(&value, "int")),
            _ => Err(wrong_type(&value, "int")),
        }
    }
}

impl FromValue for f64 {
    fn from_value(value: Value) -> Result<Self, Fault> {
        match &value {
            Value::Str(s) => s.trim().parse().map_err(|_| wrong_type(&value, "float")),
            other => other.as_f64().ok_or_else(|| wrong_type(&value, "float")),
        }
    }
}

/// Numbers are taken as their text (Koji casts with `str()`); containers are refused.
impl FromValue for String {
    fn from_value(value: Value) -> Result<Self, Fault> {
        match value {
            Value::Str(s) | Value::DateTime(s) => Ok(s),
            Value::Int(_) | Value::Double(_) | Value::Bool(_) => Ok(value.display()),
            other => Err(wrong_type(&other, "str")),
        }
    }
}

impl FromValue for Map {
    fn from_value(value: Value) -> Result<Self, Fault> {
        match value {
            Value::Struct(m) => Ok(m),
            other => Err(wrong_type(&other, "dict")),
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Result<Self, Fault> {
        if value.is_nil() { Ok(None) } else { T::from_value(value).map(Some) }
    }
}

impl<T: FromValue> FromValue for Vec<T> {
    fn from_value(value: Value) -> Result<Self, Fault> {
        match value {
            Value::Array(items) => items.into_iter().map(T::from_value).collect(),
            other => Err(wrong_type(&other, "list")),
        }
    }
}

impl IntoValue for Value {
    fn into_value(self) -> Value {
        self
    }
}

impl IntoValue for &Value {
    fn into_value(self) -> Value {
        self.clone()
    }
}

macro_rules! into_value {
    ($($type:ty => |$v:ident| $value:expr;)*) => {
        $(
            impl IntoValue for $type {
                fn into_value(self) -> Value {
                    let $v = self;
                    $value
                }
            }

            impl From<$type> for Value {
                fn from(value: $type) -> Value {
                    value.into_value()
                }
            }
        )*
    };
}

into_value! {
    () => |_v| Value::Nil;
    bool => |v| Value::Bool(v);
    i64 => |v| Value::Int(v);
    i32 => |v| Value::Int(i64::from(v));
    u32 => |v| Value::Int(i64::from(v));
    usize => |v| Value::Int(i64::try_from(v).unwrap_or(i64::MAX));
    u64 => |v| Value::Int(i64::try_from(v).unwrap_or(i64::MAX));
    f64 => |v| Value::Double(v);
    String => |v| Value::Str(v);
    &str => |v| Value::Str(v.to_owned());
    &String => |v| Value::Str(v.clone());
    Map => |v| Value::Struct(v);
}

impl<T: IntoValue> IntoValue for Option<T> {
    fn into_value(self) -> Value {
        self.map_or(Value::Nil, IntoValue::into_value)
    }
}

impl<T: IntoValue> IntoValue for Vec<T> {
    fn into_value(self) -> Value {
        Value::Array(self.into_iter().map(IntoValue::into_value).collect())
    }
}

/// Nesting beyond this is shown as `...`.
const REPR_DEPTH: usize = 64;

/// Writes Python's `repr` of a value.
pub(crate) fn write_repr(value: &Value, out: &mut String, depth: usize) {
    use std::fmt::Write;
    if depth > REPR_DEPTH {
        out.push_str("...");
        return;
    }
    match value {
        Value::Nil => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Int(i) => drop(write!(out, "{i}")),
        Value::Double(d) => out.push_str(&float_repr(*d)),
        Value::Str(s) | Value::DateTime(s) => str_repr(s, out),
        Value::Bytes(b) => {
            out.push('b');
            str_repr(&String::from_utf8_lossy(b), out);
        }
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                write_repr(item, out, depth + 1);
            }
            out.push(']');
        }
        Value::Struct(map) => {
            out.push('{');
            for (i, (key, item)) in map.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                str_repr(key, out);
                out.push_str(": ");
                write_repr(item, out, depth + 1);
            }
            out.push('}');
        }
    }
}

/// A double as Python's `repr()` writes it: shortest digits, `1e+16` from 1e16 on.
pub fn float_repr(d: f64) -> String {
    if d.is_nan() {
        return "nan".into();
    }
    if d.is_infinite() {
        return if d > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let magnitude = d.abs();
    if d == 0.0 || (1e-4..1e16).contains(&magnitude) {
        let text = format!("{d}");
        return if text.contains('.') { text } else { text + ".0" };
    }
    let text = format!("{d:e}");
    match text.split_once('e') {
        Some((digits, exp)) => {
            let (sign, number) = exp.strip_prefix('-').map_or(('+', exp), |n| ('-', n));
            format!("{digits}e{sign}{number:0>2}")
        }
        None => text,
    }
}

fn str_repr(s: &str, out: &mut String) {
    use std::fmt::Write;
    let quote = if s.contains('\'') && !s.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in s.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if (c as u32) < 0x20 || c as u32 == 0x7f => drop(write!(out, "\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push(quote);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{list, map};

    #[test]
    fn repr_is_pythons() {
        let value = list![1, 2.0, "it's", Value::Nil, true, map! {"k" => 1e16}];
        assert_eq!(value.repr(), r#"[1, 2.0, "it's", None, True, {'k': 1e+16}]"#);
        assert_eq!(float_repr(1.5e-7), "1.5e-07");
        assert_eq!(float_repr(1795315988.214251), "1795315988.214251");
    }

    #[test]
    fn integers_are_taken_from_digits_only() {
        assert_eq!(i64::from_value("12".into()), Ok(12));
        let fault = i64::from_value("x".into()).map_err(|f| f.message);
        let text = "Invalid type for value 'x': <class 'str'>, expected type <class 'int'>";
        assert_eq!(fault, Err(text.to_owned()));
    }
}
