//! What a caller of the API is told of a database error.

use toji_value::Fault;

use crate::Error;

/// Only texts that say nothing about statements reach the caller; the rest goes to the log.
impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        match error {
            Error::Option(text) => Fault::generic(text),
            Error::NoRows | Error::ManyRows => Fault::generic(error.to_string()),
            Error::NoLock(_) => Fault::lock(error.to_string()),
            Error::Type(text) => Fault::parameter(format!("a value does not fit: {text}")),
            Error::Unique { .. } => Fault::generic("an object with the same key exists already"),
            Error::ForeignKey { .. } => {
                Fault::generic("the change refers to an object that does not exist, or is in use")
            }
            Error::Conflict | Error::Busy => {
                Fault::lock("the database is busy with conflicting changes, try again")
            }
            Error::Lost(reason) => {
                tracing::error!(reason, "the database is away");
                // Builders keep what they have to say for a hub that is offline, and say it again.
                Fault::offline("database outage")
            }
            other => {
                tracing::error!(error = %other, "a database operation failed");
                Fault::unexpected("the database operation failed, the hub's log tells more")
            }
        }
    }
}
