//! Links that lead into object stores, for those who look at directories.

use super::{Source, Store};
use crate::{Item, Kind, Local, Result, Volume as _};

impl Store {
    /// The files of object stores that links below a directory lead to: paths below it, and what is there.
    ///
    /// # Errors
    /// When the directory cannot be read, or an object store does not answer.
    pub fn away(&self, dir: &str) -> Result<Vec<(String, Item)>> {
        let mut found = Vec::new();
        if !self.has_remote() {
            return Ok(found);
        }
        for item in Local::new(self.0.top.join(crate::normalize(dir)?))?.walk("")? {
            if !matches!(item.kind, Kind::Link(_)) {
                continue;
            }
            if let Some((volume, below)) = self.resolve(&format!("{dir}/{}", item.path))
                && let Some(object) = volume.item(&below)?
                && object.kind == Kind::File
            {
                found.push((item.path, object));
            }
        }
        Ok(found)
    }

    /// The same as [`Store::open_away`], and what is known of the object.
    ///
    /// # Errors
    /// When the object store does not answer.
    pub fn away_file(&self, path: &str) -> Result<Option<(Box<dyn Source>, Item)>> {
        let Some((volume, below)) = self.resolve(path) else { return Ok(None) };
        match volume.reader(&below) {
            Ok(reader) => {
                let (size, modified) = (reader.size(), Some(reader.modified()));
                let item = Item { path: below, kind: Kind::File, size, modified };
                Ok(Some((Box::new(reader), item)))
            }
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens the object that a path below the top leads to; nothing if it leads into no object store, or to nothing there.
    ///
    /// # Errors
    /// When the object store does not answer.
    pub fn open_away(&self, path: &str) -> Result<Option<Box<dyn Source>>> {
        Ok(self.away_file(path)?.map(|(file, _)| file))
    }
}
