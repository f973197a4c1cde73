//! What can be wrong with a policy text or its evaluation.

/// A policy text that cannot be used, with the line at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct ParseError {
    /// Line number, from 1; the last line for an unclosed brace.
    pub line: usize,
    /// What is wrong.
    pub kind: ParseErrorKind,
}

/// The faults of a policy line; texts are Koji's where Koji has one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// Neither `::` nor `!!`.
    #[error("bad policy line: {0}")]
    NoSeparator(String),
    /// Braces do not match.
    #[error("nesting error in rule set")]
    Nesting,
    /// Nothing after the separator.
    #[error("missing action: {0}")]
    MissingAction(String),
    /// `break` with something other than one number.
    #[error("Invalid break action: {0}")]
    BadBreak(String),
    /// `stop` with arguments.
    #[error("Invalid stop action: {0}")]
    BadStop(String),
    /// `flag` without a name.
    #[error("Invalid flag action: {0}")]
    BadFlag(String),
    /// An empty test, or `!` with nothing behind it.
    #[error("missing/invalid test: '{0}'")]
    EmptyTest(String),
    /// No test of this name in the catalog.
    #[error("missing test handler: {0}")]
    UnknownTest(String),
    /// A test that lacks the field it needs.
    #[error("Invalid or missing field in policy test: {0}")]
    MissingField(String),
    /// `compare` with an unknown operator or too few words.
    #[error("Invalid comparison in test: {0}")]
    BadComparison(String),
    /// `compare` with something that is no number.
    #[error("invalid number in policy test: {0}")]
    BadNumber(String),
    /// An expression that does not follow the grammar.
    #[error("bad expression: {0}")]
    BadExpression(&'static str),
    /// Braces nested deeper than [`crate::MAX_DEPTH`].
    #[error("rules are nested more than {0} deep")]
    TooDeep(usize),
    /// A text longer than [`crate::MAX_SIZE`] bytes.
    #[error("policy text is longer than {0} bytes")]
    TooLong(usize),
}

/// A policy of a configuration that does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("policy {name}, {source}")]
pub struct ConfigError {
    /// Name of the policy.
    pub name: String,
    /// What is wrong with its text.
    pub source: ParseError,
}

/// What can go wrong while a policy is evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// A `policy` test, or the caller, names a policy that is not configured.
    #[error("no such policy: {0}")]
    NoSuchPolicy(String),
    /// A `policy` test leads back to itself.
    #[error("encountered policy loop at {0}")]
    Loop(String),
    /// A test that lacks the field it needs.
    #[error("Invalid or missing field in policy test: {0}")]
    MissingField(String),
    /// An order comparison of a field that is not a number.
    #[error("field {field} is not a number in policy test: {test}")]
    NotANumber {
        /// The field.
        field: String,
        /// The test's text.
        test: String,
    },
}
