//! JSON text as Python's `json.dumps` writes it, for columns that other programs read.

use std::fmt::Write;

use toji_value::{Fault, Value, float_repr};

/// The value as JSON text: `{"a": [1, null]}`, non-ASCII escaped.
pub fn dumps(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

/// The value of a JSON text.
///
/// # Errors
/// `GenericError` that begins with `what` for text that is no JSON.
pub fn loads(text: &str, what: &str) -> Result<Value, Fault> {
    let wrong = |_| Fault::generic(format!("{what}: {}", Value::from(text).repr()));
    serde_json::from_str(text).map(Value::from_json).map_err(wrong)
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Nil => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Int(i) => drop(write!(out, "{i}")),
        Value::Double(d) => out.push_str(&float_repr(*d)),
        Value::Str(s) | Value::DateTime(s) => quote(s, out),
        Value::Bytes(b) => quote(&String::from_utf8_lossy(b), out),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                write(item, out);
            }
            out.push(']');
        }
        Value::Struct(map) => {
            out.push('{');
            for (i, (key, item)) in map.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                quote(key, out);
                out.push_str(": ");
                write(item, out);
            }
            out.push('}');
        }
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for unit in text.chars() {
        match unit {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(unit),
            other => {
                for code in other.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{code:04x}");
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use toji_value::{Value, list, map};

    use super::{dumps, loads};

    #[test]
    fn text_is_pythons() {
        let value =
            Value::from(map! {"a" => list![1, 2.0, Value::Nil, true], "ž" => "\"\u{1f600}"});
        let text = dumps(&value);
        assert_eq!(text, r#"{"a": [1, 2.0, null, true], "\u017e": "\"\ud83d\ude00"}"#);
        assert_eq!(loads(&text, "bad"), Ok(value));
        assert_eq!(loads("{", "bad").map_err(|f| f.message), Err("bad: '{'".to_owned()));
    }
}
