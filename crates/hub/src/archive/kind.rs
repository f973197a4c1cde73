//! Types of archives, by the ends of file names.

use toji_db::{Row, catalog};
use toji_value::Fault;

use crate::Call;

/// All types of archives.
#[derive(Clone, Debug)]
pub struct Kinds(Vec<Row>);

/// A type of archives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The number.
    pub id: i64,
    /// The name.
    pub name: String,
}

impl Kinds {
    /// Reads them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn read(call: &mut Call) -> Result<Self, Fault> {
        Ok(Kinds(catalog::archive_types(&mut call.tx).await?))
    }

    /// The type of a file, or nothing.
    ///
    /// # Errors
    /// When two types have the extension.
    pub fn find(&self, filename: &str) -> Result<Option<Kind>, Fault> {
        let Some(row) = by_filename(&self.0, filename)? else { return Ok(None) };
        Ok(Some(Kind { id: row.get("id")?, name: row.get("name")? }))
    }

    /// The type of a file.
    ///
    /// # Errors
    /// A generic fault when no type has the extension.
    pub fn need(&self, filename: &str) -> Result<Kind, Fault> {
        let missing = || Fault::generic(format!("unsupported file extension: {filename}"));
        self.find(filename)?.ok_or_else(missing)
    }
}

/// The type with the longest end of the name: `tar.gz` before `gz`.
///
/// # Errors
/// When two types have the extension.
pub(crate) fn by_filename<'r>(rows: &'r [Row], filename: &str) -> Result<Option<&'r Row>, Fault> {
    let name = filename.to_lowercase();
    let mut end = Some(name.as_str());
    while let Some(text) = end {
        let has = |row: &&Row| {
            let extensions = row.value("extensions").as_str().unwrap_or_default().to_lowercase();
            extensions.split_whitespace().any(|known| known == text)
        };
        let found: Vec<&Row> = rows.iter().filter(has).collect();
        match found.as_slice() {
            [] => {}
            [row] => return Ok(Some(row)),
            _ => {
                let text = format!("multiple matches for file extension: {text}");
                return Err(Fault::generic(text));
            }
        }
        end = text.split_once('.').map(|(_, rest)| rest);
    }
    Ok(None)
}
