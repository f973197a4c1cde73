//! The dynamic RPC value, the fault, and the binding of call arguments to typed parameters.
//!
//! Every front door (XML-RPC, JSON-RPC, gRPC) decodes into [`Value`] and encodes from it, and the
//! database decodes its rows straight into it, so that an answer is built once.

mod args;
mod convert;
mod fault;
pub mod json;
mod map;
mod pieces;

pub use args::{Args, Default, Param, ParamKind, Signature};
pub use convert::{FromValue, IntoValue, Truth, float_repr};
pub use fault::{Fault, code};
pub use map::{Key, Map};
pub use pieces::{Pieces, Syntax, write};

/// One value of a call or an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// No value: `<nil/>` in XML-RPC, `null` in JSON, `None` for a Koji client.
    #[default]
    Nil,
    /// A truth value.
    Bool(bool),
    /// An integer; XML-RPC writes it as `<int>` within 32 bits and as `<i8>` beyond.
    Int(i64),
    /// A double.
    Double(f64),
    /// Text.
    Str(String),
    /// Binary data: `<base64>` in XML-RPC.
    Bytes(Vec<u8>),
    /// An XML-RPC `dateTime.iso8601`, kept as its text. Only callers send it; answers carry strings.
    DateTime(String),
    /// A list.
    Array(Vec<Value>),
    /// A mapping from strings to values.
    Struct(Map),
}

impl Value {
    /// The name that a Koji user knows for this value's type (Python's).
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Nil => "NoneType",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Double(_) => "float",
            Value::Str(_) => "str",
            Value::Bytes(_) => "bytes",
            Value::DateTime(_) => "datetime",
            Value::Array(_) => "list",
            Value::Struct(_) => "dict",
        }
    }

    /// Whether this is [`Value::Nil`].
    pub fn is_nil(&self) -> bool {
        matches!(self, Value::Nil)
    }

    /// Truth as Python sees it: nil, false, zero and everything empty are false.
    pub fn truthy(&self) -> bool {
        match self {
            Value::Nil => false,
            Value::Bool(b) => *b,
            Value::Int(i) => *i != 0,
            Value::Double(d) => *d != 0.0,
            Value::Str(s) | Value::DateTime(s) => !s.is_empty(),
            Value::Bytes(b) => !b.is_empty(),
            Value::Array(a) => !a.is_empty(),
            Value::Struct(m) => !m.is_empty(),
        }
    }

    /// The integer, if this is one (booleans are not).
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(i) => Some(*i),
            _ => None,
        }
    }

    /// The number as a double, if this is an integer or a double.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Int(i) => Some(*i as f64),
            Value::Double(d) => Some(*d),
            _ => None,
        }
    }

    /// The truth value, if this is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// The text, if this is text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(s) => Some(s),
            _ => None,
        }
    }

    /// The items, if this is a list.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Value::Array(a) => Some(a),
            _ => None,
        }
    }

    /// The mapping, if this is one.
    pub fn as_struct(&self) -> Option<&Map> {
        match self {
            Value::Struct(m) => Some(m),
            _ => None,
        }
    }

    /// The mapping for changing, if this is one.
    pub fn as_struct_mut(&mut self) -> Option<&mut Map> {
        match self {
            Value::Struct(m) => Some(m),
            _ => None,
        }
    }

    /// The member `key` of a mapping; nil for everything else.
    pub fn get(&self, key: &str) -> &Value {
        static NIL: Value = Value::Nil;
        self.as_struct().and_then(|m| m.get(key)).unwrap_or(&NIL)
    }

    /// The value as Python's `repr()` writes it, for messages that users know.
    pub fn repr(&self) -> String {
        let mut out = String::new();
        convert::write_repr(self, &mut out, 0);
        out
    }

    /// The value as Python's `str()` writes it: text as it is, everything else as [`Value::repr`].
    pub fn display(&self) -> String {
        match self {
            Value::Str(s) => s.clone(),
            other => other.repr(),
        }
    }
}

/// Builds a [`Map`] from `"key" => value` pairs; each value goes through [`IntoValue`].
#[macro_export]
macro_rules! map {
    ($($key:expr => $value:expr),* $(,)?) => {{
        #[allow(unused_mut)]
        let mut map = $crate::Map::new();
        $( map.insert($key, $crate::IntoValue::into_value($value)); )*
        map
    }};
}

/// Builds a list [`Value`]; each item goes through [`IntoValue`].
#[macro_export]
macro_rules! list {
    ($($value:expr),* $(,)?) => {
        $crate::Value::Array(vec![$($crate::IntoValue::into_value($value)),*])
    };
}
