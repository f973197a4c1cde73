//! JSON: the text of the front doors, and the looser one of `extra` members and stored requests.
//!
//! The doors lose nothing. Integers are JSON numbers of 64 bits, doubles always have a point or an exponent; what JSON has
//! no form for is an object with one member: `{"$bytes": "base64"}`, `{"$datetime": "20261123T07:00:00"}` and
//! `{"$double": "NaN"}` (`"Infinity"`, `"-Infinity"`). A mapping whose only key begins with `$` has one more there.

mod read;
mod write;

use base64::Engine as _;

pub use read::{Limits, parse};
pub use write::Json;

use crate::{Map, Value};

/// The entry for fuzzers: what is accepted must survive being written, as a whole and by pieces, and read again.
///
/// # Panics
/// When it does not.
#[doc(hidden)]
pub fn fuzz(data: &[u8]) {
    let limits = Limits { depth: 64, elements: 100_000 };
    let Ok(value) = parse(data, &limits) else { return };
    let mut whole = Vec::new();
    crate::write(&value, &mut Json, &mut whole);
    let mut pieces = crate::Pieces::new(value.clone(), Json, b"");
    let (mut parts, mut enough) = (Vec::new(), 16);
    while pieces.fill(&mut parts, enough) {
        enough += 16;
    }
    assert_eq!(parts, whole, "whole and by pieces");
    let again = parse(&whole, &limits);
    // As text, because a double may be no number.
    assert_eq!(format!("{:?}", again.ok()), format!("{:?}", Some(value)));
}

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
    fn the_doors_lose_nothing() {
        let value = list![
            i64::MAX,
            i64::MIN,
            1.0,
            1e300,
            f64::INFINITY,
            f64::NEG_INFINITY,
            "\u{0}\"<é\u{1F600}",
            Value::Bytes(vec![0, 255, 3]),
            Value::DateTime("20261123T07:00:00".into()),
            Value::Struct(map! {"$bytes" => "no bytes"}),
            Value::Struct(map! {"$$x" => 1}),
            Value::Struct(map! {"$x" => 1, "y" => Value::Nil}),
            Value::Struct(map! {}),
            list![]
        ];
        let mut text = Vec::new();
        crate::write(&value, &mut super::Json, &mut text);
        assert_eq!(super::parse(&text, &super::Limits::CALL).unwrap(), value);
        let mut pieces = crate::Pieces::new(value, super::Json, b"\n");
        let (mut whole, mut piece) = (Vec::new(), Vec::new());
        while pieces.fill(&mut piece, 8) {
            whole.append(&mut piece);
        }
        whole.append(&mut piece);
        text.push(b'\n');
        assert_eq!(String::from_utf8(whole), String::from_utf8(text));
    }

    #[test]
    fn limits_hold() {
        let limits = super::Limits { depth: 3, elements: 10 };
        let read = |text: &str| super::parse(text.as_bytes(), &limits).map_err(|e| e.to_string());
        assert!(read("[[[1]]]").is_ok());
        assert!(read("[[[[1]]]]").unwrap_err().contains("nested too deeply"));
        assert!(read("[1,2,3,4,5,6,7,8,9]").is_ok());
        assert!(read("[1,2,3,4,5,6,7,8,9,0]").unwrap_err().contains("too many values"));
        assert!(read(r#"{"a":1,"b":2,"c":3,"d":4,"e":5}"#).is_err(), "keys count");
        assert!(read("18446744073709551615").unwrap_err().contains("beyond 64 bits"));
        for wrong in
            ["", "[", "[1,]", "1 2", r#"{"$bytes":"?"}"#, r#"{"$bytes":1}"#, "NaN", "1e999"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let endless = vec![b'['; 1 << 20];
        assert!(super::parse(&endless, &super::Limits::CALL).is_err());
    }

    #[test]
    fn json_round_trip() {
        let value = Value::Struct(map! {"a" => list![1, 2.5, "x", Value::Nil, true]});
        assert_eq!(Value::from_json(value.to_json()), value);
    }
}
