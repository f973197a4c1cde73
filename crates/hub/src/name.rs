//! Rules for names that callers choose.

use regex::Regex;
use toji_value::{Fault, Value};

use crate::{Call, Config};

/// The compiled naming rules of a hub.
#[derive(Clone, Debug)]
pub struct NameRules {
    max_length: usize,
    internal: Option<Regex>,
    user: Option<Regex>,
}

impl NameRules {
    /// The rules of a configuration; an empty pattern allows everything.
    ///
    /// # Errors
    /// `ConfigurationError` for a pattern that is no regular expression.
    pub fn new(config: &Config) -> Result<Self, Fault> {
        Ok(NameRules {
            max_length: config.max_name_length,
            internal: pattern("RegexNameInternal", &config.name_pattern)?,
            user: pattern("RegexUserName", &config.user_pattern)?,
        })
    }

    /// Checks the name of a tag, target, package, channel, permission and the like.
    ///
    /// # Errors
    /// `GenericError` with Koji's wording.
    pub fn internal<'v>(&self, name: &'v Value) -> Result<&'v str, Fault> {
        let name = name.as_str().ok_or_else(|| Fault::generic("Name should be string"))?;
        self.length("Name", name)?;
        matches(&self.internal, "Name", name, "RegexNameInternal")?;
        Ok(name)
    }

    /// Checks a user's name.
    ///
    /// # Errors
    /// `GenericError` with Koji's wording.
    pub fn user<'v>(&self, name: &'v Value) -> Result<&'v str, Fault> {
        let name = name.as_str().ok_or_else(|| Fault::generic("Name should be string"))?;
        self.length("Name", name)?;
        matches(&self.user, "Name", name, "RegexUserName")?;
        Ok(name)
    }

    /// Checks a Kerberos principal.
    ///
    /// # Errors
    /// `GenericError` with Koji's wording.
    pub fn principal<'v>(&self, name: &'v Value) -> Result<&'v str, Fault> {
        let wrong = || Fault::generic("Kerberos principal should be string");
        let name = name.as_str().ok_or_else(wrong)?;
        self.length("Kerberos principal", name)?;
        matches(&self.user, "Kerberos principal", name, "RegexUserName")?;
        Ok(name)
    }

    fn length(&self, what: &str, name: &str) -> Result<(), Fault> {
        let most = self.max_length;
        if most != 0 && name.chars().count() > most {
            let text = format!("{what} {name} is too long. Max length is {most} characters");
            return Err(Fault::generic(text));
        }
        Ok(())
    }
}

fn pattern(option: &str, text: &str) -> Result<Option<Regex>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    let regex = Regex::new(&format!(r"\A(?:{text})"));
    let refusal = |e| Fault::configuration(format!("option {option} is no pattern: {e}"));
    regex.map(Some).map_err(refusal)
}

fn matches(rule: &Option<Regex>, what: &str, name: &str, option: &str) -> Result<(), Fault> {
    if rule.as_ref().is_none_or(|regex| regex.is_match(name)) {
        return Ok(());
    }
    Err(Fault::generic(format!("{what} {name} does not match {option} value")))
}

impl Call {
    /// The naming rules of this hub.
    ///
    /// # Errors
    /// `ConfigurationError` when the options hold no usable pattern.
    pub fn names(&self) -> Result<NameRules, Fault> {
        self.hub.names.clone()
    }
}
