//! A copy of the whole database, as it is at one moment.

use std::path::PathBuf;

use rusqlite::{Connection, OpenFlags};

use super::{Pool, blocking, error, open_conn};
use crate::{Error, Result};

impl Pool {
    /// Writes a copy to a file that does not exist yet; whoever writes is not held up.
    pub(crate) async fn copy_to(&self, to: PathBuf) -> Result<()> {
        let (path, options) = (self.path.clone(), self.options.clone());
        blocking(move || {
            let to = to.to_str().ok_or_else(|| Error::Url(to.display().to_string()))?.to_owned();
            let conn = open_conn(&path, &options, true)?;
            // It reads one moment for as long as it takes, and packs what it copies.
            conn.sqlite.execute("VACUUM INTO ?1", [to]).map(drop).map_err(error)
        })
        .await?
    }
}

/// Whether a file is a whole database.
pub(crate) async fn check(file: PathBuf) -> Result<()> {
    blocking(move || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(file, flags).map_err(error)?;
        let said: String =
            conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(error)?;
        match said.as_str() {
            "ok" => Ok(()),
            said => Err(Error::Other(said.to_owned())),
        }
    })
    .await?
}
