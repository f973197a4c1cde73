//! Values bound to the placeholders of a statement.

use toji_value::Value;

use crate::Time;

/// A bound value; the statement's declared type decides how it is sent, a misfit is [`Error::Type`](crate::Error::Type).
#[derive(Clone, Debug, PartialEq)]
pub enum Param {
    /// NULL.
    Null,
    /// A truth value.
    Bool(bool),
    /// Any integer type.
    Int(i64),
    /// A number, or (where a moment is declared) seconds since 1970.
    Float(f64),
    /// Text, or (where a moment is declared) ISO text.
    Text(String),
    /// Binary data.
    Bytes(Vec<u8>),
    /// A moment.
    Time(Time),
    /// JSON, also in a text column.
    Json(Value),
    /// A list of integers, for `= ANY($1)`.
    Ints(Vec<i64>),
    /// A list of texts, for `= ANY($1)`.
    Texts(Vec<String>),
}

/// A slice of [`Param`]s from any values that convert into one: `params![id, "name", None::<i64>]`.
#[macro_export]
macro_rules! params {
    () => { &[] as &[$crate::Param] };
    ($($value:expr),+ $(,)?) => { &[$($crate::Param::from($value)),+] as &[$crate::Param] };
}

macro_rules! from {
    ($($type:ty, $value:ident => $param:expr;)+) => {$(
        impl From<$type> for Param {
            fn from($value: $type) -> Self {
                $param
            }
        }
    )+};
}

from! {
    bool, v => Param::Bool(v);
    i64, v => Param::Int(v);
    i32, v => Param::Int(v.into());
    u32, v => Param::Int(v.into());
    f64, v => Param::Float(v);
    &str, v => Param::Text(v.to_owned());
    String, v => Param::Text(v);
    &String, v => Param::Text(v.clone());
    Vec<u8>, v => Param::Bytes(v);
    Time, v => Param::Time(v);
    Value, v => Param::Json(v);
    &Value, v => Param::Json(v.clone());
    Vec<i64>, v => Param::Ints(v);
    &[i64], v => Param::Ints(v.to_vec());
    &Vec<i64>, v => Param::Ints(v.clone());
    Vec<String>, v => Param::Texts(v);
    &[String], v => Param::Texts(v.to_vec());
    &Vec<String>, v => Param::Texts(v.clone());
    &[&str], v => Param::Texts(v.iter().map(|s| (*s).to_owned()).collect());
    Vec<&str>, v => Param::Texts(v.into_iter().map(str::to_owned).collect());
    &Param, v => v.clone();
}

macro_rules! from_ids {
    ($($id:ident)+) => {$(
        impl From<toji_types::$id> for Param {
            fn from(id: toji_types::$id) -> Self {
                Param::Int(id.into())
            }
        }
    )+};
}

from_ids! {
    TaskId BuildId TagId TargetId PackageId HostId UserId ChannelId RepoId RpmId ArchiveId
    BuildrootId ExternalRepoId EventId VolumeId
}

impl<T: Into<Param>> From<Option<T>> for Param {
    fn from(value: Option<T>) -> Self {
        value.map_or(Param::Null, Into::into)
    }
}

impl Param {
    /// A parameter from a caller's scalar: text, number, truth value or nothing; lists and mappings
    /// become JSON.
    pub fn scalar(value: &Value) -> Param {
        match value {
            Value::Nil => Param::Null,
            Value::Bool(b) => Param::Bool(*b),
            Value::Int(i) => Param::Int(*i),
            Value::Double(d) => Param::Float(*d),
            Value::Str(s) | Value::DateTime(s) => Param::Text(s.clone()),
            Value::Bytes(b) => Param::Bytes(b.clone()),
            Value::Array(_) | Value::Struct(_) => Param::Json(value.clone()),
        }
    }
}
