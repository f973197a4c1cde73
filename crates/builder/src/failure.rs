//! How a task ends without a result, and whose fault that is.

use std::fmt::Display;
use std::io::ErrorKind;

use toji_value::Fault;

/// What a handler gives instead of a result: the fault with which the task fails, and what failed.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) Fault, pub(crate) Whose);

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// What was asked for cannot be done, here or elsewhere.
    Task,
    /// This machine or its way to the hub: another builder may do the task.
    Builder,
}

/// Shorthand for results of handlers.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// The build is not right.
    pub(crate) fn build(text: impl Into<String>) -> Self {
        Failure(Fault::build(text), Whose::Task)
    }

    /// The buildroot is not right.
    pub(crate) fn buildroot(text: impl Into<String>) -> Self {
        Failure(Fault::buildroot(text), Whose::Task)
    }

    /// Anything that has no class of its own.
    pub(crate) fn generic(text: impl Into<String>) -> Self {
        Failure(Fault::generic(text), Whose::Task)
    }

    /// This builder cannot do it.
    pub(crate) fn own(text: impl Into<String>) -> Self {
        Failure(Fault::generic(text), Whose::Builder)
    }

    /// The same failure, with what was to be done before its text.
    pub(crate) fn while_doing(self, what: impl Display) -> Self {
        let Failure(mut fault, whose) = self;
        fault.message = format!("{what}: {}", fault.message);
        Failure(fault, whose)
    }

    /// A local operation that failed.
    ///
    /// It is this builder's failure when the disk is full or broken, or memory or descriptors are used up.
    pub(crate) fn local<E: std::error::Error + 'static>(
        what: impl Display,
    ) -> impl FnOnce(E) -> Self {
        let what = what.to_string();
        move |error| {
            let text = format!("{what}: {}", chain(&error));
            if is_of_machine(&error) { Failure::own(text) } else { Failure::generic(text) }
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Failure(fault, Whose::Task)
    }
}

impl From<toji_client::Error> for Failure {
    fn from(error: toji_client::Error) -> Self {
        match error {
            toji_client::Error::Fault(fault) => fault.into(),
            // What arrives damaged again and again, too, is a matter of the way here.
            other
                if other.is_transient()
                    || is_of_machine(&other)
                    || matches!(other, toji_client::Error::Mismatch { .. }) =>
            {
                Failure::own(chain(&other))
            }
            other => Failure::generic(chain(&other)),
        }
    }
}

impl From<toji_sandbox::Error> for Failure {
    fn from(error: toji_sandbox::Error) -> Self {
        use toji_sandbox::Error;
        let text = format!("failed to {}", chain(&error));
        let whose = match &error {
            // The packages themselves: another builder has the same ones.
            Error::Layer { reason } if !mentions_full_disk(reason) => Whose::Task,
            Error::Path { .. } => Whose::Task,
            _ => Whose::Builder,
        };
        Failure(Fault::buildroot(text), whose)
    }
}

impl From<Failure> for crate::Error {
    fn from(Failure(fault, _): Failure) -> Self {
        crate::Error::Again(fault.message)
    }
}

/// Whether a text tells of a full disk.
pub(crate) fn mentions_full_disk(text: &str) -> bool {
    let signs = ["No space left on device", "Disk quota exceeded", "database or disk is full"];
    signs.iter().any(|sign| text.contains(sign))
}

/// Whether something that the whole machine lacks is among the causes.
fn is_of_machine(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            // EIO, ENFILE and EMFILE have no kind of their own.
            let number = matches!(io.raw_os_error(), Some(5 | 23 | 24));
            let kind = matches!(
                io.kind(),
                ErrorKind::StorageFull
                    | ErrorKind::QuotaExceeded
                    | ErrorKind::ReadOnlyFilesystem
                    | ErrorKind::OutOfMemory
            );
            if number || kind {
                return true;
            }
        }
        next = cause.source();
    }
    false
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

#[cfg(test)]
mod tests {
    use std::io::Error as Io;

    use super::*;

    #[test]
    fn what_the_machine_lacks_is_the_builders_failure() {
        for (number, whose) in
            [(28, Whose::Builder), (30, Whose::Builder), (5, Whose::Builder), (2, Whose::Task)]
        {
            let failure = Failure::local("write")(Io::from_raw_os_error(number));
            assert_eq!(failure.1, whose, "{}", failure.0.message);
        }
        let path = std::path::PathBuf::from("x");
        let error = toji_client::Error::File { path, source: Io::from_raw_os_error(28) };
        assert_eq!(Failure::from(error).1, Whose::Builder);
    }

    #[test]
    fn the_way_to_the_hub_is_the_builders_packages_are_not() {
        let status = |status| toji_client::Error::Status { url: "u".to_owned(), status };
        assert_eq!(Failure::from(status(503)).1, Whose::Builder);
        assert_eq!(Failure::from(status(404)).1, Whose::Task);
        let (what, expected) = ("sha256 of /a.rpm".to_owned(), "aa".to_owned());
        let other = toji_client::Error::Mismatch { what, expected, found: "bb".to_owned() };
        let failure = Failure::from(other).while_doing("fetch a-1-1.noarch");
        let text = "fetch a-1-1.noarch: sha256 of /a.rpm: expected aa, got bb";
        assert_eq!((failure.0.message.as_str(), failure.1), (text, Whose::Builder));
        let refused = toji_client::Error::Fault(Fault::build("no"));
        assert_eq!(Failure::from(refused).1, Whose::Task);
        let layer = |reason: &str| toji_sandbox::Error::Layer { reason: reason.to_owned() };
        assert_eq!(Failure::from(layer("conflicts")).1, Whose::Task);
        assert_eq!(Failure::from(layer("x: No space left on device")).1, Whose::Builder);
        let setup = toji_sandbox::Error::Setup { reason: "no namespaces".to_owned() };
        assert_eq!(Failure::from(setup).1, Whose::Builder);
    }
}
