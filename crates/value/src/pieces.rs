//! Writing of a value piece by piece, so that a large answer never stands in memory twice.

use crate::{Key, Map, Value};

/// How a format writes values: scalars as a whole, lists and mappings by their parts.
pub trait Syntax {
    /// Writes what is neither a list nor a mapping.
    fn scalar(&mut self, value: &Value, out: &mut Vec<u8>);
    /// Begins a list.
    fn open_array(&mut self, out: &mut Vec<u8>);
    /// Precedes an item.
    fn item(&mut self, first: bool, out: &mut Vec<u8>);
    /// Ends a list.
    fn close_array(&mut self, out: &mut Vec<u8>);
    /// Begins a mapping, which is shown for what its keys may need.
    fn open_struct(&mut self, map: &Map, out: &mut Vec<u8>);
    /// Precedes the value of a member; `single` if the mapping has no other.
    fn key(&mut self, first: bool, single: bool, key: &str, out: &mut Vec<u8>);
    /// Follows the value of a member.
    fn end_member(&mut self, out: &mut Vec<u8>);
    /// Ends a mapping.
    fn close_struct(&mut self, out: &mut Vec<u8>);
}

/// Writes a value as a whole.
pub fn write<S: Syntax>(value: &Value, syntax: &mut S, out: &mut Vec<u8>) {
    match value {
        Value::Array(items) => {
            syntax.open_array(out);
            for (at, item) in items.iter().enumerate() {
                syntax.item(at == 0, out);
                write(item, syntax, out);
            }
            syntax.close_array(out);
        }
        Value::Struct(map) => {
            syntax.open_struct(map, out);
            for (at, (key, member)) in map.iter().enumerate() {
                syntax.key(at == 0, map.len() == 1, key, out);
                write(member, syntax, out);
                syntax.end_member(out);
            }
            syntax.close_struct(out);
        }
        scalar => syntax.scalar(scalar, out),
    }
}

/// A value on its way out: what is written is given up.
pub struct Pieces<S> {
    syntax: S,
    stack: Vec<Frame>,
    next: Option<Value>,
    tail: &'static [u8],
}

enum Frame {
    Array { items: std::vec::IntoIter<Value>, first: bool },
    Struct { members: std::vec::IntoIter<(Key, Value)>, first: bool, single: bool },
}

impl<S: Syntax> Pieces<S> {
    /// The pieces of a value, and what follows the last one.
    pub fn new(value: Value, syntax: S, tail: &'static [u8]) -> Self {
        Pieces { syntax, stack: Vec::new(), next: Some(value), tail }
    }

    /// Appends to `out` until it has about `enough` bytes; false when nothing is left.
    ///
    /// A single scalar is never cut: a large text makes a large piece.
    pub fn fill(&mut self, out: &mut Vec<u8>, enough: usize) -> bool {
        while out.len() < enough {
            if let Some(value) = self.next.take() {
                self.begin(value, out);
            } else if !self.step(out) {
                out.extend_from_slice(std::mem::take(&mut self.tail));
                return false;
            }
        }
        true
    }

    fn begin(&mut self, value: Value, out: &mut Vec<u8>) {
        match value {
            Value::Array(items) => {
                self.syntax.open_array(out);
                self.stack.push(Frame::Array { items: items.into_iter(), first: true });
            }
            Value::Struct(map) => {
                self.syntax.open_struct(&map, out);
                let single = map.len() == 1;
                let members = map.into_iter();
                self.stack.push(Frame::Struct { members, first: true, single });
            }
            scalar => {
                self.syntax.scalar(&scalar, out);
                self.ended(out);
            }
        }
    }

    /// Goes on with the innermost list or mapping; false when there is none.
    fn step(&mut self, out: &mut Vec<u8>) -> bool {
        match self.stack.last_mut() {
            None => return false,
            Some(Frame::Array { items, first }) => {
                if let Some(item) = items.next() {
                    self.syntax.item(std::mem::replace(first, false), out);
                    self.next = Some(item);
                    return true;
                }
                self.syntax.close_array(out);
            }
            Some(Frame::Struct { members, first, single }) => {
                if let Some((key, member)) = members.next() {
                    self.syntax.key(std::mem::replace(first, false), *single, &key, out);
                    self.next = Some(member);
                    return true;
                }
                self.syntax.close_struct(out);
            }
        }
        self.stack.pop();
        self.ended(out);
        true
    }

    /// A value is complete.
    fn ended(&mut self, out: &mut Vec<u8>) {
        if let Some(Frame::Struct { .. }) = self.stack.last() {
            self.syntax.end_member(out);
        }
    }
}
