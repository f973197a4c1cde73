//! What can go wrong in the database, told apart where a caller acts differently.

/// The result of a database operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed database operation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A row with the same key exists.
    #[error("duplicate of an existing row ({constraint})")]
    Unique {
        /// Constraint name (PostgreSQL) or `table.column` list (SQLite).
        constraint: String,
    },
    /// A row refers to one that does not exist, or one still referred to would vanish.
    #[error("reference to a missing row, or row still referred to ({constraint})")]
    ForeignKey {
        /// Constraint name; empty on SQLite, which does not tell.
        constraint: String,
    },
    /// A check constraint does not hold.
    #[error("value refused by constraint {constraint}")]
    Check {
        /// Constraint name or expression.
        constraint: String,
    },
    /// A column that needs a value has none.
    #[error("no value for column {column}")]
    NotNull {
        /// Column name.
        column: String,
    },
    /// Two transactions got in each other's way; the whole transaction may be tried again.
    #[error("transaction conflict, may be tried again")]
    Conflict,
    /// The database, its writer or a pooled connection was not free in time.
    #[error("database busy")]
    Busy,
    /// The statement was interrupted.
    #[error("statement cancelled")]
    Cancelled,
    /// The connection to the server was lost or could not be made.
    #[error("database connection lost: {0}")]
    Lost(String),
    /// An earlier statement of the transaction failed; only a rollback is possible.
    #[error("transaction already failed")]
    Aborted,
    /// A value does not fit the type that the statement wants.
    #[error("value does not fit: {0}")]
    Type(String),
    /// A column asked for is not in the result, or holds something else.
    #[error("column {column}: {problem}")]
    Column {
        /// Name or position.
        column: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A single-row query found nothing.
    #[error("query returned no rows")]
    NoRows,
    /// A single-row query found several rows.
    #[error("multiple rows returned for a single row query")]
    ManyRows,
    /// A named lock that the `locks` table does not hold.
    #[error("lock not defined: {0}")]
    NoLock(String),
    /// A query option that cannot be used; the text is for the caller of the API.
    #[error("{0}")]
    Option(String),
    /// The database URL cannot be used.
    #[error("unusable database url: {0}")]
    Url(String),
    /// The schema cannot be brought up to date.
    #[error("schema: {0}")]
    Schema(String),
    /// A defect in a statement text.
    #[error("statement refused: {0}")]
    Statement(String),
    /// Anything else that the database reports.
    #[error("database error: {0}")]
    Other(String),
}

impl Error {
    /// Whether the same transaction may succeed when it is run again.
    pub fn is_transient(&self) -> bool {
        matches!(self, Error::Conflict | Error::Busy | Error::Lost(_))
    }
}
