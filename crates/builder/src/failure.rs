//! How a task ends without a result.

use std::fmt::Display;

use toji_value::Fault;

/// What a handler gives instead of a result: the fault with which the task fails.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) Fault);

/// Shorthand for results of handlers.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// The build is not right.
    pub(crate) fn build(text: impl Into<String>) -> Self {
        Failure(Fault::build(text))
    }

    /// The buildroot is not right.
    pub(crate) fn buildroot(text: impl Into<String>) -> Self {
        Failure(Fault::buildroot(text))
    }

    /// Anything that has no class of its own.
    pub(crate) fn generic(text: impl Into<String>) -> Self {
        Failure(Fault::generic(text))
    }

    /// A local operation that failed.
    pub(crate) fn local<E: std::error::Error>(what: impl Display) -> impl FnOnce(E) -> Self {
        let what = what.to_string();
        move |error| Failure::generic(format!("{what}: {}", chain(&error)))
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Failure(fault)
    }
}

impl From<toji_client::Error> for Failure {
    fn from(error: toji_client::Error) -> Self {
        match error {
            toji_client::Error::Fault(fault) => Failure(fault),
            other => Failure::generic(chain(&other)),
        }
    }
}

impl From<toji_sandbox::Error> for Failure {
    fn from(error: toji_sandbox::Error) -> Self {
        Failure::buildroot(format!("failed to {}", chain(&error)))
    }
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
