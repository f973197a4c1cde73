//! Values from JSON text, within limits.

use std::cell::Cell;
use std::fmt;

use base64::Engine as _;
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};

use crate::{Key, Map, Value};

/// How much of a document is taken.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Nesting of arrays and objects.
    pub depth: usize,
    /// Number of values, keys among them.
    pub elements: usize,
}

impl Limits {
    /// For what anybody may send to a server.
    pub const CALL: Limits = Limits { depth: 64, elements: 2_000_000 };
}

/// Reads one JSON document.
///
/// # Errors
/// Text for the sender: what is wrong, and where.
pub fn parse(document: &[u8], limits: &Limits) -> Result<Value, serde_json::Error> {
    let left = Cell::new(limits.elements);
    let mut source = serde_json::Deserializer::from_slice(document);
    let value = Seed { left: &left, depth: limits.depth }.deserialize(&mut source)?;
    source.end()?;
    Ok(value)
}

/// What is left of the limits.
#[derive(Clone, Copy)]
struct Seed<'a> {
    left: &'a Cell<usize>,
    depth: usize,
}

impl Seed<'_> {
    fn count<E: de::Error>(&self) -> Result<(), E> {
        let left = self.left.get().checked_sub(1).ok_or_else(|| E::custom("too many values"))?;
        self.left.set(left);
        Ok(())
    }

    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| E::custom("nested too deeply"))?;
        Ok(Seed { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, source: D) -> Result<Value, D::Error> {
        self.count()?;
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        let number = i64::try_from(value).map_err(|_| E::custom("integer beyond 64 bits"))?;
        Ok(Value::Int(number))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Double(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Str(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Str(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let seed = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(seed)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let seed = self.deeper()?;
        let mut pairs: Vec<(Key, Value)> = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            self.count()?;
            pairs.push((key.into(), map.next_value_seed(seed)?));
        }
        if let [(key, _)] = pairs.as_slice()
            && key.starts_with('$')
        {
            return pairs.pop().map_or(Ok(Value::Nil), |(key, value)| marked(key, value));
        }
        Ok(Value::Struct(Map::from_pairs(pairs)))
    }
}

/// An object whose one key begins with `$`: what JSON has no form for.
fn marked<E: de::Error>(key: Key, value: Value) -> Result<Value, E> {
    let text = value.as_str();
    match (key.as_ref(), text) {
        ("$bytes", Some(text)) => {
            let engine = base64::engine::general_purpose::STANDARD;
            engine.decode(text).map(Value::Bytes).map_err(|_| E::custom("$bytes is not base64"))
        }
        ("$datetime", Some(text)) => Ok(Value::DateTime(text.to_owned())),
        ("$double", Some("NaN")) => Ok(Value::Double(f64::NAN)),
        ("$double", Some("Infinity")) => Ok(Value::Double(f64::INFINITY)),
        ("$double", Some("-Infinity")) => Ok(Value::Double(f64::NEG_INFINITY)),
        ("$bytes" | "$datetime" | "$double", _) => Err(E::custom(format!("{key} is not right"))),
        _ => {
            let key = match key.strip_prefix("$$") {
                Some(rest) => format!("${rest}").into(),
                None => key,
            };
            Ok(Value::Struct(Map::from_distinct(vec![(key, value)])))
        }
    }
}
