//! Reading of calls and responses.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::Event;
use toji_value::{Fault, Key, Map, Value};

use crate::text::{allowed, base64, boolean, clip, eol, is_blank, is_utf8, number, reference};
use crate::{Answer, Error};

/// How much of a document is taken.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Length of the document.
    pub bytes: usize,
    /// Nesting of arrays and structs.
    pub depth: usize,
    /// Number of XML elements.
    pub elements: usize,
}

impl Limits {
    /// For what anybody may send to a server.
    pub const CALL: Limits = Limits { bytes: 64 << 20, depth: 64, elements: 2_000_000 };
    /// For what a server that was chosen by the user answers.
    pub const RESPONSE: Limits = Limits { bytes: 2 << 30, depth: 128, elements: 100_000_000 };
}

/// Reads a `methodCall`: the name and the parameters by position.
pub fn parse_call(document: &[u8], limits: &Limits) -> Result<(String, Vec<Value>), Error> {
    let mut source = Source::new(document, limits)?;
    source.open(Tag::MethodCall)?;
    source.open(Tag::MethodName)?;
    let method = source.text()?.trim().to_owned();
    let params = match source.child("params")? {
        None => Vec::new(),
        Some(Tag::Params) => {
            let params = source.params()?;
            source.close()?;
            params
        }
        Some(other) => return Err(unexpected(other, "params")),
    };
    source.end()?;
    Ok((method, params))
}

/// Reads a `methodResponse`: the result, or the fault.
pub fn parse_response(document: &[u8], limits: &Limits) -> Result<Answer, Error> {
    let mut source = Source::new(document, limits)?;
    source.open(Tag::MethodResponse)?;
    let answer = match source.child("params or fault")? {
        Some(Tag::Params) => {
            let mut params = source.params()?;
            match (params.pop(), params.is_empty()) {
                (Some(value), true) => Ok(value),
                _ => return Err(wrong("a number of results other than one", "one result")),
            }
        }
        Some(Tag::Fault) => {
            source.open(Tag::Value)?;
            let value = source.value(0)?;
            source.close()?;
            Err(fault(value)?)
        }
        Some(other) => return Err(unexpected(other, "params or fault")),
        None => return Err(wrong("an empty response", "params or fault")),
    };
    source.close()?;
    source.end()?;
    Ok(answer)
}

fn fault(value: Value) -> Result<Fault, Error> {
    let code = value.get("faultCode").as_int().and_then(|code| i32::try_from(code).ok());
    let message = value.get("faultString").as_str();
    match (code, message) {
        (Some(code), Some(message)) => Ok(Fault { code, message: message.to_owned() }),
        _ => Err(wrong("a struct that is no fault", "faultCode and faultString")),
    }
}

/// The elements of XML-RPC; a prefix is ignored, as Python does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tag {
    MethodCall,
    MethodName,
    MethodResponse,
    Fault,
    Params,
    Param,
    Value,
    Nil,
    Boolean,
    Int,
    Double,
    String,
    DateTime,
    Base64,
    Array,
    Data,
    Struct,
    Member,
    Name,
}

impl Tag {
    fn of(name: &str) -> Option<Tag> {
        Some(match name {
            "value" => Tag::Value,
            "string" => Tag::String,
            "int" | "i4" | "i8" | "i1" | "i2" | "bigint" | "biginteger" => Tag::Int,
            "member" => Tag::Member,
            "name" => Tag::Name,
            "nil" => Tag::Nil,
            "struct" => Tag::Struct,
            "array" => Tag::Array,
            "data" => Tag::Data,
            "boolean" => Tag::Boolean,
            "double" | "float" => Tag::Double,
            "base64" => Tag::Base64,
            "dateTime.iso8601" => Tag::DateTime,
            "param" => Tag::Param,
            "params" => Tag::Params,
            "methodCall" => Tag::MethodCall,
            "methodName" => Tag::MethodName,
            "methodResponse" => Tag::MethodResponse,
            "fault" => Tag::Fault,
            _ => return None,
        })
    }
}

enum Token<'a> {
    Start(Tag),
    End,
    Text(Cow<'a, str>),
}

struct Source<'a> {
    xml: Reader<&'a [u8]>,
    limits: Limits,
    elements: usize,
}

impl<'a> Source<'a> {
    fn new(document: &'a [u8], limits: &Limits) -> Result<Self, Error> {
        if document.len() > limits.bytes {
            return Err(Error::TooLong(limits.bytes));
        }
        let text = std::str::from_utf8(document).map_err(|_| Error::Encoding)?;
        let mut xml = Reader::from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
        xml.config_mut().expand_empty_elements = true;
        Ok(Source { xml, limits: *limits, elements: 0 })
    }

    /// The next token; `None` at the end of the document.
    fn next(&mut self) -> Result<Option<Token<'a>>, Error> {
        loop {
            let event = self.xml.read_event().map_err(|e| self.malformed(&e))?;
            return Ok(Some(match event {
                Event::Start(start) | Event::Empty(start) => {
                    self.elements += 1;
                    if self.elements > self.limits.elements {
                        return Err(Error::TooMany(self.limits.elements));
                    }
                    let name = start.local_name();
                    let name = name.as_ref();
                    let tag = Tag::of(name)
                        .ok_or_else(|| wrong(&element(name), "an element of XML-RPC"))?;
                    Token::Start(tag)
                }
                Event::End(_) => Token::End,
                Event::Text(text) => Token::Text(allowed(eol(text.into_inner()))?),
                Event::CData(data) => Token::Text(allowed(eol(data.into_inner()))?),
                Event::GeneralRef(name) => Token::Text(reference(&name)?),
                Event::Comment(_) | Event::PI(_) => continue,
                Event::Decl(decl) => match decl.encoding() {
                    None => continue,
                    Some(Ok(name)) if is_utf8(&name) => continue,
                    Some(_) => return Err(Error::Encoding),
                },
                Event::DocType(_) => return Err(Error::Dtd),
                Event::Eof => return Ok(None),
            }));
        }
    }

    fn malformed(&self, error: &quick_xml::Error) -> Error {
        if matches!(error, quick_xml::Error::Syntax(_)) {
            return Error::Cut;
        }
        Error::Malformed { at: self.xml.error_position(), what: error.to_string() }
    }

    /// The next start tag, or `None` at the end of the surrounding element; skips white space.
    fn child(&mut self, expected: &'static str) -> Result<Option<Tag>, Error> {
        loop {
            match self.next()? {
                Some(Token::Start(tag)) => return Ok(Some(tag)),
                Some(Token::End) => return Ok(None),
                Some(Token::Text(text)) if is_blank(&text) => {}
                Some(Token::Text(_)) => return Err(wrong("text", expected)),
                None => return Err(Error::Cut),
            }
        }
    }

    fn open(&mut self, tag: Tag) -> Result<(), Error> {
        match self.child(label(tag))? {
            Some(found) if found == tag => Ok(()),
            Some(found) => Err(unexpected(found, label(tag))),
            None => Err(wrong("an end tag", label(tag))),
        }
    }

    /// Takes the end tag of the surrounding element.
    fn close(&mut self) -> Result<(), Error> {
        match self.child("an end tag")? {
            None => Ok(()),
            Some(tag) => Err(unexpected(tag, "an end tag")),
        }
    }

    /// Takes the end of the document.
    fn end(&mut self) -> Result<(), Error> {
        loop {
            match self.next()? {
                None => return Ok(()),
                Some(Token::Text(text)) if is_blank(&text) => {}
                Some(_) => return Err(wrong("something after the document", "its end")),
            }
        }
    }

    /// The text up to the end tag.
    fn text(&mut self) -> Result<String, Error> {
        let mut all = String::new();
        loop {
            match self.next()? {
                Some(Token::Text(text)) if all.is_empty() => all = text.into_owned(),
                Some(Token::Text(text)) => all.push_str(&text),
                Some(Token::End) => return Ok(all),
                Some(Token::Start(tag)) => return Err(unexpected(tag, "text")),
                None => return Err(Error::Cut),
            }
        }
    }

    fn params(&mut self) -> Result<Vec<Value>, Error> {
        let mut params = Vec::new();
        while let Some(tag) = self.child("param")? {
            if tag != Tag::Param {
                return Err(unexpected(tag, "param"));
            }
            self.open(Tag::Value)?;
            params.push(self.value(0)?);
            self.close()?;
        }
        Ok(params)
    }

    /// What is between `<value>` and `</value>`, with the end tag.
    fn value(&mut self, depth: usize) -> Result<Value, Error> {
        let mut untyped = String::new();
        loop {
            match self.next()? {
                Some(Token::Text(text)) => untyped.push_str(&text),
                Some(Token::End) => return Ok(Value::Str(untyped)),
                Some(Token::Start(tag)) if is_blank(&untyped) => {
                    let value = self.typed(tag, depth)?;
                    self.close()?;
                    return Ok(value);
                }
                Some(Token::Start(tag)) => return Err(unexpected(tag, "text")),
                None => return Err(Error::Cut),
            }
        }
    }

    fn typed(&mut self, tag: Tag, depth: usize) -> Result<Value, Error> {
        if matches!(tag, Tag::Array | Tag::Struct) && depth >= self.limits.depth {
            return Err(Error::TooDeep(self.limits.depth));
        }
        match tag {
            Tag::String => self.text().map(Value::Str),
            Tag::Int => number("integer", &self.text()?).map(Value::Int),
            Tag::Double => number("double", &self.text()?).map(Value::Double),
            Tag::Boolean => boolean(&self.text()?),
            Tag::DateTime => self.text().map(|text| Value::DateTime(text.trim().to_owned())),
            Tag::Base64 => base64(&self.text()?),
            Tag::Nil => self.close().map(|()| Value::Nil),
            Tag::Array => self.array(depth + 1),
            Tag::Struct => self.members(depth + 1),
            other => Err(unexpected(other, "a type")),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, Error> {
        self.open(Tag::Data)?;
        let mut items = Vec::new();
        while let Some(tag) = self.child("value")? {
            if tag != Tag::Value {
                return Err(unexpected(tag, "value"));
            }
            items.push(self.value(depth)?);
        }
        self.close()?;
        Ok(Value::Array(items))
    }

    fn members(&mut self, depth: usize) -> Result<Value, Error> {
        let mut pairs: Vec<(Key, Value)> = Vec::new();
        while let Some(tag) = self.child("member")? {
            if tag != Tag::Member {
                return Err(unexpected(tag, "member"));
            }
            self.open(Tag::Name)?;
            let name = self.text()?;
            self.open(Tag::Value)?;
            pairs.push((name.into(), self.value(depth)?));
            self.close()?;
        }
        Ok(Value::Struct(Map::from_pairs(pairs)))
    }
}

fn element(name: &str) -> String {
    format!("element '{}'", clip(name))
}

fn wrong(found: &str, expected: &'static str) -> Error {
    Error::Unexpected { found: found.to_owned(), expected }
}

fn unexpected(found: Tag, expected: &'static str) -> Error {
    wrong(label(found), expected)
}

fn label(tag: Tag) -> &'static str {
    match tag {
        Tag::MethodCall => "methodCall",
        Tag::MethodName => "methodName",
        Tag::MethodResponse => "methodResponse",
        Tag::Fault => "fault",
        Tag::Params => "params",
        Tag::Param => "param",
        Tag::Value => "value",
        Tag::Nil => "nil",
        Tag::Boolean => "boolean",
        Tag::Int => "int",
        Tag::Double => "double",
        Tag::String => "string",
        Tag::DateTime => "dateTime.iso8601",
        Tag::Base64 => "base64",
        Tag::Array => "array",
        Tag::Data => "data",
        Tag::Struct => "struct",
        Tag::Member => "member",
        Tag::Name => "name",
    }
}
