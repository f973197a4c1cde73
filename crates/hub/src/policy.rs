//! The hub policy: who may do what, and where things go.
//!
//! The language and its generic tests are in `toji_policy`; the tests that need the database are
//! in [`tests`](self::tests).

mod build;
pub mod past;
mod tests;
mod values;

pub use build::{Build, build};
pub use toji_policy::Data;
pub use values::data;
pub(crate) use values::value as value_of;

use toji_policy::{EvalError, Outcome, PolicySet, RunError, Verdict};
use toji_value::{Fault, Value};

use crate::plugin::Plugins;
use crate::{Call, Config, user};

/// What an access policy decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is allowed.
    pub allowed: bool,
    /// The text behind `allow` or `deny`, or why there is none.
    pub reason: String,
    /// The rule that refused, where `VerbosePolicy` tells callers.
    pub rule: Option<String>,
}

/// Parses the policies of a configuration.
///
/// # Errors
/// `ConfigurationError` that names policy and line.
pub fn load(config: &Config, plugins: &Plugins) -> Result<PolicySet, Fault> {
    let texts = config.policies.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    let parsed = PolicySet::with_catalogs(texts, |policy| plugins.catalog(policy));
    parsed.map_err(|error| Fault::configuration(error.to_string()))
}

impl Call {
    /// Evaluates a policy; nothing if there is no policy of this name.
    ///
    /// # Errors
    /// `GenericError` for data that a test cannot do without.
    pub async fn evaluate(&mut self, name: &str, data: &Data) -> Result<Option<Outcome>, Fault> {
        let hub = self.hub.clone();
        let policies = hub.policies.as_ref().map_err(Fault::clone)?;
        self.evaluate_in(policies, name, data).await
    }

    /// Evaluates a policy of other rules than the hub's own.
    ///
    /// # Errors
    /// `GenericError` for data that a test cannot do without.
    pub async fn evaluate_in(
        &mut self,
        policies: &PolicySet,
        name: &str,
        data: &Data,
    ) -> Result<Option<Outcome>, Fault> {
        if policies.get(name).is_none() {
            return Ok(None);
        }
        let wrong = |error: EvalError| Fault::generic(error.to_string());
        let run = policies.run(name, data).map_err(wrong)?;
        let outcome = run.complete_async(&mut tests::Source { call: self }).await;
        outcome.map(Some).map_err(|error| match error {
            RunError::Policy(error) => wrong(error),
            RunError::Test(fault) => fault,
        })
    }

    /// What an access policy decides; `default` (`allow` or `deny`) where no rule matches.
    ///
    /// With `force`, administrators are allowed in any case.
    ///
    /// # Errors
    /// `GenericError` for data that a test cannot do without.
    pub async fn check_policy(
        &mut self,
        name: &str,
        data: &Data,
        default: &str,
        force: bool,
    ) -> Result<Decision, Fault> {
        let outcome = self.evaluate(name, data).await?;
        let missing_ok = self.hub.config.missing_policy_ok;
        let verdict = match &outcome {
            Some(outcome) => Verdict::from_outcome(outcome, default),
            None => PolicySet::missing(missing_ok),
        };
        if verdict.invalid {
            let rule = outcome.as_ref().map(Outcome::last_rule).unwrap_or_default();
            tracing::error!(policy = name, rule, "invalid action in a policy");
        }
        if !verdict.allowed && force && self.forced(name, data).await? {
            let reason = "overriden by force".to_owned();
            return Ok(Decision { allowed: true, reason, rule: None });
        }
        let verbose = self.hub.config.verbose_policy;
        let rule = verbose.then(|| outcome.as_ref().map(Outcome::last_rule).unwrap_or_default());
        Ok(Decision { allowed: verdict.allowed, reason: verdict.reason, rule })
    }

    /// Whether force helps the user that the data are about.
    async fn forced(&mut self, policy: &str, data: &Data) -> Result<bool, Fault> {
        let Some(user) = tests::user(self, data).await? else { return Ok(false) };
        let perms = user::perms(self, user.id).await?;
        let admin = perms.iter().any(|(perm, _)| perm == "admin");
        if admin {
            tracing::info!(policy, user = user.name, "a policy was overridden by force");
        }
        Ok(admin)
    }

    /// What an access policy decides, denying where no rule matches.
    ///
    /// # Errors
    /// `GenericError` for data that a test cannot do without.
    pub async fn policy(&mut self, name: &str, data: &Data) -> Result<Decision, Fault> {
        self.check_policy(name, data, "deny", false).await
    }

    /// Fails unless an access policy allows; `force` helps administrators.
    ///
    /// # Errors
    /// `ActionNotAllowed` with the reason.
    pub async fn assert_policy(
        &mut self,
        name: &str,
        data: &Data,
        force: bool,
    ) -> Result<(), Fault> {
        let decision = self.check_policy(name, data, "deny", force).await?;
        decision.demand(name)
    }

    /// The text of the action that a policy answers, nil where no rule matches.
    ///
    /// # Errors
    /// `GenericError` when there is no such policy.
    pub async fn policy_action(&mut self, name: &str, data: &Data) -> Result<Value, Fault> {
        let outcome = self.evaluate(name, data).await?;
        let missing = || Fault::generic(format!("no such policy: {name}"));
        let outcome = outcome.ok_or_else(missing)?;
        Ok(outcome.action().map(Value::from).unwrap_or_default())
    }
}

impl Decision {
    /// Fails unless it is allowed.
    ///
    /// # Errors
    /// `ActionNotAllowed` with the reason.
    pub fn demand(self, policy: &str) -> Result<(), Fault> {
        if self.allowed {
            return Ok(());
        }
        let reason = match self.reason.as_str() {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        let rule = self.rule.map(|rule| format!(" [rule: {rule}]")).unwrap_or_default();
        Err(Fault::not_allowed(format!("policy violation ({policy}){reason}{rule}")))
    }
}
