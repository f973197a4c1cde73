//! All policies of a hub, by name.

use std::collections::BTreeMap;

use crate::action::Verdict;
use crate::catalog::Catalog;
use crate::data::Data;
use crate::defaults::DEFAULT_POLICIES;
use crate::error::{ConfigError, EvalError};
use crate::outcome::Outcome;
use crate::ruleset::RuleSet;
use crate::run::Run;
use crate::source::{RunError, TestSource};

/// Parsed policies by name.
#[derive(Debug, Clone, Default)]
pub struct PolicySet(BTreeMap<String, RuleSet>);

impl PolicySet {
    /// Parses the policies of a configuration, and the defaults for those it leaves out.
    pub fn with_defaults<'a>(
        configured: impl IntoIterator<Item = (&'a str, &'a str)>,
        catalog: &Catalog,
    ) -> Result<Self, ConfigError> {
        Self::with_catalogs(configured, |_| catalog.clone())
    }

    /// Like [`PolicySet::with_defaults`], with the tests that the policy of each name may use.
    pub fn with_catalogs<'a>(
        configured: impl IntoIterator<Item = (&'a str, &'a str)>,
        catalog: impl Fn(&str) -> Catalog,
    ) -> Result<Self, ConfigError> {
        let mut texts: BTreeMap<&str, &str> = DEFAULT_POLICIES.iter().copied().collect();
        texts.extend(configured);
        let mut set = PolicySet::default();
        for (name, text) in texts {
            set.insert(name, text, &catalog(name))?;
        }
        Ok(set)
    }

    /// Parses and adds a policy; replaces one of the same name.
    pub fn insert(&mut self, name: &str, text: &str, catalog: &Catalog) -> Result<(), ConfigError> {
        let rules = RuleSet::parse(text, catalog)
            .map_err(|source| ConfigError { name: name.to_owned(), source })?;
        self.0.insert(name.to_owned(), rules);
        Ok(())
    }

    /// The policy of this name.
    pub fn get(&self, name: &str) -> Option<&RuleSet> {
        self.0.get(name)
    }

    /// The names of all policies, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Starts the evaluation of a policy.
    pub fn run<'p>(&'p self, name: &str, data: &'p Data) -> Result<Run<'p>, EvalError> {
        let (name, rules) =
            self.0.get_key_value(name).ok_or_else(|| EvalError::NoSuchPolicy(name.to_owned()))?;
        Ok(Run::start(Some(self), name, rules, data))
    }

    /// Evaluates a policy, asking `source` for the tests that need it.
    pub fn evaluate<S: TestSource>(
        &self,
        name: &str,
        data: &Data,
        source: &mut S,
    ) -> Result<Outcome, RunError<S::Error>> {
        self.run(name, data)?.complete(source)
    }

    /// What the absence of a policy means for access: allowed when `missing_ok`.
    pub fn missing(missing_ok: bool) -> Verdict {
        Verdict { allowed: missing_ok, reason: "missing policy".to_owned(), invalid: false }
    }
}

impl RuleSet {
    /// Evaluates rules by themselves; a `policy` test in them is an error.
    pub fn evaluate<S: TestSource>(
        &self,
        data: &Data,
        source: &mut S,
    ) -> Result<Outcome, RunError<S::Error>> {
        Run::new(self, data).complete(source)
    }
}
