//! Single elements and attributes looked up in the text of a package.

use std::ops::Range;

use quick_xml::escape::unescape;

/// The whole of an element, from its `<` to its last `>`.
pub(crate) fn span(xml: &str, name: &str) -> Option<Range<usize>> {
    let tag = tag_span(xml, name)?;
    if xml[tag.clone()].ends_with("/>") {
        return Some(tag);
    }
    let close = format!("</{name}>");
    let end = xml[tag.end..].find(&close)? + tag.end + close.len();
    Some(tag.start..end)
}

/// The first start tag of this name.
pub(super) fn start_tag<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    tag_span(xml, name).map(|span| &xml[span])
}

/// The text of the first element of this name, which holds no others.
pub(super) fn text(xml: &str, name: &str) -> Option<String> {
    let tag = tag_span(xml, name)?;
    if xml[tag.clone()].ends_with("/>") {
        return Some(String::new());
    }
    let rest = &xml[tag.end..];
    unescape(&rest[..rest.find('<')?]).ok().map(|text| text.into_owned())
}

/// The value of an attribute of a start tag.
pub(super) fn attribute(tag: &str, name: &str) -> Option<String> {
    let bytes = tag.as_bytes();
    let mut at = tag.find(|c: char| c.is_ascii_whitespace())?;
    loop {
        let key = at + tag[at..].find(|c: char| !c.is_ascii_whitespace())?;
        let equals = key + tag[key..].find('=')?;
        let quote = equals + 1 + tag[equals + 1..].find(['"', '\''])?;
        let end = quote + 1 + memchr::memchr(bytes[quote], &bytes[quote + 1..])?;
        if tag[key..equals].trim_end() == name {
            return unescape(&tag[quote + 1..end]).ok().map(|text| text.into_owned());
        }
        at = end + 1;
    }
}

fn tag_span(xml: &str, name: &str) -> Option<Range<usize>> {
    let mut from = 0;
    loop {
        let start = from + xml[from..].find('<')?;
        let rest = &xml[start + 1..];
        let named = rest.strip_prefix(name).and_then(|rest| rest.bytes().next());
        if named.is_some_and(|b| b == b'>' || b == b'/' || b.is_ascii_whitespace()) {
            return Some(start..tag_end(xml, start)?);
        }
        from = start + 1;
    }
}

/// Where a tag ends; values may hold `>`.
fn tag_end(xml: &str, start: usize) -> Option<usize> {
    let mut quote = None;
    for (at, b) in xml.bytes().enumerate().skip(start) {
        match (quote, b) {
            (None, b'"' | b'\'') => quote = Some(b),
            (None, b'>') => return Some(at + 1),
            (Some(open), b) if open == b => quote = None,
            _ => {}
        }
    }
    None
}
