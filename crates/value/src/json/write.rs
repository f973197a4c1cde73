//! JSON text of values.

use std::io::Write as _;

use base64::Engine as _;

use crate::{Map, Syntax, Value};

/// The syntax of JSON, with what JSON lacks as [`super`] tells.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl Syntax for Json {
    fn scalar(&mut self, value: &Value, out: &mut Vec<u8>) {
        match value {
            Value::Bool(true) => out.extend_from_slice(b"true"),
            Value::Bool(false) => out.extend_from_slice(b"false"),
            // Writing to memory cannot fail.
            Value::Int(i) => drop(write!(out, "{i}")),
            Value::Double(d) if d.is_finite() => text_of(d, out),
            Value::Double(d) => {
                let name = match (d.is_nan(), *d > 0.0) {
                    (true, _) => "NaN",
                    (_, true) => "Infinity",
                    (_, false) => "-Infinity",
                };
                wrap("$double", name, out);
            }
            Value::Str(s) => text_of(s, out),
            Value::DateTime(s) => wrap("$datetime", s, out),
            Value::Bytes(b) => {
                wrap("$bytes", &base64::engine::general_purpose::STANDARD.encode(b), out);
            }
            Value::Nil | Value::Array(_) | Value::Struct(_) => out.extend_from_slice(b"null"),
        }
    }

    fn open_array(&mut self, out: &mut Vec<u8>) {
        out.push(b'[');
    }

    fn item(&mut self, first: bool, out: &mut Vec<u8>) {
        if !first {
            out.push(b',');
        }
    }

    fn close_array(&mut self, out: &mut Vec<u8>) {
        out.push(b']');
    }

    fn open_struct(&mut self, _: &Map, out: &mut Vec<u8>) {
        out.push(b'{');
    }

    fn key(&mut self, first: bool, single: bool, key: &str, out: &mut Vec<u8>) {
        if !first {
            out.push(b',');
        }
        if single && key.starts_with('$') {
            text_of(&format!("${key}"), out);
        } else {
            text_of(key, out);
        }
        out.push(b':');
    }

    fn end_member(&mut self, _: &mut Vec<u8>) {}

    fn close_struct(&mut self, out: &mut Vec<u8>) {
        out.push(b'}');
    }
}

/// Text and finite numbers always have a form in JSON.
fn text_of<T: serde::Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    let _ = serde_json::to_writer(out, value);
}

fn wrap(name: &str, text: &str, out: &mut Vec<u8>) {
    out.push(b'{');
    text_of(name, out);
    out.push(b':');
    text_of(text, out);
    out.push(b'}');
}
