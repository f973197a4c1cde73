//! Types of archives, by the ends of file names.

use toji_api::catalog::*;
use toji_db::{Row, catalog};
use toji_value::{Fault, FromValue, Value};

use crate::archive::kind::by_filename;
use crate::dispatch::Handle;
use crate::{Call, check};

impl Handle for GetArchiveTypes {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let rows = catalog::archive_types(&mut call.tx).await?;
        Ok(Value::Array(rows.into_iter().map(|row| row.into_map().into()).collect()))
    }
}

impl Handle for GetArchiveType {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let rows = catalog::archive_types(&mut call.tx).await?;
        let no_rows = || Fault::generic("query returned no rows");
        let (found, missing) = if self.type_id.truthy() {
            let id = i64::from_value(self.type_id)?;
            (rows.into_iter().find(|row| row.value("id").as_int() == Some(id)), no_rows())
        } else if self.type_name.truthy() {
            let named = |row: &Row| row.value("name") == &self.type_name;
            (rows.into_iter().find(named), no_rows())
        } else if self.filename.truthy() {
            let filename = check::text(&self.filename)?;
            let text = format!("unsupported file extension: {filename}");
            (by_filename(&rows, filename)?.cloned(), Fault::generic(text))
        } else {
            let text = "one of filename, type_name, or type_id must be specified";
            return Err(Fault::generic(text));
        };
        match found {
            Some(row) => Ok(row.into_map().into()),
            None if self.strict => Err(missing),
            None => Ok(Value::Nil),
        }
    }
}

impl Handle for AddArchiveType {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let rules = call.names()?;
        let name = rules.internal(&self.name)?;
        let description = check::text(&self.description)?;
        let extensions = check::text(&self.extensions)?;
        let compression = check::text_opt(&self.compression_type)?;
        if !matches!(compression, None | Some("zip" | "tar")) {
            let shown = compression.unwrap_or_default();
            return Err(Fault::generic(format!("Unsupported compression type {shown}")));
        }
        let known = catalog::archive_types(&mut call.tx).await?;
        if known.iter().any(|row| row.value("name").as_str() == Some(name)) {
            return Err(Fault::generic(format!("archivetype {name} already exists")));
        }
        for extension in extensions.split(' ') {
            let plain = extension.replace('.', "");
            if plain.is_empty() || !plain.chars().all(char::is_alphanumeric) {
                return Err(Fault::generic(format!("No such {extension} file extension")));
            }
            // A Koji hub notices only the types that have this one extension, and administrators
            // add further types for extensions like `jar`.
            let same = |row: &Row| {
                let others = row.value("extensions").as_str().unwrap_or_default();
                others.eq_ignore_ascii_case(extension)
            };
            if known.iter().any(same) {
                let text = format!("file extension {extension} already exists");
                return Err(Fault::generic(text));
            }
        }
        let tx = &mut call.tx;
        catalog::add_archive_type(tx, name, description, extensions, compression).await?;
        Ok(Value::Nil)
    }
}
