//! Requirements: plain ones with a version, and rich (boolean) expressions.

use std::cmp::Ordering;

use toji_rpmfile::{Dep, sense};
use toji_types::Evr;

/// A named capability with an optional version range; what packages provide and need.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Capability {
    pub(crate) name: String,
    /// Comparison bits of [`sense`]; 0 without a version.
    pub(crate) flags: u32,
    pub(crate) evr: Option<Evr>,
}

const COMPARISON: u32 = sense::LESS | sense::GREATER | sense::EQUAL;

impl Capability {
    pub(crate) fn new(name: &str, flags: u32, version: &str) -> Self {
        let flags = flags & COMPARISON;
        let evr = (flags != 0 && !version.is_empty()).then(|| Evr::parse(version));
        Capability { name: name.to_owned(), flags: if evr.is_some() { flags } else { 0 }, evr }
    }

    /// A requirement of a package's header.
    pub(crate) fn of(dep: &Dep<'_>) -> Self {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Capability::new(&text(dep.name), dep.flags, &text(dep.version))
    }

    /// Whether what this needs overlaps with what `offer` provides, as RPM decides it.
    pub(crate) fn is_met_by(&self, offer: &Capability) -> bool {
        if self.name != offer.name {
            return false;
        }
        let (Some(need), Some(have)) = (&self.evr, &offer.evr) else { return true };
        match compare(have, need) {
            Ordering::Less => offer.flags & sense::GREATER != 0 || self.flags & sense::LESS != 0,
            Ordering::Greater => offer.flags & sense::LESS != 0 || self.flags & sense::GREATER != 0,
            Ordering::Equal => self.flags & offer.flags & COMPARISON != 0,
        }
    }
}

impl std::fmt::Display for Capability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(evr) = &self.evr else { return f.write_str(&self.name) };
        write!(f, "{} {} ", self.name, sense::operator(self.flags))?;
        if let Some(epoch) = evr.epoch {
            write!(f, "{epoch}:")?;
        }
        f.write_str(&evr.version)?;
        if !evr.release.is_empty() {
            write!(f, "-{}", evr.release)?;
        }
        Ok(())
    }
}

/// A side without a release compares by epoch and version alone.
fn compare(a: &Evr, b: &Evr) -> Ordering {
    if a.release.is_empty() || b.release.is_empty() {
        let cut = |evr: &Evr| Evr { release: String::new(), ..evr.clone() };
        return cut(a).cmp(&cut(b));
    }
    a.cmp(b)
}

/// A requirement.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Need {
    /// One capability.
    Plain(Capability),
    /// All of them.
    And(Vec<Need>),
    /// One of them; the first that can be had.
    Or(Vec<Need>),
    /// The first if the second is there, else the third.
    If(Box<Need>, Box<Need>, Option<Box<Need>>),
    /// The first unless the second is there, else the third.
    Unless(Box<Need>, Box<Need>, Option<Box<Need>>),
    /// All by one and the same package.
    With(Vec<Need>),
    /// The first by a package that has not the second.
    Without(Box<Need>, Box<Need>),
}

impl Need {
    /// Reads a requirement; what is no well-formed expression is taken as a plain name.
    pub(crate) fn of(capability: Capability) -> Self {
        if !capability.name.starts_with('(') {
            return Need::Plain(capability);
        }
        let mut words = Words(tokens(&capability.name), 0);
        match words.group() {
            Some(need) if words.1 == words.0.len() => need,
            _ => Need::Plain(capability),
        }
    }
}

/// Splits at spaces and at those parentheses that do not belong to a name like `pkgconfig(x)`.
fn tokens(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut word = String::new();
    let mut inner = 0;
    for c in text.chars() {
        match c {
            '(' if word.is_empty() => all.push("(".to_owned()),
            '(' => {
                inner += 1;
                word.push(c);
            }
            ')' if inner > 0 => {
                inner -= 1;
                word.push(c);
            }
            ')' | ' ' | '\t' => {
                if !word.is_empty() {
                    all.push(std::mem::take(&mut word));
                }
                if c == ')' {
                    all.push(")".to_owned());
                }
            }
            _ => word.push(c),
        }
    }
    if !word.is_empty() {
        all.push(word);
    }
    all
}

struct Words(Vec<String>, usize);

impl Words {
    fn peek(&self) -> &str {
        self.0.get(self.1).map_or("", String::as_str)
    }

    fn take(&mut self) -> String {
        self.1 += 1;
        self.0.get(self.1 - 1).cloned().unwrap_or_default()
    }

    fn group(&mut self) -> Option<Need> {
        (self.take() == "(").then_some(())?;
        let first = self.operand()?;
        let operator = self.take();
        let need = match operator.as_str() {
            ")" => return Some(first),
            "if" | "unless" => {
                let condition = Box::new(self.operand()?);
                let other = (self.peek() == "else").then(|| self.take());
                let other = match other {
                    Some(_) => Some(Box::new(self.operand()?)),
                    None => None,
                };
                let make = if operator == "if" { Need::If } else { Need::Unless };
                make(Box::new(first), condition, other)
            }
            "without" => Need::Without(Box::new(first), Box::new(self.operand()?)),
            "and" | "or" | "with" => {
                let mut all = vec![first, self.operand()?];
                while self.peek() == operator {
                    self.take();
                    all.push(self.operand()?);
                }
                match operator.as_str() {
                    "and" => Need::And(all),
                    "or" => Need::Or(all),
                    _ => Need::With(all),
                }
            }
            _ => return None,
        };
        (self.take() == ")").then_some(need)
    }

    fn operand(&mut self) -> Option<Need> {
        if self.peek() == "(" {
            return self.group();
        }
        let name = self.take();
        let flags = match self.peek() {
            "<" => sense::LESS,
            ">" => sense::GREATER,
            "=" | "==" => sense::EQUAL,
            "<=" => sense::LESS | sense::EQUAL,
            ">=" => sense::GREATER | sense::EQUAL,
            _ => 0,
        };
        let version = if flags == 0 { String::new() } else { (self.take(), self.take()).1 };
        (!name.is_empty() && name != ")")
            .then(|| Need::Plain(Capability::new(&name, flags, &version)))
    }
}

impl std::fmt::Display for Need {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let join = |f: &mut std::fmt::Formatter<'_>, all: &[Need], word: &str| {
            for (i, need) in all.iter().enumerate() {
                let before = if i == 0 { "(" } else { word };
                write!(f, "{before}{need}")?;
            }
            f.write_str(")")
        };
        let branch =
            |f: &mut std::fmt::Formatter<'_>, a: &Need, word, b: &Need, c: &Option<Box<Need>>| {
                write!(f, "({a} {word} {b}")?;
                c.as_ref().map_or(Ok(()), |c| write!(f, " else {c}"))?;
                f.write_str(")")
            };
        match self {
            Need::Plain(capability) => capability.fmt(f),
            Need::And(all) => join(f, all, " and "),
            Need::Or(all) => join(f, all, " or "),
            Need::With(all) => join(f, all, " with "),
            Need::Without(a, b) => write!(f, "({a} without {b})"),
            Need::If(a, b, c) => branch(f, a, "if", b, c),
            Need::Unless(a, b, c) => branch(f, a, "unless", b, c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capability(text: &str) -> Capability {
        match Need::of(Capability::new(&format!("({text})"), 0, "")) {
            Need::Plain(capability) => capability,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn versions_overlap_as_rpm_says() {
        let cases = [
            ("a", "a = 1-1", true),
            ("a >= 2", "a = 1-1", false),
            ("a >= 1", "a = 1-5", true),
            ("a = 1", "a = 1-5", true),
            ("a = 1-4", "a = 1-5", false),
            ("a < 1-5", "a = 1-5", false),
            ("a > 1", "a = 1:0.1-1", true),
            ("a < 3", "a > 5", false),
            ("a < 3", "a < 5", true),
            ("b", "a = 1", false),
        ];
        for (need, offer, met) in cases {
            assert_eq!(capability(need).is_met_by(&capability(offer)), met, "{need} / {offer}");
        }
    }

    #[test]
    fn rich_expressions_are_read() {
        for text in [
            "(a and b and c)",
            "(pkgconfig(x) or b >= 1:2-3)",
            "((a or b) if c else d)",
            "(a unless b)",
            "(perl(A::B) with perl(C))",
            "(a without b)",
        ] {
            let need = Need::of(Capability::new(text, 0, ""));
            assert!(!matches!(need, Need::Plain(_)), "{text}");
            assert_eq!(need.to_string(), text);
        }
        assert!(matches!(Need::of(Capability::new("(a or", 0, "")), Need::Plain(_)));
        assert_eq!(Need::of(Capability::new("perl(A)", 8, "1")).to_string(), "perl(A) = 1");
    }
}
