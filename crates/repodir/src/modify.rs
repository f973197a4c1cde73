//! Records of a repository added, removed and renamed.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use toji_repodata::{Compression, Record, decoder};

use crate::error::At as _;
use crate::output::{Format, Staging, add_packed, add_plain, generated};
use crate::{Error, Result, documents};

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A file becomes a record, in the place of one of the same type.
    Add {
        /// Decompressed first, if its name says that it is compressed.
        file: PathBuf,
        /// The type; from the file's name without it: `updateinfo` of `updateinfo.xml.gz`.
        kind: Option<String>,
        /// The name in the repository, without checksum and compression; the file's without it.
        name: Option<String>,
        /// `None` leaves it uncompressed.
        compression: Option<Compression>,
    },
    /// The record of this type goes.
    Remove(String),
    /// The record of a type gets another type.
    Rename(String, String),
}

/// Changes the repository at `dir`, which may also be its `repodata`; readers see all changes at once, or none.
pub fn modify(dir: &Path, changes: &[Change], format: &Format) -> Result<()> {
    let is_inner = dir.ends_with("repodata") && dir.join("repomd.xml").is_file();
    let dir = if is_inner { dir.parent().unwrap_or(dir) } else { dir };
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let staging = Staging::begin(dir)?;
    let old = staging.old().cloned();
    let old = old.ok_or_else(|| Error::NoRepository(dir.to_owned()))?;
    let mut repomd = old.repomd.clone();
    for change in changes {
        match change {
            Change::Add { file, kind, name, compression } => {
                let kind = kind.clone().unwrap_or_else(|| kind_of(file));
                let record = add(&staging, format, (file, name.as_deref(), &kind), *compression)?;
                match repomd.records.iter_mut().find(|old| old.kind == kind) {
                    Some(place) => *place = record,
                    None => repomd.records.push(record),
                }
            }
            Change::Remove(kind) => {
                let before = repomd.records.len();
                repomd.records.retain(|record| record.kind != *kind);
                if repomd.records.len() == before {
                    return Err(Error::NoRecord { path: dir.to_owned(), kind: kind.clone() });
                }
            }
            Change::Rename(from, to) => {
                if repomd.record(to).is_some() {
                    return Err(Error::Request(format!("there is a {to} already")));
                }
                let record = repomd.records.iter_mut().find(|record| record.kind == *from);
                let missing = || Error::NoRecord { path: dir.to_owned(), kind: from.clone() };
                record.ok_or_else(missing)?.kind.clone_from(to);
            }
        }
    }
    for record in &repomd.records {
        if let Some(name) = record.href.strip_prefix("repodata/") {
            old.path(&record.href)?;
            staging.carry(name)?;
        }
    }
    repomd.revision = format.revision.clone().unwrap_or_else(|| format.time.to_string());
    staging.publish(&repomd, format)
}

/// The type that a file's name tells.
fn kind_of(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let plain = generated(&name).unwrap_or(&name);
    plain.split('.').next().unwrap_or_default().to_owned()
}

fn add(
    staging: &Staging,
    format: &Format,
    (path, name, kind): (&Path, Option<&str>, &str),
    compression: Option<Compression>,
) -> Result<Record> {
    if kind.is_empty() {
        return Err(Error::Request(format!("{} has no name to tell its type", path.display())));
    }
    let own = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let plain = name.unwrap_or_else(|| generated(&own).unwrap_or(&own));
    let plain = documents::plain_name(plain);
    if plain.contains('/') || plain.is_empty() {
        return Err(Error::Request(format!("{plain} is not the name of a file")));
    }
    let file = BufReader::new(File::open(path).at(path)?);
    let mut content: Box<dyn std::io::Read> = match documents::is_packed(&own) {
        true => decoder(&own, file).at(path)?,
        false => Box::new(file),
    };
    match compression {
        Some(compression) => add_packed(staging, format, (kind, plain), compression, &mut *content),
        None => add_plain(staging, format, (kind, plain), &mut *content),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_types() {
        let sum = "0".repeat(64);
        for (name, kind) in [
            ("updateinfo.xml.gz", "updateinfo"),
            ("/x/modules.yaml", "modules"),
            ("productid", "productid"),
        ] {
            assert_eq!(kind_of(Path::new(name)), kind);
        }
        assert_eq!(kind_of(Path::new(&format!("{sum}-comps.xml"))), "comps");
    }
}
