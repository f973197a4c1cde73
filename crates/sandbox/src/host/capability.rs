//! Reading a capability as package headers and spec files write it.

use std::cmp::Ordering;

use toji_types::evr::{Evr, compare};

/// A capability with an optional version condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Capability {
    /// Name without an architecture mark.
    pub(super) name: String,
    /// Comparison and version.
    pub(super) condition: Option<(Op, String)>,
}

/// What the version at hand may be, compared with the demanded one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Op {
    less: bool,
    equal: bool,
    greater: bool,
}

/// A demand: one capability, or a combination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Demand {
    One(Capability),
    All(Vec<Demand>),
    Any(Vec<Demand>),
    /// The first if the second holds.
    If(Box<Demand>, Box<Demand>),
}

impl Op {
    fn parse(word: &str) -> Option<Self> {
        let known = matches!(word, "<" | "<=" | "=" | "==" | ">=" | ">");
        let has = |c| word.contains(c);
        known.then(|| Self { less: has('<'), equal: has('='), greater: has('>') })
    }
}

impl Capability {
    /// Whether a version satisfies the condition; an unknown version does.
    pub(super) fn accepts(&self, version: Option<&str>) -> bool {
        let (Some((op, wanted)), Some(version)) = (&self.condition, version) else { return true };
        let (have, want) = (Evr::parse(version), Evr::parse(wanted));
        // The host's packages number epochs and releases differently from any distribution of RPM.
        match compare((None, &have.version, ""), (None, &want.version, "")) {
            Ordering::Less => op.less,
            Ordering::Equal => op.equal,
            Ordering::Greater => op.greater,
        }
    }
}

impl Demand {
    /// Reads a demand; absent if it is not well formed or of a kind that is not understood.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if !text.starts_with('(') {
            return capability(text).map(Self::One);
        }
        let inner = text.strip_prefix('(')?.strip_suffix(')')?;
        let (parts, operators) = split(inner)?;
        let mut demands = parts.iter().map(|part| Self::parse(part)).collect::<Option<Vec<_>>>()?;
        let first = operators.first().copied().unwrap_or("and");
        if operators.iter().any(|operator| *operator != first) {
            return None;
        }
        match first {
            "and" | "with" => Some(Self::All(demands)),
            "or" => Some(Self::Any(demands)),
            "if" if demands.len() == 2 => {
                let condition = demands.pop()?;
                Some(Self::If(Box::new(demands.pop()?), Box::new(condition)))
            }
            _ => None,
        }
    }

    /// Evaluates with an answer for each single capability.
    pub(super) fn holds(&self, provided: &mut dyn FnMut(&Capability) -> bool) -> bool {
        match self {
            Self::One(capability) => provided(capability),
            Self::All(demands) => demands.iter().all(|demand| demand.holds(provided)),
            Self::Any(demands) => demands.iter().any(|demand| demand.holds(provided)),
            Self::If(demand, condition) => !condition.holds(provided) || demand.holds(provided),
        }
    }
}

fn capability(text: &str) -> Option<Capability> {
    let words: Vec<_> = text.split_whitespace().collect();
    let (name, condition) = match words[..] {
        [name] => (name, None),
        [name, op, version] => (name, Some((Op::parse(op)?, version.to_string()))),
        _ => return None,
    };
    let marks = ["(x86-64)", "(x86-32)", "(aarch-64)", "(ppc-64)", "(s390-64)", "(riscv-64)"];
    let name = marks.iter().find_map(|mark| name.strip_suffix(mark)).unwrap_or(name);
    Some(Capability { name: name.to_string(), condition })
}

/// Splits at the operators outside brackets.
fn split(text: &str) -> Option<(Vec<String>, Vec<&'static str>)> {
    let operators = ["and", "or", "if", "with", "else", "unless", "without"];
    let (mut parts, mut found, mut depth) = (vec![String::new()], Vec::new(), 0i32);
    for word in text.split_whitespace() {
        if depth == 0
            && let Some(operator) = operators.iter().find(|operator| **operator == word)
        {
            found.push(*operator);
            parts.push(String::new());
            continue;
        }
        depth += word.matches('(').count() as i32 - word.matches(')').count() as i32;
        let part = parts.last_mut()?;
        part.push(' ');
        part.push_str(word);
    }
    (depth == 0).then_some((parts, found))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(text: &str, have: &[(&str, &str)]) -> Option<bool> {
        let mut provided = |wanted: &Capability| {
            have.iter().any(|(name, version)| *name == wanted.name && wanted.accepts(Some(version)))
        };
        Demand::parse(text).map(|demand| demand.holds(&mut provided))
    }

    #[test]
    fn versions_are_compared() {
        let have = [("gcc", "12.2.0"), ("perl(:VERSION)", "5.36")];
        for (text, expected) in [
            ("gcc", true),
            ("gcc >= 12", true),
            ("gcc(x86-64) >= 12.2.0-3", true),
            ("gcc < 12", false),
            ("gcc = 1:12.2.0", true),
            ("gcc > 12.2.0", false),
            ("clang", false),
            ("perl(:VERSION) >= 5.8", true),
        ] {
            assert_eq!(holds(text, &have), Some(expected), "{text}");
        }
    }

    #[test]
    fn combinations_are_evaluated() {
        let have = [("a", "1"), ("b(x)", "2")];
        for (text, expected) in [
            ("(a and b(x))", Some(true)),
            ("(a and c)", Some(false)),
            ("(c or b(x) >= 2)", Some(true)),
            ("(c if d)", Some(true)),
            ("(c if a)", Some(false)),
            ("((c or a) and b(x))", Some(true)),
            ("(a without b)", None),
            ("(a and b or c)", None),
            ("(a", None),
            ("a b", None),
            ("", None),
        ] {
            assert_eq!(holds(text, &have), expected, "{text}");
        }
    }
}
