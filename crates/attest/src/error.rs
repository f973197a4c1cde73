//! What can be wrong with keys, envelopes and statements.

/// Why something is not to be believed, or cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text that is no PEM of a key as it should be.
    #[error("not {0} in PEM")]
    Key(&'static str),
    /// A text that is no envelope or no statement.
    #[error("not {what}")]
    Form {
        /// What it should be.
        what: &'static str,
        /// What the reader says.
        #[source]
        source: serde_json::Error,
    },
    /// Base64 that is none.
    #[error("broken base64 in the {0}")]
    Base64(&'static str),
    /// Another kind of content than a statement.
    #[error("the {what} is {found}, not {wanted}")]
    Kind {
        /// Which type.
        what: &'static str,
        /// The one that is there.
        found: String,
        /// The one that should be.
        wanted: &'static str,
    },
    /// Signatures, none of which is by a known key.
    #[error("no signature is by a known key; it has signatures by {0}")]
    UnknownKey(String),
    /// A signature that does not fit what it signs.
    #[error("the signature by {0} is wrong")]
    Signature(String),
}

/// The result of the functions of this crate.
pub type Result<T> = std::result::Result<T, Error>;
