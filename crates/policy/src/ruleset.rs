//! A parsed policy.

use std::collections::BTreeSet;

/// Longest policy text that is read, in bytes.
pub const MAX_SIZE: usize = 1 << 20;
/// Deepest nesting of braces.
pub const MAX_DEPTH: usize = 64;
/// Deepest nesting of parentheses in a line.
pub const MAX_PARENS: usize = 32;

/// A parsed policy: rules in order.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleSet {
    pub(crate) rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    pub(crate) line: usize,
    /// The tests as written, as `last_rule` shows them.
    pub(crate) text: String,
    /// Never empty; evaluation starts with the first and goes where each of them says.
    pub(crate) tests: Vec<Test>,
    pub(crate) negate: bool,
    pub(crate) action: Action,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Test {
    /// The text as written, spaces included, as `last_rule` shows it.
    pub(crate) text: String,
    pub(crate) negate: bool,
    pub(crate) check: Check,
    pub(crate) then: Goto,
    pub(crate) otherwise: Goto,
}

/// Where the result of a test leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goto {
    /// To this test of the rule.
    Test(usize),
    /// The tests of the rule hold.
    Hold,
    /// They do not.
    Fail,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Check {
    Constant(bool),
    Has(String),
    Flagged(String),
    Policy(String),
    Match {
        field: String,
        patterns: Vec<String>,
    },
    MatchAny {
        field: String,
        patterns: Vec<String>,
    },
    MatchAll {
        field: String,
        patterns: Vec<String>,
    },
    Bool(String),
    Compare {
        field: String,
        op: Op,
        value: f64,
    },
    External(TestCall),
    /// A test without the field it needs: Koji notices when the test is reached.
    NoField,
}

/// A test that the caller of the policy answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestCall {
    /// Name of the test.
    pub name: String,
    /// Its arguments, mostly patterns.
    pub args: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Lt,
    Gt,
    Le,
    Ge,
    Eq,
    Ne,
}

impl Op {
    pub(crate) fn holds(self, a: f64, b: f64) -> bool {
        match self {
            Op::Lt => a < b,
            Op::Gt => a > b,
            Op::Le => a <= b,
            Op::Ge => a >= b,
            Op::Eq => a == b,
            Op::Ne => a != b,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// The policy's answer.
    Answer(String),
    Nested(Vec<Rule>),
    /// Leaves this many levels of rules; less than one counts as one.
    Break(i64),
    Stop,
    Flag(String),
}

impl RuleSet {
    /// The first words of all answers that the rules can give, sorted.
    pub fn all_actions(&self) -> Vec<&str> {
        let mut found = BTreeSet::new();
        let mut waiting = vec![&self.rules];
        while let Some(rules) = waiting.pop() {
            for rule in rules {
                match &rule.action {
                    Action::Answer(text) => found.extend(text.split_whitespace().next()),
                    Action::Nested(rules) => waiting.push(rules),
                    _ => {}
                }
            }
        }
        found.into_iter().collect()
    }
}
