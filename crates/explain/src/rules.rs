//! What failures look like in logs: patterns, how decisive each is, and what to say about it.

mod packaging;
mod surroundings;
mod tests;
mod toolchain;

use std::sync::LazyLock;

use regex::bytes::{Captures, Regex, RegexSet};

use crate::kind::Kind;
use crate::line::printable;

/// From this rank on a match is the reason of a failure, wherever it is in its step.
pub(crate) const DECISIVE: u8 = 80;
/// From this rank on a match is worth a line beside the reason.
pub(crate) const NOTABLE: u8 = 50;

/// How failures of one sort show themselves.
pub(crate) struct Rule {
    pub(crate) kind: Kind,
    /// Of two matches in one step the one of the higher rank is the reason.
    pub(crate) rank: u8,
    pattern: &'static str,
    /// What it means; `{1}` is the first group of the pattern.
    says: &'static str,
    /// What to do about it.
    advice: &'static str,
    /// How many of the lines that follow belong to it.
    pub(crate) follow: u8,
    /// Whether those are indented, and end with the first that is not.
    pub(crate) indented: bool,
}

/// A rule whose match stands alone.
const fn rule(
    kind: Kind,
    rank: u8,
    pattern: &'static str,
    says: &'static str,
    advice: &'static str,
) -> Rule {
    Rule { kind, rank, pattern, says, advice, follow: 0, indented: false }
}

impl Rule {
    /// These many lines that follow belong to it.
    const fn and(self, follow: u8) -> Rule {
        Rule { follow, ..self }
    }

    /// The indented lines that follow belong to it.
    const fn and_indented(self) -> Rule {
        Rule { follow: 12, indented: true, ..self }
    }
}

/// All rules, compiled.
pub(crate) struct Rules {
    pub(crate) list: Vec<&'static Rule>,
    set: RegexSet,
    each: Vec<Regex>,
}

/// Compiled at the first use.
pub(crate) static RULES: LazyLock<Rules> = LazyLock::new(Rules::compile);

impl Rules {
    fn compile() -> Rules {
        let all = [packaging::RULES, toolchain::RULES, tests::RULES, surroundings::RULES];
        let list: Vec<&'static Rule> = all.into_iter().flatten().collect();
        let patterns = list.iter().map(|rule| rule.pattern);
        // The patterns are constants of this crate, and a test compiles them.
        let set = RegexSet::new(patterns.clone()).unwrap_or_else(|_| RegexSet::empty());
        let each = patterns.filter_map(|pattern| Regex::new(pattern).ok()).collect();
        Rules { list, set, each }
    }

    /// The rule of the highest rank that a line matches.
    pub(crate) fn of(&self, line: &[u8]) -> Option<usize> {
        let matched = self.set.matches(line);
        matched.into_iter().max_by_key(|at| (self.list[*at].rank, usize::MAX - at))
    }

    /// What a match means and what to do about it.
    pub(crate) fn words(&self, at: usize, line: &[u8]) -> (String, String) {
        let rule = self.list[at];
        let captures = self.each.get(at).and_then(|regex| regex.captures(line));
        let fill = |text: &str| fill(text, captures.as_ref());
        (fill(rule.says), fill(rule.advice))
    }
}

/// Puts groups of a match into a text.
fn fill(text: &str, captures: Option<&Captures<'_>>) -> String {
    let mut out = text.to_owned();
    for (number, place) in ["{0}", "{1}", "{2}", "{3}", "{4}"].into_iter().enumerate() {
        if out.contains(place) {
            let group = captures.and_then(|captures| captures.get(number));
            let group = group.map_or(String::new(), |group| printable(group.as_bytes()));
            out = out.replace(place, group.trim());
        }
    }
    out
}

#[cfg(test)]
mod check {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        let rules = &*RULES;
        assert_eq!(rules.set.len(), rules.list.len());
        assert_eq!(rules.each.len(), rules.list.len());
        for rule in &rules.list {
            Regex::new(rule.pattern).expect(rule.pattern);
            assert!(rule.rank < 100 && !rule.says.is_empty(), "{}", rule.pattern);
        }
    }
}
