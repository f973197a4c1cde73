//! Answers: a plan, or the reasons why there is none, in words.

use std::collections::BTreeSet;
use std::fmt;

use crate::Plan;

/// A plan, or why there is none.
pub type Answer = Result<Plan, Unsolvable>;

/// Why packages cannot be installed together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unsolvable {
    /// Wants that no package matches.
    pub missing: Vec<String>,
    /// Wants that contradict each other or what packages need; none if wants are missing.
    pub problems: Vec<Problem>,
}

/// Facts that cannot hold together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problem {
    /// Each of them in words, the same one only once.
    pub reasons: Vec<Reason>,
}

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Such as `package a-1-1.noarch requires b, but none of the providers can be installed`.
    pub text: String,
    /// The packages in the text, as `name-[epoch:]version-release.arch`.
    pub packages: Vec<String>,
}

impl Unsolvable {
    /// Every package that a reason names.
    pub fn packages(&self) -> BTreeSet<&str> {
        let reasons = self.problems.iter().flat_map(|problem| &problem.reasons);
        reasons.flat_map(|reason| reason.packages.iter().map(String::as_str)).collect()
    }
}

impl fmt::Display for Unsolvable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Vec::new();
        lines.extend(self.missing.iter().map(|want| format!("nothing provides {want}")));
        for (number, problem) in self.problems.iter().enumerate() {
            let number =
                if self.problems.len() > 1 { format!(" {}", number + 1) } else { String::new() };
            lines.push(format!("problem{number}:"));
            lines.extend(problem.reasons.iter().map(|reason| format!("  - {}", reason.text)));
        }
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Unsolvable {}
