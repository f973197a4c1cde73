//! Why a document was refused.

/// A document that is not an acceptable XML-RPC message.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// More bytes than [`crate::Limits::bytes`].
    #[error("the document has more than {0} bytes")]
    TooLong(usize),
    /// Deeper than [`crate::Limits::depth`].
    #[error("values are nested deeper than {0}")]
    TooDeep(usize),
    /// More elements than [`crate::Limits::elements`].
    #[error("the document has more than {0} elements")]
    TooMany(usize),
    /// Not UTF-8, or another encoding declared.
    #[error("the document is not in UTF-8")]
    Encoding,
    /// A document type declaration.
    #[error("document type declarations are forbidden")]
    Dtd,
    /// An entity beyond XML's five.
    #[error("the entity '{0}' is forbidden")]
    Entity(String),
    /// A character or a reference to one that XML 1.0 has not.
    #[error("character U+{0:04X} is forbidden")]
    Character(u32),
    /// The document ends early.
    #[error("the document is cut off")]
    Cut,
    /// Not well-formed XML.
    #[error("malformed XML at byte {at}: {what}")]
    Malformed {
        /// Offset from the start.
        at: u64,
        /// What the XML reader says.
        what: String,
    },
    /// Well-formed, but not XML-RPC.
    #[error("unexpected {found}, expected {expected}")]
    Unexpected {
        /// What came.
        found: String,
        /// What was due.
        expected: &'static str,
    },
    /// Text that is not of its declared type.
    #[error("not a valid {kind}: '{text}'")]
    Literal {
        /// The element.
        kind: &'static str,
        /// The beginning of the text.
        text: String,
    },
}
