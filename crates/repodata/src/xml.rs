//! XML text as createrepo_c writes it: its escapes, and its cure for strings that are not UTF-8.

use std::borrow::Cow;
use std::fmt::Write;

/// Builds the element tree of one package, indented by two spaces for each level.
#[derive(Default)]
pub(crate) struct Xml {
    out: String,
    depth: usize,
}

/// An attribute's name and value.
pub(crate) type Attr<'a> = (&'a str, &'a [u8]);

impl Xml {
    /// `<name attributes>`, to be closed by [`Xml::close`].
    pub(crate) fn open(&mut self, name: &str, attributes: &[Attr<'_>]) {
        self.start(name, attributes);
        self.out.push_str(">\n");
        self.depth += 1;
    }

    /// The end of the innermost open element.
    pub(crate) fn close(&mut self, name: &str) {
        self.depth -= 1;
        self.indent();
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push_str(">\n");
    }

    /// `<name attributes/>`.
    pub(crate) fn empty(&mut self, name: &str, attributes: &[Attr<'_>]) {
        self.start(name, attributes);
        self.out.push_str("/>\n");
    }

    /// `<name attributes>text</name>`.
    pub(crate) fn text(&mut self, name: &str, attributes: &[Attr<'_>], text: &[u8]) {
        self.start(name, attributes);
        self.out.push('>');
        escape_text(&mut self.out, &decode(text));
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push_str(">\n");
    }

    /// What was written.
    pub(crate) fn finish(self) -> String {
        self.out
    }

    fn start(&mut self, name: &str, attributes: &[Attr<'_>]) {
        self.indent();
        self.out.push('<');
        self.out.push_str(name);
        for (name, value) in attributes {
            self.out.push(' ');
            self.out.push_str(name);
            self.out.push_str("=\"");
            escape_attribute(&mut self.out, &decode(value));
            self.out.push('"');
        }
    }

    fn indent(&mut self) {
        for _ in 0..self.depth {
            self.out.push_str("  ");
        }
    }
}

/// UTF-8 as it is, anything else read as Latin-1 without its control characters. What XML cannot
/// hold is left out.
fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().all(allowed) => Cow::Borrowed(text),
        Ok(text) => Cow::Owned(text.chars().filter(|c| allowed(*c)).collect()),
        Err(_) => {
            let latin1 = bytes.iter().map(|b| char::from(*b));
            let printable = |c: &char| allowed(*c) && !('\u{80}'..='\u{bf}').contains(c);
            Cow::Owned(latin1.filter(printable).collect())
        }
    }
}

fn allowed(c: char) -> bool {
    !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

fn escape_text(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\r' => out.push_str("&#13;"),
            c => out.push(c),
        }
    }
}

/// As text, and also quotes, white space that a parser would change, and whatever is not ASCII.
fn escape_attribute(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '"' => out.push_str("&quot;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            c if c.is_ascii() => out.push(c),
            // writing to a string cannot fail
            c => drop(write!(out, "&#x{:X};", u32::from(c))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_attributes_differ() {
        let mut xml = Xml::default();
        xml.text("a", &[("b", "é\"\n<".as_bytes())], "é\"\n<\r\u{1}".as_bytes());
        assert_eq!(xml.finish(), "<a b=\"&#xE9;&quot;&#10;&lt;\">é\"\n&lt;&#13;</a>\n");
    }

    #[test]
    fn latin1_is_read_as_such() {
        let mut xml = Xml::default();
        xml.text("a", &[], b"J\xfcrgen\x80");
        assert_eq!(xml.finish(), "<a>Jürgen</a>\n");
    }
}
