//! The fields that a policy decides over.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// One value of the policy data.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    /// Python's `None`: present, but matches nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Text.
    Text(String),
    /// A list, tuple or set.
    List(Vec<Field>),
    /// A dictionary.
    Map(BTreeMap<String, Field>),
}

impl Field {
    /// Truth as Python sees it: empty and zero are false.
    pub fn truth(&self) -> bool {
        match self {
            Field::Null => false,
            Field::Bool(b) => *b,
            Field::Int(n) => *n != 0,
            Field::Float(x) => *x != 0.0,
            Field::Text(s) => !s.is_empty(),
            Field::List(items) => !items.is_empty(),
            Field::Map(entries) => !entries.is_empty(),
        }
    }

    /// The text that patterns are matched against; `None` for null, lists and dictionaries.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Field::Null | Field::List(_) | Field::Map(_) => None,
            Field::Bool(b) => Some(Cow::Borrowed(if *b { "True" } else { "False" })),
            Field::Int(n) => Some(Cow::Owned(n.to_string())),
            Field::Float(x) => Some(Cow::Owned(format!("{x:?}"))),
            Field::Text(s) => Some(Cow::Borrowed(s)),
        }
    }

    /// The number that `compare` uses; truth values count as 0 and 1.
    pub fn number(&self) -> Option<f64> {
        match self {
            Field::Bool(b) => Some(f64::from(u8::from(*b))),
            Field::Int(n) => Some(*n as f64),
            Field::Float(x) => Some(*x),
            _ => None,
        }
    }
}

impl From<&str> for Field {
    fn from(s: &str) -> Self {
        Field::Text(s.to_owned())
    }
}

impl From<String> for Field {
    fn from(s: String) -> Self {
        Field::Text(s)
    }
}

impl From<i64> for Field {
    fn from(n: i64) -> Self {
        Field::Int(n)
    }
}

impl From<f64> for Field {
    fn from(x: f64) -> Self {
        Field::Float(x)
    }
}

impl From<bool> for Field {
    fn from(b: bool) -> Self {
        Field::Bool(b)
    }
}

impl<T: Into<Field>> From<Option<T>> for Field {
    fn from(v: Option<T>) -> Self {
        v.map_or(Field::Null, Into::into)
    }
}

impl<T: Into<Field>> From<Vec<T>> for Field {
    fn from(v: Vec<T>) -> Self {
        Field::List(v.into_iter().map(Into::into).collect())
    }
}

/// Named fields; a field that is absent differs from one that is null.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Data(BTreeMap<String, Field>);

impl Data {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces a field, for chained construction.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Field>) -> Self {
        self.set(name, value);
        self
    }

    /// Adds or replaces a field.
    pub fn set(&mut self, name: &str, value: impl Into<Field>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// The field of this name, when present.
    pub fn get(&self, name: &str) -> Option<&Field> {
        self.0.get(name)
    }

    /// All fields by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Field)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v))
    }
}

impl<K: Into<String>, V: Into<Field>> FromIterator<(K, V)> for Data {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(iter: I) -> Self {
        Data(iter.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}
