//! The hub's policy language: parse, evaluate, explain.
//!
//! A policy is a list of rules, tried in order. A rule is `test args && ! test args :: action`
//! (or `!! action`, which acts when the tests do not all hold); an action of `{` opens nested rules.
//!
//! Koji's text keeps Koji's meaning. Beside it, a line whose tests begin with a parenthesis, which Koji
//! refuses, is an expression with `or` and quoted strings: `(tag a* or has_perm admin) :: allow`.
//!
//! Generic tests look only at the given [`Data`]. Tests that need a database are asked of the
//! caller: [`Run`] stops at each and takes the answer, so the same evaluator serves synchronous and
//! asynchronous callers and does no I/O itself.

mod action;
mod catalog;
mod check;
mod data;
mod defaults;
mod error;
mod expression;
mod outcome;
mod parse;
mod ruleset;
mod run;
mod set;
mod source;

pub use action::{ChannelAction, PriorityAction, Verdict};
pub use catalog::{Catalog, HUB_TESTS};
pub use data::{Data, Field};
pub use defaults::DEFAULT_POLICIES;
pub use error::{ConfigError, EvalError, ParseError, ParseErrorKind};
pub use outcome::{Match, Outcome, Step, TraceStep};
pub use ruleset::{MAX_DEPTH, MAX_PARENS, MAX_SIZE, RuleSet, TestCall};
pub use run::{Next, Run};
pub use set::PolicySet;
pub use source::{AsyncTestSource, NoTests, RunError, TestSource};
pub use toji_types::{glob_match, glob_match_any};
