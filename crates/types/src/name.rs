//! Which names may be given to new objects and users.

/// Longest name that is accepted by default, in characters.
pub const MAX_LENGTH: usize = 256;

/// The default pattern of names of tags, targets, hosts, channels and the like.
pub const INTERNAL_PATTERN: &str = "^[A-Za-z0-9/_.+-]+$";

/// The default pattern of names of users and Kerberos principals.
pub const USER_PATTERN: &str = "^[A-Za-z0-9/_.@-]+$";

/// A name that may not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Longer than allowed.
    #[error("Name {0} is too long. Max length is {1} characters")]
    TooLong(String, usize),
    /// A character outside of the pattern of internal names.
    #[error("Name {0} does not match RegexNameInternal value")]
    Internal(String),
    /// A character outside of the pattern of user names.
    #[error("Name {0} does not match RegexUserName value")]
    User(String),
    /// An arch with a character that no arch has.
    #[error("Architecture can be only [a-zA-Z0-9_-]")]
    Arch,
}

/// Checks a name of a tag, target, host, channel and the like by the default rules.
pub fn check_internal(name: &str) -> Result<(), NameError> {
    check_length(name)?;
    if matches(name, b"/_.+-") { Ok(()) } else { Err(NameError::Internal(name.to_owned())) }
}

/// Checks a user's name by the default rules.
pub fn check_user(name: &str) -> Result<(), NameError> {
    check_length(name)?;
    if matches(name, b"/_.@-") { Ok(()) } else { Err(NameError::User(name.to_owned())) }
}

fn check_length(name: &str) -> Result<(), NameError> {
    if name.chars().count() > MAX_LENGTH {
        return Err(NameError::TooLong(name.to_owned(), MAX_LENGTH));
    }
    Ok(())
}

fn matches(name: &str, others: &[u8]) -> bool {
    // Python's `$` also matches before a final newline, and so must this
    let name = name.strip_suffix('\n').unwrap_or(name);
    !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || others.contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_default_patterns() {
        assert!(check_internal("f40-build/x_1.2+3").is_ok());
        assert!(check_user("host/builder.example@REALM").is_ok());
        assert!(check_internal("a b").is_err());
        assert!(check_internal("").is_err());
        assert!(check_user("c++").is_err());
        let long = "x".repeat(257);
        assert_eq!(
            check_internal(&long).unwrap_err().to_string(),
            format!("Name {long} is too long. Max length is 256 characters")
        );
    }
}
