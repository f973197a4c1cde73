//! Protocol buffers of values: read within limits, written from the end so that no length is computed beforehand.

use std::cell::Cell;

use toji_value::{Key, Map, Value};

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// The kinds of fields on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire<'a> {
    /// A number of variable length.
    Varint(u64),
    /// Eight bytes.
    Fixed64(u64),
    /// Four bytes.
    Fixed32(u32),
    /// Text, bytes or another message.
    Bytes(&'a [u8]),
}

/// The fields of a message, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The fields in these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Fields(bytes)
    }

    /// The next field, with its number.
    ///
    /// # Errors
    /// When the message is cut off or not well formed; groups are refused.
    pub fn read(&mut self) -> Result<Option<(u32, Wire<'a>)>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).map_err(|_| Malformed("field number too large"))?;
        if number == 0 {
            return Err(Malformed("field number 0"));
        }
        let wire = match key & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(u64::from_le_bytes(self.fixed()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| CUT)?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Fixed32(u32::from_le_bytes(self.fixed()?)),
            _ => return Err(Malformed("unknown wire type")),
        };
        Ok(Some((number, wire)))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(CUT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| CUT)
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for at in 0..10 {
            let byte = *self.0.get(at).ok_or(CUT)?;
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                self.0 = &self.0[at + 1..];
                return Ok(value);
            }
        }
        Err(Malformed("number too long"))
    }
}

const CUT: Malformed = Malformed("message cut off");
const WRONG: Malformed = Malformed("field of a wrong type");

impl<'a> Wire<'a> {
    /// The integer in it.
    ///
    /// # Errors
    /// When it is something else; so for the others.
    pub fn int(self) -> Result<i64, Malformed> {
        match self {
            Wire::Varint(number) => Ok(number as i64),
            _ => Err(WRONG),
        }
    }

    /// The double in it.
    pub fn double(self) -> Result<f64, Malformed> {
        match self {
            Wire::Fixed64(bits) => Ok(f64::from_bits(bits)),
            _ => Err(WRONG),
        }
    }

    /// The bytes in it.
    pub fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Wire::Bytes(bytes) => Ok(bytes),
            _ => Err(WRONG),
        }
    }

    /// The text in it.
    pub fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed("text that is not UTF-8"))
    }
}

/// What is left of the limits on values.
#[derive(Debug)]
pub struct Budget(Cell<usize>);

/// Nesting of lists and structs.
const DEPTH: usize = 64;

impl Budget {
    /// For what anybody may send to a server.
    pub fn call() -> Self {
        Budget(Cell::new(2_000_000))
    }

    /// For what a server that was chosen by the user answers.
    pub fn answer() -> Self {
        Budget(Cell::new(usize::MAX))
    }

    fn spend(&self) -> Result<(), Malformed> {
        let left = self.0.get().checked_sub(1).ok_or(Malformed("too many values"))?;
        self.0.set(left);
        Ok(())
    }

    /// A `Value`.
    ///
    /// # Errors
    /// When it is malformed or beyond the limits; so for the others.
    pub fn value(&self, bytes: &[u8]) -> Result<Value, Malformed> {
        self.value_at(bytes, DEPTH)
    }

    /// A `Struct`.
    pub fn members(&self, bytes: &[u8]) -> Result<Map, Malformed> {
        self.members_at(bytes, DEPTH)
    }

    /// A `List`.
    pub fn items(&self, bytes: &[u8]) -> Result<Vec<Value>, Malformed> {
        self.items_at(bytes, DEPTH)
    }

    /// An entry of `map<string, Value>`.
    pub fn entry(&self, bytes: &[u8]) -> Result<(Key, Value), Malformed> {
        self.entry_at(bytes, DEPTH)
    }

    fn value_at(&self, bytes: &[u8], depth: usize) -> Result<Value, Malformed> {
        self.spend()?;
        let depth = depth.checked_sub(1).ok_or(Malformed("nested too deeply"))?;
        let mut fields = Fields::new(bytes);
        let mut value = Value::Nil;
        while let Some((number, wire)) = fields.read()? {
            value = match number {
                1 => Value::Nil,
                2 => Value::Bool(wire.int()? != 0),
                3 => Value::Int(wire.int()?),
                4 => Value::Double(wire.double()?),
                5 => Value::Str(wire.text()?.to_owned()),
                6 => Value::Bytes(wire.bytes()?.to_vec()),
                7 => Value::DateTime(wire.text()?.to_owned()),
                8 => Value::Array(self.items_at(wire.bytes()?, depth)?),
                9 => Value::Struct(self.members_at(wire.bytes()?, depth)?),
                _ => value,
            };
        }
        Ok(value)
    }

    fn items_at(&self, bytes: &[u8], depth: usize) -> Result<Vec<Value>, Malformed> {
        let mut fields = Fields::new(bytes);
        let mut items = Vec::new();
        while let Some((number, wire)) = fields.read()? {
            if number == 1 {
                items.push(self.value_at(wire.bytes()?, depth)?);
            }
        }
        Ok(items)
    }

    fn members_at(&self, bytes: &[u8], depth: usize) -> Result<Map, Malformed> {
        let mut fields = Fields::new(bytes);
        let mut pairs = Vec::new();
        while let Some((number, wire)) = fields.read()? {
            if number == 1 {
                pairs.push(self.entry_at(wire.bytes()?, depth)?);
            }
        }
        Ok(Map::from_pairs(pairs))
    }

    fn entry_at(&self, bytes: &[u8], depth: usize) -> Result<(Key, Value), Malformed> {
        let mut fields = Fields::new(bytes);
        let (mut key, mut value) = (Key::default(), Value::Nil);
        while let Some((number, wire)) = fields.read()? {
            match number {
                1 => key = wire.text()?.to_owned().into(),
                2 => value = self.value_at(wire.bytes()?, depth)?,
                _ => {}
            }
        }
        Ok((key, value))
    }
}

/// A message that is written from its end to its beginning.
#[derive(Debug, Default)]
pub struct Back {
    buffer: Vec<u8>,
    /// Where the message begins.
    at: usize,
}

/// Room that a message begins with, in bytes: one row of most tables.
const ROOM: usize = 1024;

impl Back {
    /// The message.
    pub fn as_bytes(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    fn len(&self) -> usize {
        self.buffer.len() - self.at
    }

    /// The message, with what gRPC has before it: not compressed, and so long.
    pub fn framed(mut self) -> Framed {
        let length = u32::try_from(self.len()).unwrap_or(u32::MAX);
        self.put(&length.to_be_bytes());
        self.put(&[0]);
        Framed { buffer: self.buffer, at: self.at }
    }

    fn put(&mut self, bytes: &[u8]) {
        if bytes.len() > self.at {
            let used = self.len();
            let room = (used + bytes.len()).max(ROOM);
            let mut larger = vec![0; used + room];
            larger[room..].copy_from_slice(self.as_bytes());
            (self.buffer, self.at) = (larger, room);
        }
        let begin = self.at - bytes.len();
        self.buffer[begin..self.at].copy_from_slice(bytes);
        self.at = begin;
    }

    fn varint(&mut self, mut value: u64) {
        let mut bytes = [0; 10];
        let mut length = 0;
        loop {
            bytes[length] = (value & 0x7f) as u8 | 0x80;
            length += 1;
            value >>= 7;
            if value == 0 {
                break;
            }
        }
        bytes[length - 1] &= 0x7f;
        self.put(&bytes[..length]);
    }

    fn key(&mut self, number: u32, kind: u64) {
        self.varint(u64::from(number) << 3 | kind);
    }

    /// An integer or a truth value.
    pub fn int(&mut self, number: u32, value: i64) {
        self.varint(value as u64);
        self.key(number, 0);
    }

    /// A double.
    pub fn double(&mut self, number: u32, value: f64) {
        self.put(&value.to_bits().to_le_bytes());
        self.key(number, 1);
    }

    /// Text or bytes.
    pub fn bytes(&mut self, number: u32, value: &[u8]) {
        self.put(value);
        self.varint(value.len() as u64);
        self.key(number, 2);
    }

    /// A message whose fields `write` writes, the last one first.
    pub fn message(&mut self, number: u32, write: impl FnOnce(&mut Self)) {
        let before = self.len();
        write(self);
        self.varint((self.len() - before) as u64);
        self.key(number, 2);
    }

    /// A `Value`.
    pub fn value(&mut self, number: u32, value: &Value) {
        self.message(number, |out| out.kind(value));
    }

    /// The fields of a `Value`.
    pub fn kind(&mut self, value: &Value) {
        match value {
            Value::Nil => self.int(1, 0),
            Value::Bool(b) => self.int(2, i64::from(*b)),
            Value::Int(i) => self.int(3, *i),
            Value::Double(d) => self.double(4, *d),
            Value::Str(s) => self.bytes(5, s.as_bytes()),
            Value::Bytes(b) => self.bytes(6, b),
            Value::DateTime(s) => self.bytes(7, s.as_bytes()),
            Value::Array(items) => self.message(8, |out| out.items(1, items)),
            Value::Struct(map) => self.message(9, |out| out.members(1, map)),
        }
    }

    /// `repeated Value`.
    pub fn items(&mut self, number: u32, items: &[Value]) {
        items.iter().rev().for_each(|item| self.value(number, item));
    }

    /// `map<string, Value>`.
    pub fn members(&mut self, number: u32, map: &Map) {
        for (key, value) in map.iter().rev() {
            self.message(number, |out| {
                out.value(2, value);
                out.bytes(1, key.as_bytes());
            });
        }
    }
}

/// A message as it is sent.
#[derive(Debug, Default)]
pub struct Framed {
    /// The frame, from `at` on.
    pub buffer: Vec<u8>,
    /// Where it begins.
    pub at: usize,
}

impl Framed {
    /// The frame.
    pub fn as_bytes(&self) -> &[u8] {
        &self.buffer[self.at..]
    }
}

/// The entry for fuzzers: whatever is read comes back from what is written of it.
#[doc(hidden)]
pub fn fuzz(data: &[u8]) {
    let Ok(value) = Budget::call().value(data) else { return };
    let mut out = Back::default();
    out.kind(&value);
    let again = Budget::call().value(out.as_bytes());
    // As text, because a double may be no number.
    assert_eq!(format!("{again:?}"), format!("{:?}", Ok::<_, Malformed>(value)));
}
