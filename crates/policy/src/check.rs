//! The generic tests: those that look only at the data.

use std::collections::BTreeSet;

use crate::data::{Data, Field};
use crate::error::EvalError;
use crate::ruleset::{Check, Op};
use toji_types::glob_match_any;

/// Koji keeps flags among the data, under this prefix, where other tests can see them.
const FLAG_PREFIX: &str = "__policyflag__";

/// The data of a run, with the flags set so far.
struct View<'a> {
    data: &'a Data,
    flags: &'a BTreeSet<&'a str>,
}

impl View<'_> {
    fn get(&self, name: &str) -> Option<&Field> {
        match name.strip_prefix(FLAG_PREFIX) {
            Some(flag) if self.flags.contains(flag) => Some(&Field::Bool(true)),
            _ => self.data.get(name),
        }
    }

    fn list(&self, name: &str) -> Option<&[Field]> {
        match self.get(name) {
            Some(Field::List(items)) if !items.is_empty() => Some(items),
            _ => None,
        }
    }
}

impl Check {
    /// The result of a generic test; other kinds are false here.
    pub(crate) fn evaluate(
        &self,
        data: &Data,
        flags: &BTreeSet<&str>,
        text: &str,
    ) -> Result<bool, EvalError> {
        let view = View { data, flags };
        Ok(match self {
            Check::Constant(value) => *value,
            Check::Has(field) => view.get(field).is_some(),
            Check::Bool(field) => view.get(field).is_some_and(Field::truth),
            Check::Flagged(flag) => {
                view.get(&format!("{FLAG_PREFIX}{flag}")).is_some_and(Field::truth)
            }
            Check::Match { field, patterns } => {
                view.get(field).is_some_and(|f| matches_any(f, patterns))
            }
            Check::MatchAny { field, patterns } => {
                view.list(field).is_some_and(|items| items.iter().any(|f| matches_any(f, patterns)))
            }
            Check::MatchAll { field, patterns } => {
                view.list(field).is_some_and(|items| items.iter().all(|f| matches_any(f, patterns)))
            }
            Check::Compare { field, op, value } => match view.get(field) {
                Some(f) => compare(f, *op, *value).ok_or_else(|| EvalError::NotANumber {
                    field: field.clone(),
                    test: text.trim().to_owned(),
                })?,
                None => false,
            },
            Check::NoField => return Err(EvalError::MissingField(text.trim().to_owned())),
            Check::Policy(_) | Check::External(_) => false,
        })
    }
}

fn matches_any(field: &Field, patterns: &[String]) -> bool {
    field.text().is_some_and(|t| glob_match_any(&t, patterns))
}

/// Anything may be compared for equality; only numbers have an order.
fn compare(field: &Field, op: Op, value: f64) -> Option<bool> {
    match (field.number(), op) {
        (Some(n), _) => Some(op.holds(n, value)),
        (None, Op::Eq) => Some(false),
        (None, Op::Ne) => Some(true),
        (None, _) => None,
    }
}
