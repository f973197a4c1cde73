//! Result rows: values with shared column names.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use toji_value::{Map, Value};

use crate::{Error, Result};

/// How a column's raw content becomes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As the engine gives it.
    Plain,
    /// A truth value.
    Bool,
    /// JSON text or an engine's own JSON.
    Json,
    /// A moment.
    Time,
}

/// Names and kinds of a statement's result columns, shared by its rows.
#[derive(Debug)]
pub(crate) struct Columns {
    pub(crate) names: Vec<&'static str>,
    pub(crate) kinds: Vec<Kind>,
}

impl Columns {
    /// From result column names (with type suffix) and the kinds that the engine declares.
    pub(crate) fn new<'a>(columns: impl Iterator<Item = (&'a str, Kind)>) -> Arc<Columns> {
        let (names, kinds) = columns.map(|(name, kind)| split_alias(name, kind)).unzip();
        Arc::new(Columns { names, kinds })
    }
}

/// Takes a type suffix off an alias.
fn split_alias(alias: &str, declared: Kind) -> (&'static str, Kind) {
    match alias.rsplit_once(':') {
        Some((name, "bool")) => (intern(name), Kind::Bool),
        Some((name, "json")) => (intern(name), Kind::Json),
        Some((name, "ts")) => (intern(name), Kind::Time),
        _ => (intern(alias), declared),
    }
}

/// A name that lives as long as the program: column names come from statement texts, a bounded set.
fn intern(name: &str) -> &'static str {
    static NAMES: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let names = names.get_or_insert_default();
    if let Some(known) = names.get(name) {
        return known;
    }
    let kept: &'static str = Box::leak(name.to_owned().into_boxed_str());
    names.insert(kept);
    kept
}

/// One row of a result.
#[derive(Clone, Debug)]
pub struct Row {
    pub(crate) columns: Arc<Columns>,
    pub(crate) values: Vec<Value>,
}

impl Row {
    /// The column `name` as a `T`; NULL only fits an `Option` or a [`Value`].
    pub fn get<T: FromColumn>(&self, name: &str) -> Result<T> {
        self.get_at(self.position(name)?)
    }

    /// The column `name`, or nothing if it is NULL.
    pub fn get_opt<T: FromColumn>(&self, name: &str) -> Result<Option<T>> {
        self.get(name)
    }

    /// The column at `index` as a `T`.
    pub fn get_at<T: FromColumn>(&self, index: usize) -> Result<T> {
        let fail = |problem: String| Error::Column {
            column: self
                .columns
                .names
                .get(index)
                .map_or_else(|| index.to_string(), |n| (*n).to_owned()),
            problem,
        };
        let value = self.values.get(index).ok_or_else(|| fail("not in the result".into()))?;
        T::from_column(value)
            .ok_or_else(|| fail(format!("{} where {} was expected", value.type_name(), T::NAME)))
    }

    /// The column `name` as it is; nil if there is no such column.
    pub fn value(&self, name: &str) -> &Value {
        static NIL: Value = Value::Nil;
        self.columns.names.iter().position(|n| *n == name).map_or(&NIL, |i| &self.values[i])
    }

    /// All values in column order.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// Column names in order.
    pub fn names(&self) -> &[&'static str] {
        &self.columns.names
    }

    /// The row as a mapping from column names; costs no copy.
    pub fn into_map(self) -> Map {
        let keys = self.columns.names.iter().map(|n| std::borrow::Cow::Borrowed(*n));
        Map::from_pairs(keys.zip(self.values).collect())
    }

    /// The row as a list.
    pub fn into_values(self) -> Vec<Value> {
        self.values
    }

    fn position(&self, name: &str) -> Result<usize> {
        self.columns.names.iter().position(|n| *n == name).ok_or_else(|| Error::Column {
            column: name.to_owned(),
            problem: "not in the result".into(),
        })
    }
}

/// Types that a column can be read as.
pub trait FromColumn: Sized {
    /// What a message calls the type.
    const NAME: &'static str;

    /// Reads the value, if it fits.
    fn from_column(value: &Value) -> Option<Self>;
}

macro_rules! from_column {
    ($($type:ty, $name:literal, $pattern:pat => $out:expr;)+) => {$(
        impl FromColumn for $type {
            const NAME: &'static str = $name;
            fn from_column(value: &Value) -> Option<Self> {
                match value {
                    $pattern => $out,
                    _ => None,
                }
            }
        }
    )+};
}

from_column! {
    bool, "a truth value", Value::Bool(b) => Some(*b);
    i64, "an integer", Value::Int(i) => Some(*i);
    i32, "a small integer", Value::Int(i) => i32::try_from(*i).ok();
    f64, "a number", v @ (Value::Int(_) | Value::Double(_)) => v.as_f64();
    String, "text", Value::Str(s) => Some(s.clone());
    Vec<u8>, "binary data", Value::Bytes(b) => Some(b.clone());
    Vec<Value>, "a list", Value::Array(a) => Some(a.clone());
    Map, "a mapping", Value::Struct(m) => Some(m.clone());
}

impl FromColumn for Value {
    const NAME: &'static str = "anything";

    fn from_column(value: &Value) -> Option<Self> {
        Some(value.clone())
    }
}

impl<T: FromColumn> FromColumn for Option<T> {
    const NAME: &'static str = T::NAME;

    fn from_column(value: &Value) -> Option<Self> {
        match value {
            Value::Nil => Some(None),
            other => T::from_column(other).map(Some),
        }
    }
}
