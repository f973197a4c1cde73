//! Copies and new names within a store, from any place to any other.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::Store;
use crate::fence::pass;
use crate::s3::{S3, Way};
use crate::{Error, Kind, Local, Result, Volume};

impl Store {
    /// Copies a directory with all that is in it to a path where nothing is yet.
    ///
    /// Object stores have no links: a directory with links in it cannot go there. Logs that are compressed go there as they were.
    ///
    /// # Errors
    /// When something cannot be read or written, or is not there whole afterwards; what was copied stays.
    pub fn copy_tree(&self, from: &Path, to: &Path) -> Result<()> {
        match (self.at(from), self.at(to)) {
            (None, None) => crate::copy_tree(from, to),
            (None, Some((volume, below))) => upload_tree(from, volume, &below),
            (Some((volume, below)), None) => download_tree(volume, &below, to),
            (Some((old, from)), Some((new, to))) => copy_objects(old, &from, new, &to),
        }
    }

    /// All files and links below a directory, with lengths and times: equal ones a while apart tell that nothing was written.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub fn state(&self, dir: &Path) -> Result<Vec<crate::Item>> {
        match self.at(dir) {
            Some((volume, below)) => volume.walk(&below),
            None => Local::new(dir)?.walk(""),
        }
    }

    /// Gives a file or directory another name, in place of a link; one that is gone was renamed before.
    ///
    /// # Errors
    /// When something cannot be renamed.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        match (self.at(from), self.at(to)) {
            (None, None) => rename_local(from, to),
            (Some((old, from)), Some((new, to))) if old.name() == new.name() => {
                // Of a renaming that was interrupted, what is left at the old name goes on.
                for item in everything(old, &from)? {
                    let rest = item.path.strip_prefix(&from).unwrap_or_default();
                    old.copy(&item.path, &format!("{to}{rest}"))?;
                    old.remove_one(&item.path)?;
                }
                Ok(())
            }
            _ => {
                if !self.exists(from)? {
                    return Ok(());
                }
                self.copy_tree(from, to)?;
                self.remove_tree(from)
            }
        }
    }

    /// Makes a link in place of an older one; object stores have none, and content stays.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn link(&self, at: &Path, target: &Path) -> Result<bool> {
        if self.at(at).is_some() {
            return Ok(true);
        }
        match crate::replace_link(at, target) {
            Ok(()) => Ok(true),
            Err(Error::Exists(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn make_parent(path: &Path) -> Result<()> {
    pass()?;
    let dir = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(dir).map_err(Error::io(dir))
}

fn rename_local(from: &Path, to: &Path) -> Result<()> {
    if fs::symlink_metadata(from).is_err() {
        return Ok(());
    }
    make_parent(to)?;
    pass()?;
    if fs::symlink_metadata(to).is_ok_and(|meta| meta.is_symlink()) {
        fs::remove_file(to).map_err(Error::io(to))?;
    }
    fs::rename(from, to).map_err(Error::io(from))
}

/// An object, and those below its name.
fn everything(volume: &S3, path: &str) -> Result<Vec<crate::Item>> {
    match volume.item(path)? {
        Some(item) if item.kind == Kind::File => Ok(vec![item]),
        Some(_) => volume.walk(path),
        None => Ok(Vec::new()),
    }
}

/// The lengths of the files below a directory by their paths in it; it must not be empty.
fn lengths(volume: &dyn Volume, path: &str) -> Result<BTreeMap<String, u64>> {
    let mut found = BTreeMap::new();
    for item in volume.walk(path)? {
        if item.kind != Kind::File {
            return Err(Error::NotAFile(item.path));
        }
        let rest = item.path.strip_prefix(path).unwrap_or(&item.path).trim_start_matches('/');
        found.insert(rest.to_owned(), item.size);
    }
    match found.is_empty() {
        true => Err(Error::io(path)(std::io::ErrorKind::NotFound.into())),
        false => Ok(found),
    }
}

fn compare(
    path: &str,
    wanted: &BTreeMap<String, u64>,
    found: &BTreeMap<String, u64>,
) -> Result<()> {
    for (name, expected) in wanted {
        let found = found.get(name).copied().unwrap_or(0);
        if found != *expected {
            let path = format!("{path}/{name}");
            return Err(Error::Length { path, expected: *expected, found });
        }
    }
    Ok(())
}

fn upload_tree(from: &Path, volume: &S3, to: &str) -> Result<()> {
    let local = Local::new(from)?;
    let wanted = lengths(&local, "")?;
    for (name, size) in &wanted {
        let path = from.join(name);
        let mut file = fs::File::open(&path).map_err(Error::io(&path))?;
        let to = format!("{to}/{name}");
        if file.metadata().map_err(Error::io(&path))?.len() == *size {
            volume.upload(&to, &mut file, Way::New, "")?;
            continue;
        }
        // A compressed log: its own content goes up.
        let mut plain = tempfile::tempfile().map_err(Error::io(&path))?;
        std::io::copy(&mut local.open(name)?, &mut plain).map_err(Error::io(&path))?;
        volume.upload(&to, &mut plain, Way::New, "")?;
    }
    compare(to, &wanted, &lengths(volume, to)?)
}

fn download_tree(volume: &S3, from: &str, to: &Path) -> Result<()> {
    let wanted = lengths(volume, from)?;
    for (name, size) in &wanted {
        let target: PathBuf = to.join(crate::normalize(name)?);
        make_parent(&target)?;
        let mut reader = volume.reader(&format!("{from}/{name}"))?;
        let mut file = fs::File::create_new(&target).map_err(Error::io(&target))?;
        let found = std::io::copy(&mut reader.by_ref().take(u64::MAX), &mut file);
        let found = found.map_err(Error::io(&target))?;
        file.flush().and_then(|()| file.sync_all()).map_err(Error::io(&target))?;
        if found != *size {
            let path = target.display().to_string();
            return Err(Error::Length { path, expected: *size, found });
        }
    }
    Ok(())
}

fn copy_objects(old: &S3, from: &str, new: &S3, to: &str) -> Result<()> {
    let wanted = lengths(old, from)?;
    for name in wanted.keys() {
        let (from, to) = (format!("{from}/{name}"), format!("{to}/{name}"));
        match old.name() == new.name() {
            true => old.copy(&from, &to)?,
            false => new.upload(&to, &mut old.reader(&from)?, Way::New, "")?,
        }
    }
    compare(to, &wanted, &lengths(new, to)?)
}
