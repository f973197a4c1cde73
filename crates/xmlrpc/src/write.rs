//! Writing of calls and responses.

use std::io::Write as _;

use base64::Engine as _;
use toji_value::{Fault, Map, Pieces, Syntax, Value, float_repr, map};

use crate::text::is_xml;

const HEADER: &[u8] = b"<?xml version='1.0'?>\n";

/// Appends a `methodResponse` with a result.
pub fn write_response(value: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(HEADER);
    out.extend_from_slice(b"<methodResponse>\n");
    params(std::slice::from_ref(value), out);
    out.extend_from_slice(b"</methodResponse>\n");
}

/// Appends a `methodResponse` with a fault.
pub fn write_fault(fault: &Fault, out: &mut Vec<u8>) {
    out.extend_from_slice(HEADER);
    out.extend_from_slice(b"<methodResponse>\n<fault>\n");
    let members = map! {"faultCode" => fault.code, "faultString" => fault.message.as_str()};
    write(&Value::Struct(members), out);
    out.extend_from_slice(b"</fault>\n</methodResponse>\n");
}

/// Appends a `methodCall`.
pub fn write_call(method: &str, args: &[Value], out: &mut Vec<u8>) {
    out.extend_from_slice(HEADER);
    out.extend_from_slice(b"<methodCall>\n<methodName>");
    text(method, out);
    out.extend_from_slice(b"</methodName>\n");
    params(args, out);
    out.extend_from_slice(b"</methodCall>\n");
}

fn params(values: &[Value], out: &mut Vec<u8>) {
    out.extend_from_slice(b"<params>\n");
    for value in values {
        out.extend_from_slice(b"<param>\n");
        write(value, out);
        out.extend_from_slice(b"</param>\n");
    }
    out.extend_from_slice(b"</params>\n");
}

fn write(value: &Value, out: &mut Vec<u8>) {
    toji_value::write(value, &mut Xml, out);
}

/// Begins a response in `out`; the rest comes piece by piece.
pub fn response_pieces(value: Value, out: &mut Vec<u8>) -> Pieces<Xml> {
    out.extend_from_slice(HEADER);
    out.extend_from_slice(b"<methodResponse>\n<params>\n<param>\n");
    Pieces::new(value, Xml, b"</param>\n</params>\n</methodResponse>\n")
}

/// The elements of values.
#[derive(Clone, Copy, Debug)]
pub struct Xml;

impl Syntax for Xml {
    fn scalar(&mut self, value: &Value, out: &mut Vec<u8>) {
        match value {
            Value::Bool(b) => {
                let digit: &[u8] = if *b { b"1" } else { b"0" };
                for part in [b"<value><boolean>", digit, b"</boolean></value>\n"] {
                    out.extend_from_slice(part);
                }
            }
            Value::Int(i) => {
                let tag = if i32::try_from(*i).is_ok() { "int" } else { "i8" };
                // Writing to memory cannot fail.
                let _ = writeln!(out, "<value><{tag}>{i}</{tag}></value>");
            }
            Value::Double(d) => {
                let _ = writeln!(out, "<value><double>{}</double></value>", float_repr(*d));
            }
            Value::Str(s) => {
                out.extend_from_slice(b"<value><string>");
                text(s, out);
                out.extend_from_slice(b"</string></value>\n");
            }
            Value::DateTime(s) => {
                out.extend_from_slice(b"<value><dateTime.iso8601>");
                text(s, out);
                out.extend_from_slice(b"</dateTime.iso8601></value>\n");
            }
            Value::Bytes(bytes) => base64(bytes, out),
            // Python's writer has no line end here.
            Value::Nil | Value::Array(_) | Value::Struct(_) => {
                out.extend_from_slice(b"<value><nil/></value>");
            }
        }
    }

    fn open_array(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"<value><array><data>\n");
    }

    fn item(&mut self, _: bool, _: &mut Vec<u8>) {}

    fn close_array(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"</data></array></value>\n");
    }

    fn open_struct(&mut self, _: &Map, out: &mut Vec<u8>) {
        out.extend_from_slice(b"<value><struct>\n");
    }

    fn key(&mut self, _: bool, _: bool, key: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"<member>\n<name>");
        text(key, out);
        out.extend_from_slice(b"</name>\n");
    }

    fn end_member(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"</member>\n");
    }

    fn close_struct(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"</struct></value>\n");
    }
}

/// Lines of 76 characters, as Python's `base64.encodebytes`.
fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"<value><base64>\n");
    let mut line = [0; 76];
    for chunk in bytes.chunks(57) {
        // 57 bytes always fit into 76 characters.
        let n =
            base64::engine::general_purpose::STANDARD.encode_slice(chunk, &mut line).unwrap_or(0);
        out.extend_from_slice(&line[..n]);
        out.push(b'\n');
    }
    out.extend_from_slice(b"</base64></value>\n");
}

/// Bytes that [`text`] has to look at; 0xEF begins U+FFFE and U+FFFF.
const SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 0x20 {
        table[b] = b != 0x09 && b != 0x0a;
        b += 1;
    }
    table[b'&' as usize] = true;
    table[b'<' as usize] = true;
    table[b'>' as usize] = true;
    table[0xef] = true;
    table
};

fn text(s: &str, out: &mut Vec<u8>) {
    let bytes = s.as_bytes();
    let mut done = 0;
    let mut at = 0;
    while let Some(step) = bytes[at..].iter().position(|b| SPECIAL[usize::from(*b)]) {
        at += step;
        let c = s[at..].chars().next().unwrap_or_default();
        let replacement: &[u8] = match c {
            '&' => b"&amp;",
            '<' => b"&lt;",
            '>' => b"&gt;",
            '\r' => b"&#13;",
            c if is_xml(c) => {
                at += c.len_utf8();
                continue;
            }
            _ => b"",
        };
        out.extend_from_slice(&bytes[done..at]);
        out.extend_from_slice(replacement);
        at += c.len_utf8();
        done = at;
    }
    out.extend_from_slice(&bytes[done..]);
}
