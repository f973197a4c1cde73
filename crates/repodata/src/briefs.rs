//! Metadata files cut into the text of each package, and the few values by which packages are told apart.

mod scan;

use std::io::{BufRead, Read};

use memchr::memmem;

pub(crate) use scan::span;

use crate::{Error, Part, Result};
use scan::{attribute, start_tag, text};

/// Most bytes before the first package.
const HEAD: usize = 64 << 10;
/// Most bytes of one package.
const LONGEST: usize = 512 << 20;
/// Bytes that are read at a time.
const STEP: usize = 256 << 10;

/// Cuts `primary.xml`, `filelists.xml` or `other.xml`, decompressed, into its `package` elements.
///
/// The text of each is what a [`crate::fragment`] would be: it can go into another file of the same
/// kind. Files in which that would not hold are refused: comments, CDATA, other name spaces.
pub struct Elements<R> {
    source: R,
    buffer: Vec<u8>,
    start: usize,
    announced: u64,
    found: u64,
    exact: bool,
    foot: &'static [u8],
}

impl<R: BufRead> Elements<R> {
    /// Reads the head of the file.
    pub fn new(part: Part, mut source: R) -> Result<Self> {
        let mut buffer = Vec::new();
        let foot = part.foot().as_bytes();
        let root = &foot[2..foot.len() - 1];
        // the head ends with the start tag of the root
        let end = loop {
            if let Some(end) = head_end(&buffer, root) {
                break end;
            }
            if buffer.len() > HEAD {
                return Err(Error::Limit("size of the head"));
            }
            if !more(&mut source, &mut buffer)? {
                return Err(Error::Content("not this kind of metadata"));
            }
        };
        let head = std::str::from_utf8(&buffer[..end]).map_err(|_| Error::Content("not UTF-8"))?;
        let announced = check_head(part, head)?;
        Ok(Self { source, buffer, start: end, announced, found: 0, exact: true, foot })
    }

    /// How many packages the file says it has.
    pub fn announced(&self) -> u64 {
        self.announced
    }

    /// Takes a file with another number of packages than it announces.
    pub fn count_any(&mut self) {
        self.exact = false;
    }

    /// The next element with a final newline; `None` at the end of a file that is complete.
    pub fn next_element(&mut self) -> Result<Option<&[u8]>> {
        let mut scanned = self.start;
        loop {
            if let Some(end) = memmem::find(&self.buffer[scanned..], b"</package>") {
                let end = scanned + end + b"</package>".len();
                return self.cut(end).map(Some);
            }
            let rest = &self.buffer[self.start..];
            if rest.len() < HEAD && rest.trim_ascii() == self.foot {
                return self.end().map(|()| None);
            }
            scanned = self.buffer.len().saturating_sub(16).max(self.start);
            if self.buffer.len() - self.start > LONGEST {
                return Err(Error::Limit("size of a package"));
            }
            if self.start > STEP {
                self.buffer.drain(..self.start);
                scanned -= self.start;
                self.start = 0;
            }
            if !more(&mut self.source, &mut self.buffer)? {
                return Err(Error::Content("unexpected end"));
            }
        }
    }

    fn cut(&mut self, end: usize) -> Result<&[u8]> {
        // A newline belongs to each element, whatever is between them here.
        if self.buffer.get(end).is_none_or(|b| *b != b'\n') {
            self.buffer.insert(end, b'\n');
        }
        let before = &self.buffer[self.start..end];
        let skipped = before.iter().position(|b| !b.is_ascii_whitespace()).unwrap_or(0);
        let element = self.start + skipped..end + 1;
        self.start = end + 1;
        self.found += 1;
        if self.exact && self.found > self.announced {
            return Err(Error::Count { expected: self.announced, found: self.found });
        }
        let element = &self.buffer[element];
        let opened = element.starts_with(b"<package>") || element.starts_with(b"<package ");
        if !opened || memmem::find(element, b"<!").is_some() {
            return Err(Error::Content("not a plain list of packages"));
        }
        std::str::from_utf8(element).map_err(|_| Error::Content("not UTF-8"))?;
        Ok(element)
    }

    fn end(&mut self) -> Result<()> {
        let mut rest = Vec::new();
        (&mut self.source).take(HEAD as u64).read_to_end(&mut rest)?;
        if !rest.iter().all(u8::is_ascii_whitespace) {
            return Err(Error::Content("something after the end"));
        }
        let (expected, found) = (self.announced, self.found);
        if found == expected || !self.exact {
            Ok(())
        } else {
            Err(Error::Count { expected, found })
        }
    }
}

fn more(source: &mut impl BufRead, buffer: &mut Vec<u8>) -> Result<bool> {
    let before = buffer.len();
    source.take(STEP as u64).read_to_end(buffer)?;
    Ok(buffer.len() > before)
}

fn head_end(buffer: &[u8], root: &[u8]) -> Option<usize> {
    let open = memmem::find(buffer, &[b"<", root].concat())?;
    memchr::memchr(b'>', &buffer[open..]).map(|end| open + end + 1)
}

/// Refuses name spaces under other prefixes; returns the number of packages.
fn check_head(part: Part, head: &str) -> Result<u64> {
    let tag = head.rfind('<').map(|at| &head[at..]).unwrap_or_default();
    let space = |name| attribute(tag, name).unwrap_or_default();
    let (own, rpm) = part.spaces();
    let known = space("xmlns") == own && rpm.is_none_or(|rpm| space("xmlns:rpm") == rpm);
    if !known || head.contains("<!") || head.ends_with("/>") {
        return Err(Error::Content("not this kind of metadata"));
    }
    if let Some(encoding) = head.split("encoding=").nth(1) {
        let name: String = encoding.chars().skip(1).take(5).collect();
        if !name.eq_ignore_ascii_case("utf-8") {
            return Err(Error::Content("not UTF-8"));
        }
    }
    space("packages").parse().map_err(|_| Error::Content("bad number"))
}

/// What tells a package in `primary.xml` from others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Brief {
    /// Kind of the checksum, such as `sha256`.
    pub sum: String,
    /// Of the package file, in hexadecimal.
    pub checksum: String,
    /// Package name.
    pub name: String,
    /// `src` for a source package.
    pub arch: String,
    /// A number.
    pub epoch: String,
    /// Upstream's version.
    pub version: String,
    /// The packager's release.
    pub release: String,
    /// When the file was changed, in seconds since 1970.
    pub mtime: i64,
    /// Size of the file in bytes.
    pub size: u64,
    /// Path, relative to `base` or to the repository; not checked.
    pub href: String,
    /// Another place that `href` is relative to.
    pub base: Option<String>,
    /// File name of the source package; empty for a source package.
    pub sourcerpm: String,
}

impl Brief {
    /// Reads an element of `primary.xml`.
    pub fn of(primary: &[u8]) -> Result<Self> {
        let xml = std::str::from_utf8(primary).map_err(|_| Error::Content("not UTF-8"))?;
        let tag = |name| start_tag(xml, name).ok_or(Error::Content("an element is missing"));
        let value = |tag: &str, name| attribute(tag, name).unwrap_or_default();
        let number = |text: String| text.parse().map_err(|_| Error::Content("bad number"));
        let (version, location) = (tag("version")?, tag("location")?);
        let mtime = value(tag("time")?, "file");
        Ok(Self {
            sum: value(tag("checksum")?, "type"),
            checksum: text(xml, "checksum").unwrap_or_default(),
            name: text(xml, "name").unwrap_or_default(),
            arch: text(xml, "arch").unwrap_or_default(),
            epoch: attribute(version, "epoch").unwrap_or_else(|| "0".to_owned()),
            version: value(version, "ver"),
            release: value(version, "rel"),
            mtime: mtime.parse().map_err(|_| Error::Content("bad number"))?,
            size: number(value(tag("size")?, "package"))?,
            href: value(location, "href"),
            base: attribute(location, "xml:base").filter(|base| !base.is_empty()),
            sourcerpm: text(xml, "rpm:sourcerpm").unwrap_or_default(),
        })
    }

    /// The checksum of the package that an element of `filelists.xml` or `other.xml` is about.
    pub fn id_of(element: &[u8]) -> Result<String> {
        let end = memchr::memchr(b'>', element).unwrap_or(0);
        let tag = std::str::from_utf8(&element[..end]).map_err(|_| Error::Content("not UTF-8"))?;
        attribute(tag, "pkgid").ok_or(Error::Content("a package without checksum"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<otherdata xmlns=\"http://linux.duke.edu/metadata/other\" packages=\"2\">\n";

    fn cut(text: &str) -> Result<Vec<String>> {
        let mut elements = Elements::new(Part::Other, text.as_bytes())?;
        let mut found = Vec::new();
        while let Some(element) = elements.next_element()? {
            found.push(String::from_utf8(element.to_vec()).unwrap());
        }
        Ok(found)
    }

    #[test]
    fn elements_are_cut_where_they_end() {
        let text = format!(
            "{HEAD}<package pkgid=\"a\">x</package><package pkgid=\"b\">\n</package>\n</otherdata>\n"
        );
        let found = cut(&text).unwrap();
        assert_eq!(
            found,
            ["<package pkgid=\"a\">x</package>\n", "<package pkgid=\"b\">\n</package>\n"]
        );
        assert_eq!(Brief::id_of(found[1].as_bytes()).unwrap(), "b");
    }

    #[test]
    fn what_could_not_be_copied_is_refused() {
        let package = "<package pkgid=\"a\"></package>\n";
        let cases = [
            format!("{HEAD}{package}</otherdata>"),
            format!("{HEAD}{package}{package}{package}</otherdata>"),
            format!("{HEAD}{package}{package}"),
            format!("{HEAD}{package}{package}</otherdata>x"),
            format!("{HEAD}{package}<!-- --><package></package></otherdata>"),
            format!("{HEAD}{package}<package><![CDATA[</package>]]></package></otherdata>"),
            format!("{HEAD}{package}{package}</otherdata>").replace("metadata/other", "x"),
            format!("{HEAD}{package}{package}</otherdata>").replace("UTF-8", "ISO-8859-1"),
            format!("<!DOCTYPE x>{HEAD}{package}{package}</otherdata>"),
            String::new(),
        ];
        for text in cases {
            assert!(cut(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_package_in_brief() {
        let xml = "<package type=\"rpm\">\n<name>a&amp;b</name><arch>noarch</arch><version epoch=\"1\" ver=\"2\" rel=\"3\"/>\
            <checksum type=\"sha256\" pkgid=\"YES\">ff</checksum><time file=\"5\" build=\"6\"/>\
            <size package='7' installed='8' archive='9'/><location xml:base=\"http://x/\" href=\"a>b &quot;c.rpm\"/>\
            <format><rpm:sourcerpm>a-2-3.src.rpm</rpm:sourcerpm></format></package>";
        let brief = Brief::of(xml.as_bytes()).unwrap();
        assert_eq!(
            (brief.name.as_str(), brief.epoch.as_str(), brief.mtime, brief.size),
            ("a&b", "1", 5, 7)
        );
        assert_eq!(
            (brief.href.as_str(), brief.base.as_deref()),
            ("a>b \"c.rpm", Some("http://x/"))
        );
        assert_eq!((brief.checksum.as_str(), brief.sourcerpm.as_str()), ("ff", "a-2-3.src.rpm"));
        assert!(Brief::of(b"<package></package>").is_err());
    }
}
