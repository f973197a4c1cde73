//! The mapping of the dynamic value: small, ordered, cheap to build.

use std::borrow::Cow;

use crate::{IntoValue, Value};

/// A key of a [`Map`]; names known at compile time cost no allocation.
pub type Key = Cow<'static, str>;

/// An ordered mapping from strings to values; equality ignores the order.
///
/// It is a list inside: the mappings of this system have a few dozen members, and are built far
/// more often than they are searched.
#[derive(Clone, Debug, Default)]
pub struct Map(Vec<(Key, Value)>);

impl Map {
    /// An empty mapping.
    pub fn new() -> Self {
        Map(Vec::new())
    }

    /// An empty mapping with room for `n` members.
    pub fn with_capacity(n: usize) -> Self {
        Map(Vec::with_capacity(n))
    }

    /// Takes pairs as they come; of a repeated key the last value wins.
    pub fn from_pairs(mut pairs: Vec<(Key, Value)>) -> Self {
        if has_duplicates(&pairs) {
            let mut seen = std::collections::HashSet::new();
            pairs.reverse();
            pairs.retain(|(key, _)| seen.insert(key.clone()));
            pairs.reverse();
        }
        Map(pairs)
    }

    /// Takes pairs whose keys are known to differ (columns of a statement).
    pub fn from_distinct(pairs: Vec<(Key, Value)>) -> Self {
        Map(pairs)
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The member `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    /// The member `key` for changing.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.0.iter_mut().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    /// The member `key`, or nil.
    pub fn value(&self, key: &str) -> &Value {
        static NIL: Value = Value::Nil;
        self.get(key).unwrap_or(&NIL)
    }

    /// The integer member `key`.
    pub fn int(&self, key: &str) -> Option<i64> {
        self.get(key).and_then(Value::as_int)
    }

    /// The text member `key`.
    pub fn str(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_str)
    }

    /// Whether the member `key` is there and true (Python's sense).
    pub fn truthy(&self, key: &str) -> bool {
        self.get(key).is_some_and(Value::truthy)
    }

    /// Whether there is a member `key`, nil or not.
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Sets the member `key` and returns what was there.
    pub fn insert(&mut self, key: impl Into<Key>, value: impl IntoValue) -> Option<Value> {
        let key = key.into();
        let value = value.into_value();
        match self.get_mut(&key) {
            Some(slot) => Some(std::mem::replace(slot, value)),
            None => {
                self.0.push((key, value));
                None
            }
        }
    }

    /// Takes the member `key` out.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let at = self.0.iter().position(|(k, _)| k == key)?;
        Some(self.0.remove(at).1)
    }

    /// Sets every member of `other` here.
    pub fn extend(&mut self, other: Map) {
        for (key, value) in other.0 {
            self.insert(key, value);
        }
    }

    /// The members in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &Value)> {
        self.0.iter().map(|(k, v)| (k.as_ref(), v))
    }

    /// The keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(k, _)| k.as_ref())
    }
}

/// Short lists are compared pairwise, long ones (a hostile caller's) through a set.
fn has_duplicates(pairs: &[(Key, Value)]) -> bool {
    if pairs.len() <= 16 {
        return (1..pairs.len()).any(|i| pairs[..i].iter().any(|(k, _)| *k == pairs[i].0));
    }
    let mut seen = std::collections::HashSet::with_capacity(pairs.len());
    !pairs.iter().all(|(k, _)| seen.insert(k))
}

impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(k, v)| other.get(k) == Some(v))
    }
}

impl IntoIterator for Map {
    type Item = (Key, Value);
    type IntoIter = std::vec::IntoIter<(Key, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromIterator<(Key, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (Key, Value)>>(iter: I) -> Self {
        Map::from_pairs(iter.into_iter().collect())
    }
}
