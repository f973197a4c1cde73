//! The evaluator: a machine that stops at each test only the caller can answer.

use std::collections::BTreeSet;

use crate::data::Data;
use crate::error::EvalError;
use crate::outcome::{Match, Outcome, Step, TraceStep};
use crate::ruleset::{Action, Check, Goto, Rule, RuleSet, TestCall};
use crate::set::PolicySet;

/// How many steps an outcome keeps.
const MAX_STEPS: usize = 1000;

/// What a run needs next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Next<'p> {
    /// The result of this test, by [`Run::answer`].
    Ask(&'p TestCall),
    /// Nothing: take the result with [`Run::finish`].
    Done,
}

/// An evaluation under way.
#[derive(Debug)]
pub struct Run<'p> {
    set: Option<&'p PolicySet>,
    data: &'p Data,
    /// The policy asked for, and above it those that `policy` tests entered.
    frames: Vec<Frame<'p>>,
    outcome: Outcome,
}

/// Policy name, line and position in the line: each `policy` test counts by itself.
type Place<'p> = (&'p str, usize, usize);

#[derive(Debug)]
struct Frame<'p> {
    name: &'p str,
    levels: Vec<Level<'p>>,
    flags: BTreeSet<&'p str>,
    matches: Vec<Match>,
    multi: bool,
    entered_by: Option<Place<'p>>,
}

#[derive(Debug)]
struct Level<'p> {
    rules: &'p [Rule],
    rule: usize,
    test: usize,
}

impl<'p> Level<'p> {
    fn new(rules: &'p [Rule]) -> Self {
        Level { rules, rule: 0, test: 0 }
    }

    fn next_rule(&mut self) {
        self.rule += 1;
        self.test = 0;
    }
}

impl<'p> Frame<'p> {
    fn new(name: &'p str, rules: &'p RuleSet) -> Self {
        Frame {
            name,
            levels: vec![Level::new(&rules.rules)],
            flags: BTreeSet::new(),
            matches: Vec::new(),
            multi: false,
            entered_by: None,
        }
    }

    /// The rule to look at, after leaving levels that have ended; `None` at the end.
    fn current(&mut self) -> Option<(&'p Rule, usize)> {
        loop {
            let level = self.levels.last()?;
            if let Some(rule) = level.rules.get(level.rule) {
                return Some((rule, level.test));
            }
            self.leave(1);
        }
    }

    /// Leaves `depth` levels; the rules around go on behind the one that opened them.
    fn leave(&mut self, depth: usize) {
        let keep = self.levels.len().saturating_sub(depth.max(1));
        self.levels.truncate(keep);
        if let Some(level) = self.levels.last_mut() {
            level.next_rule();
        }
    }

    fn trace(&self) -> Vec<TraceStep> {
        self.levels
            .iter()
            .filter_map(|level| level.rules.get(level.rule))
            .map(|rule| TraceStep {
                line: rule.line,
                tests: rule.text.clone(),
                negate: rule.negate,
            })
            .collect()
    }

    /// Does what the current rule says once its tests are known.
    fn conclude(&mut self, rule: &'p Rule, tests_hold: bool) {
        if tests_hold == rule.negate {
            return self.skip();
        }
        match &rule.action {
            Action::Nested(rules) => self.levels.push(Level::new(rules)),
            Action::Break(depth) => self.leave(usize::try_from(*depth).unwrap_or(1)),
            Action::Stop => self.levels.clear(),
            Action::Flag(name) => {
                self.flags.insert(name);
                self.skip();
            }
            Action::Answer(text) => {
                let trace = self.trace();
                self.matches.push(Match { action: text.clone(), trace });
                if self.multi {
                    self.skip();
                } else {
                    self.levels.clear();
                }
            }
        }
    }

    fn skip(&mut self) {
        if let Some(level) = self.levels.last_mut() {
            level.next_rule();
        }
    }
}

impl<'p> Run<'p> {
    /// Starts a policy that uses no `policy` test.
    pub fn new(rules: &'p RuleSet, data: &'p Data) -> Self {
        Self::start(None, "", rules, data)
    }

    pub(crate) fn start(
        set: Option<&'p PolicySet>,
        name: &'p str,
        rules: &'p RuleSet,
        data: &'p Data,
    ) -> Self {
        Run { set, data, frames: vec![Frame::new(name, rules)], outcome: Outcome::default() }
    }

    /// Collects the answers of all rules that match, in place of the first.
    #[must_use]
    pub fn multi(mut self) -> Self {
        if let Some(frame) = self.frames.first_mut() {
            frame.multi = true;
        }
        self
    }

    pub(crate) fn data(&self) -> &'p Data {
        self.data
    }

    /// Goes on until a test must be asked of the caller, or to the end.
    pub fn advance(&mut self) -> Result<Next<'p>, EvalError> {
        loop {
            let Some(frame) = self.frames.last_mut() else {
                return Ok(Next::Done);
            };
            let name = frame.name;
            let Some((rule, index)) = frame.current() else {
                if self.close_frame() {
                    return Ok(Next::Done);
                }
                continue;
            };
            let Some(test) = rule.tests.get(index) else {
                frame.conclude(rule, true);
                continue;
            };
            match &test.check {
                Check::External(call) => return Ok(Next::Ask(call)),
                Check::Policy(other) => {
                    self.enter(other, &test.text, (name, rule.line, index))?;
                }
                check => {
                    let value = check.evaluate(self.data, &frame.flags, &test.text)?;
                    self.answer(value);
                }
            }
        }
    }

    /// Gives the result of the test that [`Run::advance`] stopped at.
    pub fn answer(&mut self, value: bool) {
        let Some(frame) = self.frames.last_mut() else {
            return;
        };
        let Some((rule, index)) = frame.current() else {
            return;
        };
        let Some(test) = rule.tests.get(index) else {
            return;
        };
        let result = value != test.negate;
        if self.outcome.steps.len() < MAX_STEPS {
            self.outcome.steps.push(Step {
                policy: frame.name.to_owned(),
                line: rule.line,
                test: test.text.clone(),
                result,
            });
        }
        match (if result { test.then } else { test.otherwise }, frame.levels.last_mut()) {
            (Goto::Test(next), Some(level)) => level.test = next,
            (Goto::Hold, _) => frame.conclude(rule, true),
            _ => frame.conclude(rule, false),
        }
    }

    fn enter(&mut self, name: &'p str, text: &str, place: Place<'p>) -> Result<(), EvalError> {
        if self.frames.iter().any(|f| f.entered_by == Some(place)) {
            return Err(EvalError::Loop(text.trim().to_owned()));
        }
        let rules = self
            .set
            .and_then(|set| set.get(name))
            .ok_or_else(|| EvalError::NoSuchPolicy(name.to_owned()))?;
        let mut frame = Frame::new(name, rules);
        frame.entered_by = Some(place);
        // an inner policy sees the flags set so far; its own end with it
        frame.flags = self.frames.last().map(|f| f.flags.clone()).unwrap_or_default();
        self.frames.push(frame);
        Ok(())
    }

    /// Ends the innermost policy; whether it was the one asked for.
    fn close_frame(&mut self) -> bool {
        let Some(frame) = self.frames.pop() else {
            return true;
        };
        if self.frames.is_empty() {
            self.outcome.matches = frame.matches;
            return true;
        }
        let action = frame.matches.last().map(|m| m.action.to_lowercase());
        self.answer(matches!(action.as_deref(), Some("yes" | "true" | "allow")));
        false
    }

    /// The result; empty before [`Next::Done`].
    pub fn finish(self) -> Outcome {
        self.outcome
    }
}
