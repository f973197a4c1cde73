//! Text inside elements: characters, references and literals.

use std::borrow::Cow;

use base64::Engine as _;
use toji_value::Value;

use crate::Error;

/// Whether there is only white space.
pub(crate) fn is_blank(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'))
}

/// Whether the declared encoding is UTF-8 or a part of it.
pub(crate) fn is_utf8(name: &str) -> bool {
    ["utf-8", "utf8", "us-ascii", "ascii"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Line ends as XML wants them: CR LF and CR become LF.
pub(crate) fn eol(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n").into() } else { text }
}

/// Whether XML 1.0 has the character.
pub(crate) fn is_xml(c: char) -> bool {
    !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

/// Refuses characters that XML 1.0 has not.
pub(crate) fn allowed(text: Cow<'_, str>) -> Result<Cow<'_, str>, Error> {
    // Nearly every text passes here.
    if !text.bytes().any(|b| b == 0xef || b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r')) {
        return Ok(text);
    }
    match text.chars().find(|c| !is_xml(*c)) {
        None => Ok(text),
        Some(c) => Err(Error::Character(c.into())),
    }
}

/// The text that a reference stands for.
pub(crate) fn reference(name: &str) -> Result<Cow<'static, str>, Error> {
    let Some(number) = name.strip_prefix('#') else {
        return match name {
            "lt" => Ok("<".into()),
            "gt" => Ok(">".into()),
            "amp" => Ok("&".into()),
            "quot" => Ok("\"".into()),
            "apos" => Ok("'".into()),
            _ => Err(Error::Entity(clip(name))),
        };
    };
    let (digits, radix) = number.strip_prefix('x').map_or((number, 10), |hex| (hex, 16));
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Error::Entity(clip(name)));
    }
    let code = u32::from_str_radix(digits, radix).map_err(|_| Error::Entity(clip(name)))?;
    match char::from_u32(code).filter(|c| is_xml(*c)) {
        Some(c) => Ok(c.to_string().into()),
        None => Err(Error::Character(code)),
    }
}

/// A number of any kind; white space around it is ignored, as by Python.
pub(crate) fn number<T: std::str::FromStr>(kind: &'static str, text: &str) -> Result<T, Error> {
    text.trim().parse().map_err(|_| Error::Literal { kind, text: clip(text) })
}

/// `0` or `1`.
pub(crate) fn boolean(text: &str) -> Result<Value, Error> {
    match text.trim() {
        "0" => Ok(Value::Bool(false)),
        "1" => Ok(Value::Bool(true)),
        _ => Err(Error::Literal { kind: "boolean", text: clip(text) }),
    }
}

/// Binary data; white space is ignored.
pub(crate) fn base64(text: &str) -> Result<Value, Error> {
    let packed: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    base64::engine::general_purpose::STANDARD
        .decode(packed)
        .map(Value::Bytes)
        .map_err(|_| Error::Literal { kind: "base64", text: clip(text) })
}

/// The beginning of a foreign text, for a message.
pub(crate) fn clip(text: &str) -> String {
    text.chars().take(40).collect()
}
