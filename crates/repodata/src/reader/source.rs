//! XML as a stream of opened and closed elements, with attributes and text at hand.

use std::io::{self, BufRead, Read};

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::ReadLimits;
use crate::{Error, Result};

/// An element begins or ends; names are without prefix.
pub(super) enum Token<'a> {
    /// Its attributes are in [`Source::attribute`].
    Open(&'a str),
    /// With the text since the last tag.
    Close(&'a str, &'a str),
    /// The end of the document.
    End,
}

/// A document being read.
pub(super) struct Source<R: BufRead> {
    xml: Reader<Capped<R>>,
    limits: ReadLimits,
    buffer: Vec<u8>,
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    fresh: bool,
}

impl<R: BufRead> Source<R> {
    pub(super) fn new(source: R, limits: ReadLimits) -> Self {
        let capped = Capped { source, total: limits.total, token: limits.token };
        let mut xml = Reader::from_reader(capped);
        xml.config_mut().expand_empty_elements = true;
        Self {
            xml,
            limits,
            buffer: Vec::new(),
            name: String::new(),
            attributes: Vec::new(),
            text: String::new(),
            fresh: true,
        }
    }

    pub(super) fn limits(&self) -> &ReadLimits {
        &self.limits
    }

    pub(super) fn next(&mut self) -> Result<Token<'_>> {
        if std::mem::replace(&mut self.fresh, false) {
            self.text.clear();
        }
        loop {
            self.buffer.clear();
            self.xml.get_mut().token = self.limits.token;
            match self.xml.read_event_into(&mut self.buffer)? {
                Event::Start(start) => {
                    self.fresh = true;
                    set_name(&mut self.name, start.local_name().as_ref());
                    read_attributes(&start, &mut self.attributes)?;
                    return Ok(Token::Open(&self.name));
                }
                Event::End(end) => {
                    self.fresh = true;
                    set_name(&mut self.name, end.local_name().as_ref());
                    return Ok(Token::Close(&self.name, &self.text));
                }
                Event::Text(text) => self.text.push_str(&text.xml10_content()),
                Event::CData(text) => self.text.push_str(&text.xml10_content()),
                Event::GeneralRef(reference) => push_reference(&mut self.text, &reference)?,
                Event::DocType(_) => return Err(Error::Content("document type declaration")),
                Event::Eof => return Ok(Token::End),
                Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            }
            if self.text.len() as u64 > self.limits.token {
                return Err(Error::Limit("length of text"));
            }
        }
    }

    /// An attribute of the element that was opened last, by its name with prefix.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

fn set_name(name: &mut String, from: &str) {
    name.clear();
    name.push_str(from);
}

fn read_attributes(start: &BytesStart<'_>, into: &mut Vec<(String, String)>) -> Result<()> {
    into.clear();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(quick_xml::Error::from)?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0)?;
        into.push((attribute.key.as_ref().to_owned(), value.into_owned()));
    }
    Ok(())
}

fn push_reference(text: &mut String, reference: &BytesRef<'_>) -> Result<()> {
    if let Some(c) = reference.resolve_char_ref()? {
        text.push(c);
        return Ok(());
    }
    let entity = resolve_predefined_entity(&reference.xml10_content())
        .ok_or(Error::Content("unknown entity"))?;
    text.push_str(entity);
    Ok(())
}

/// Fails when more than `total` bytes in all, or `token` bytes since it was last set, are read.
struct Capped<R> {
    source: R,
    total: u64,
    token: u64,
}

impl<R: BufRead> Read for Capped<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let taken = available.len().min(out.len());
        out[..taken].copy_from_slice(&available[..taken]);
        self.consume(taken);
        Ok(taken)
    }
}

impl<R: BufRead> BufRead for Capped<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let room = self.total.min(self.token);
        let buffer = self.source.fill_buf()?;
        if buffer.is_empty() {
            return Ok(buffer);
        }
        if room == 0 {
            return Err(io::Error::other("metadata is longer than allowed"));
        }
        let len = usize::try_from(room).unwrap_or(usize::MAX).min(buffer.len());
        Ok(&buffer[..len])
    }

    fn consume(&mut self, amount: usize) {
        self.total = self.total.saturating_sub(amount as u64);
        self.token = self.token.saturating_sub(amount as u64);
        self.source.consume(amount);
    }
}
