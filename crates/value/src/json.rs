//! The bridge to JSON: task requests, results and `extra` members are stored as JSON text.

use base64::Engine as _;

use crate::{Map, Value};

impl Value {
    /// The value as JSON; binary data become base64 text, a double that is no number becomes null.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Value::Nil => Json::Null,
            Value::Bool(b) => Json::Bool(*b),
            Value::Int(i) => Json::from(*i),
            Value::Double(d) => serde_json::Number::from_f64(*d).map_or(Json::Null, Json::Number),
            Value::Str(s) | Value::DateTime(s) => Json::String(s.clone()),
            Value::Bytes(b) => Json::String(base64::engine::general_purpose::STANDARD.encode(b)),
            Value::Array(a) => Json::Array(a.iter().map(Value::to_json).collect()),
            Value::Struct(m) => {
                Json::Object(m.iter().map(|(k, v)| (k.to_owned(), v.to_json())).collect())
            }
        }
    }

    /// The value of a JSON document; integers beyond 64 bits become doubles.
    pub fn from_json(json: serde_json::Value) -> Value {
        use serde_json::Value as Json;
        match json {
            Json::Null => Value::Nil,
            Json::Bool(b) => Value::Bool(b),
            Json::Number(n) => {
                n.as_i64().map_or_else(|| Value::Double(n.as_f64().unwrap_or(0.0)), Value::Int)
            }
            Json::String(s) => Value::Str(s),
            Json::Array(a) => Value::Array(a.into_iter().map(Value::from_json).collect()),
            Json::Object(o) => Value::Struct(Map::from_distinct(
                o.into_iter().map(|(k, v)| (k.into(), Value::from_json(v))).collect(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Value, list, map};

    #[test]
    fn json_round_trip() {
        let value = Value::Struct(map! {"a" => list![1, 2.5, "x", Value::Nil, true]});
        assert_eq!(Value::from_json(value.to_json()), value);
    }
}
