//! Which dependencies of a package its metadata lists, and in what order.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use toji_rpmfile::{Dep, DepKind, Header, sense};
use toji_types::evr;

use crate::xml::Xml;

/// The dependencies of one package, sorted into the lists of the metadata.
#[derive(Default)]
pub(super) struct Dependencies<'a> {
    provides: Vec<Entry<'a>>,
    requires: Vec<Entry<'a>>,
    conflicts: Vec<Entry<'a>>,
    obsoletes: Vec<Entry<'a>>,
    suggests: Vec<Entry<'a>>,
    enhances: Vec<Entry<'a>>,
    recommends: Vec<Entry<'a>>,
    supplements: Vec<Entry<'a>>,
}

struct Entry<'a> {
    name: &'a [u8],
    word: &'static str,
    evr: Evr<'a>,
    pre: bool,
}

/// The parts of a dependency's version; empty ones are not written.
#[derive(Default)]
struct Evr<'a> {
    epoch: &'a [u8],
    version: &'a [u8],
    release: &'a [u8],
}

impl<'a> Dependencies<'a> {
    /// Collects what `header` depends on; `own` are its files that `primary.xml` lists anyway.
    pub(super) fn new(header: &'a Header, own: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut lists = Self::default();
        let plain = |kind| header.deps(kind).filter_map(Entry::new);
        lists.provides = plain(DepKind::Provides).collect();
        lists.conflicts = plain(DepKind::Conflicts).collect();
        lists.obsoletes = plain(DepKind::Obsoletes).collect();
        lists.add_requires(header, own.collect());
        lists.suggests.extend(plain(DepKind::Suggests));
        lists.enhances.extend(plain(DepKind::Enhances));
        lists.recommends.extend(plain(DepKind::Recommends));
        lists.supplements.extend(plain(DepKind::Supplements));
        for dep in header.deps(DepKind::OldSuggests) {
            let strong = dep.flags & sense::STRONG != 0;
            let list = if strong { &mut lists.recommends } else { &mut lists.suggests };
            list.extend(Entry::new(dep));
        }
        for dep in header.deps(DepKind::OldEnhances) {
            let strong = dep.flags & sense::STRONG != 0;
            let list = if strong { &mut lists.supplements } else { &mut lists.enhances };
            list.extend(Entry::new(dep));
        }
        lists
    }

    /// Requirements leave out what the package itself meets, repeats, and all but the newest libc.
    fn add_requires(&mut self, header: &'a Header, own: HashSet<&'a [u8]>) {
        let key = |dep: &Dep<'a>| (dep.name, sense::word(dep.flags), dep.version);
        let provided: HashSet<_> = header
            .deps(DepKind::Provides)
            .filter(|d| Entry::new(*d).is_some())
            .map(|d| key(&d))
            .collect();
        let mut last: HashMap<&[u8], _> = HashMap::new();
        let mut libc: Option<Entry<'a>> = None;
        for dep in header.deps(DepKind::Requires) {
            if dep.name.starts_with(b"rpmlib(")
                || own.contains(dep.name)
                || provided.contains(&key(&dep))
                || last.get(dep.name) == Some(&(key(&dep), dep.is_pre()))
            {
                continue;
            }
            let Some(mut entry) = Entry::new(dep) else { continue };
            if dep.flags & sense::MISSINGOK != 0 {
                self.recommends.push(entry);
                continue;
            }
            entry.pre = dep.is_pre();
            if dep.name.starts_with(b"libc.so.6") {
                if libc.as_ref().is_none_or(|best| libc_order(best.name, dep.name).is_lt()) {
                    libc = Some(entry);
                }
                continue;
            }
            last.insert(dep.name, (key(&dep), entry.pre));
            self.requires.push(entry);
        }
        self.requires.extend(libc);
    }

    /// Writes one element for each list that is not empty.
    pub(super) fn write(&self, xml: &mut Xml) {
        let lists = [
            ("rpm:provides", &self.provides),
            ("rpm:requires", &self.requires),
            ("rpm:conflicts", &self.conflicts),
            ("rpm:obsoletes", &self.obsoletes),
            ("rpm:suggests", &self.suggests),
            ("rpm:enhances", &self.enhances),
            ("rpm:recommends", &self.recommends),
            ("rpm:supplements", &self.supplements),
        ];
        for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            if list.iter().all(|entry| entry.name.is_empty()) {
                xml.empty(name, &[]);
                continue;
            }
            xml.open(name, &[]);
            list.iter().filter(|entry| !entry.name.is_empty()).for_each(|entry| entry.write(xml));
            xml.close(name);
        }
    }
}

impl<'a> Entry<'a> {
    /// `None` if the version has an epoch that is not a number.
    fn new(dep: Dep<'a>) -> Option<Self> {
        Some(Self {
            name: dep.name,
            word: sense::word(dep.flags).unwrap_or_default(),
            evr: Evr::parse(dep.version)?,
            pre: false,
        })
    }

    fn write(&self, xml: &mut Xml) {
        let mut attributes = vec![("name", self.name)];
        if !self.word.is_empty() {
            let parts = [
                ("flags", self.word.as_bytes()),
                ("epoch", self.evr.epoch),
                ("ver", self.evr.version),
                ("rel", self.evr.release),
            ];
            attributes.extend(parts.into_iter().filter(|(_, value)| !value.is_empty()));
        }
        if self.pre {
            attributes.push(("pre", b"1"));
        }
        xml.empty("rpm:entry", &attributes);
    }
}

impl<'a> Evr<'a> {
    fn parse(text: &'a [u8]) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let (epoch, rest) = match text.iter().position(|b| *b == b':') {
            Some(0) | None => (&b"0"[..], text.strip_prefix(b":").unwrap_or(text)),
            Some(colon) if text[..colon].iter().all(u8::is_ascii_digit) => {
                (&text[..colon], &text[colon + 1..])
            }
            Some(_) => return None,
        };
        let dash = rest.iter().position(|b| *b == b'-');
        let (version, release) = dash.map_or((rest, &b""[..]), |d| (&rest[..d], &rest[d + 1..]));
        Some(Self { epoch, version, release })
    }
}

/// Orders `libc.so.6`, `libc.so.6()(64bit)`, `libc.so.6(GLIBC_2.3.4)(64bit)` and so on by version.
fn libc_order(a: &[u8], b: &[u8]) -> Ordering {
    match (libc_version(a), libc_version(b)) {
        (Libc::Version(a), Libc::Version(b)) => evr::compare_segments(&a, &b),
        (a, b) => a.rank().cmp(&b.rank()),
    }
}

/// What the first parentheses of a name hold.
enum Libc {
    Nothing,
    Unclosed,
    Empty,
    NoNumber,
    Version(String),
}

impl Libc {
    fn rank(&self) -> u8 {
        match self {
            Self::Nothing => 0,
            Self::Unclosed => 1,
            Self::Empty => 2,
            Self::NoNumber => 3,
            Self::Version(_) => 4,
        }
    }
}

fn libc_version(name: &[u8]) -> Libc {
    let Some(open) = name.iter().position(|b| *b == b'(') else { return Libc::Nothing };
    let content = &name[open + 1..];
    let Some(close) = content.iter().position(|b| *b == b')') else { return Libc::Unclosed };
    let content = &content[..close];
    match content.iter().position(u8::is_ascii_digit) {
        Some(digit) => Libc::Version(String::from_utf8_lossy(&content[digit..]).into_owned()),
        None if content.is_empty() => Libc::Empty,
        None => Libc::NoNumber,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_dependencies() {
        let parse = |text: &'static str| {
            Evr::parse(text.as_bytes()).map(|e| (e.epoch, e.version, e.release))
        };
        assert_eq!(parse("1:2-3-4"), Some((&b"1"[..], &b"2"[..], &b"3-4"[..])));
        assert_eq!(parse("2"), Some((&b"0"[..], &b"2"[..], &b""[..])));
        assert_eq!(parse(":2"), Some((&b"0"[..], &b"2"[..], &b""[..])));
        assert_eq!(parse("x:2"), None);
    }

    #[test]
    fn the_newest_libc_wins() {
        let order = |a: &str, b: &str| libc_order(a.as_bytes(), b.as_bytes());
        assert!(order("libc.so.6()(64bit)", "libc.so.6(GLIBC_2.3.4)(64bit)").is_lt());
        assert!(order("libc.so.6(GLIBC_2.14)(64bit)", "libc.so.6(GLIBC_2.4)(64bit)").is_gt());
        assert!(order("libc.so.6", "libc.so.6()").is_lt());
        assert!(order("libc.so.6(", "libc.so.6()").is_lt());
        assert!(order("libc.so.6()", "libc.so.6(x)").is_lt());
        assert!(order("libc.so.6()", "libc.so.6()(64bit)").is_eq());
    }
}
