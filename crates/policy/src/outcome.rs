//! What a policy answered, and why.

use std::fmt::Write as _;

/// One rule on the way to an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceStep {
    /// Line of the rule in its policy, from 1.
    pub line: usize,
    /// Its tests as written, joined by `&&`.
    pub tests: String,
    /// Whether it is a `!!` rule.
    pub negate: bool,
}

/// An answer and the rules that led to it, outermost first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// The action's whole text.
    pub action: String,
    /// The rules entered.
    pub trace: Vec<TraceStep>,
}

/// One test that was evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The policy, empty for one evaluated without a name.
    pub policy: String,
    /// Line of the rule, from 1.
    pub line: usize,
    /// The test as written.
    pub test: String,
    /// Its result, a `!` before it included.
    pub result: bool,
}

/// The result of an evaluation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Answers in order; at most one unless several were asked for.
    pub matches: Vec<Match>,
    /// The tests evaluated, in order; the first thousand.
    pub steps: Vec<Step>,
}

impl Outcome {
    /// The last answer's text; `None` when no rule matched.
    pub fn action(&self) -> Option<&str> {
        self.matches.last().map(|m| m.action.as_str())
    }

    /// The matching rule in Koji's form: `all :: ... has_perm admin :: allow` or `(no match)`.
    pub fn last_rule(&self) -> String {
        let Some(found) = self.matches.last() else {
            return "(no match)".to_owned();
        };
        let rules: Vec<String> = found
            .trace
            .iter()
            .map(|t| format!("{}{} ", t.tests, if t.negate { "!!" } else { "::" }))
            .collect();
        format!("{}{}", rules.join("... "), found.action)
    }

    /// A reader's account: each test with its result, then the rule that decided.
    pub fn explain(&self) -> String {
        let mut text = String::new();
        for step in &self.steps {
            let at =
                if step.policy.is_empty() { String::new() } else { format!("{} ", step.policy) };
            let _ =
                writeln!(text, "{at}line {}: {} -> {}", step.line, step.test.trim(), step.result);
        }
        match self.matches.last() {
            Some(found) => {
                let line = found.trace.last().map_or(0, |t| t.line);
                let _ = write!(text, "decided by line {line}: {}", self.last_rule());
            }
            None => text.push_str("no rule matched"),
        }
        text
    }
}
