//! Uploads that lie in an object store until they are imported.
//!
//! A client writes to a key of its own below `incoming/` by a ticket. From there the hub copies what has come to a key below `work/`,
//! which no ticket opens, reads it, and only then makes the link in the work directory that stands for the upload. The link's text
//! is the key: directory and name of the upload, then its SHA-256 and the mark of its object. Nobody but the hub makes links there.

use std::fs;
use std::io::Write as _;
use std::path::{Component, Path};
use std::time::SystemTime;

use super::{Source, Store};
use crate::passing::own_file;
use crate::s3::{S3, Ticket, Way};
use crate::{Algorithm, Area, Error, Result, Step, Volume as _};

/// Where tickets write.
const INCOMING: &str = "incoming";
/// Where uploads wait for their import.
const STAGED: &str = "work";
/// The longest object that goes up in one request, in bytes.
pub const LONGEST: u64 = 5 << 30;
/// The longest key of S3, in bytes.
const KEY: usize = 1024;
/// The length of a digest and of a mark, in hexadecimal digits.
const DIGEST: usize = 64;
const MARK: usize = 32;

/// An upload that lies in an object store.
#[derive(Clone, Debug)]
pub struct Staged {
    volume: S3,
    path: String,
    sha256: String,
    mark: String,
}

impl Staged {
    /// What its content must be: SHA-256, in hexadecimal digits.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The name of the volume that it lies on.
    pub fn volume(&self) -> &str {
        self.volume.name()
    }

    /// Opens it; only what is read is fetched. Tells when it was written, too.
    ///
    /// # Errors
    /// When it is gone, or the server does not answer.
    pub fn open(&self) -> Result<(Box<dyn Source>, SystemTime)> {
        let reader = self.volume.reader(&self.path)?;
        let written = reader.modified();
        Ok((Box::new(reader), written))
    }

    /// Removes it; one that is gone is fine.
    ///
    /// # Errors
    /// When the server fails for long.
    pub fn remove(&self) -> Result<()> {
        self.volume.remove_one(&self.path)
    }

    /// Reads it to its end.
    fn check(&self, size: u64) -> Result<()> {
        let path = Path::new(&self.path);
        let hashed = crate::digest::hash_of(self.volume.reader(&self.path)?, path, &[SHA256])?;
        self.compare(hashed, size)
    }

    fn compare(&self, (sums, found): (Vec<String>, u64), expected: u64) -> Result<()> {
        let path = || self.path.clone();
        if found != expected {
            return Err(Error::Length { path: path(), expected, found });
        }
        match sums.into_iter().next() {
            Some(found) if found != self.sha256 => {
                Err(Error::Digest { path: path(), expected: self.sha256.clone(), found })
            }
            _ => Ok(()),
        }
    }
}

const SHA256: Algorithm = Algorithm::Sha256;

/// An upload that comes by a ticket.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Its path in the work directory.
    pub path: String,
    /// The mark of its object: 32 random hexadecimal digits, which are also its key.
    pub mark: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

impl Incoming {
    fn from(&self) -> Result<String> {
        match is_hex(&self.mark, MARK) {
            true => Ok(format!("{INCOMING}/{}", self.mark)),
            false => Err(Error::Path(self.mark.clone())),
        }
    }

    fn to(&self) -> Result<String> {
        let path = crate::normalize(&self.path)?;
        if path.is_empty() || !is_hex(&self.sha256, DIGEST) || !is_hex(&self.mark, MARK) {
            return Err(Error::Path(self.path.clone()));
        }
        Ok(format!("{STAGED}/{path}/{}.{}", self.sha256, self.mark))
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

impl S3 {
    /// Leave to bring an upload; nothing for one that cannot come so, with the reason.
    ///
    /// # Errors
    /// For a path or a digest that is none.
    pub fn upload_ticket(&self, upload: &Incoming) -> Result<Result<Ticket, &'static str>> {
        if upload.size == 0 {
            return Ok(Err("it is empty"));
        }
        if upload.size >= LONGEST {
            return Ok(Err("it is too long for one request"));
        }
        if self.key_length(&upload.to()?)? > KEY {
            return Ok(Err("its path is too long for a key"));
        }
        self.ticket(&upload.from()?, &upload.sha256, &upload.mark).map(Ok)
    }
}

impl Store {
    /// The volume that uploads go to if nobody names one.
    pub fn for_uploads(&self) -> Option<&S3> {
        self.0.remote.values().find(|volume| volume.takes_uploads())
    }

    /// The upload that a path in the work directory stands for, if it lies in an object store. Asks no server.
    pub fn staged(&self, path: &Path) -> Option<Staged> {
        if self.0.remote.is_empty() {
            return None;
        }
        let target = fs::read_link(path).ok()?;
        let mut full = path.parent()?.to_owned();
        for part in target.components() {
            match part {
                Component::ParentDir => drop(full.pop()),
                part => full.push(part),
            }
        }
        let (volume, below) = self.at(&full)?;
        let (dir, name) = below.rsplit_once('/')?;
        let (sha256, mark) = name.split_once('.')?;
        let own = dir.strip_prefix(STAGED).is_some_and(|rest| rest.starts_with('/'));
        if !own || !is_hex(sha256, DIGEST) || !is_hex(mark, MARK) {
            return None;
        }
        let (sha256, mark) = (sha256.to_owned(), mark.to_owned());
        Some(Staged { volume: volume.clone(), path: below, sha256, mark })
    }

    /// Takes over what has come by a ticket, and makes the link that stands for it: from then on the upload is there. Doing it
    /// again, as the answer was lost, changes nothing. `work` is the work directory.
    ///
    /// # Errors
    /// [`Error::Length`] and [`Error::Digest`] for something else than was announced, which is removed; [`Error::Exists`] where
    /// there is something already, unless it may be replaced; missing, if nothing has come.
    pub fn stage(
        &self,
        volume: &S3,
        work: &Area,
        upload: &Incoming,
        overwrite: bool,
    ) -> Result<()> {
        let (from, to) = (upload.from()?, upload.to()?);
        let place = work.root().join(&upload.path);
        let old = self.staged(&place);
        if old.as_ref().is_some_and(|old| old.path == to && old.volume() == volume.name()) {
            return volume.remove_one(&from);
        }
        if !volume.has_mark(&from, &upload.mark)? {
            // Nothing, or what a server keeps of a writing that it has refused.
            volume.remove_one(&from)?;
            return Err(Error::io(&from)(std::io::ErrorKind::NotFound.into()));
        }
        let (sha256, mark) = (upload.sha256.clone(), upload.mark.clone());
        let staged = Staged { volume: volume.clone(), path: to.clone(), sha256, mark };
        let taken = volume.copy_new(&from, &to, &upload.mark).and_then(|()| {
            // What the server says of it is not enough: not every one compares what comes with the ticket.
            staged.check(upload.size)
        });
        let linked = taken.and_then(|()| {
            // Any other link is what an import has left.
            if old.is_none() && fs::symlink_metadata(&place).is_ok_and(|meta| meta.is_symlink()) {
                return Err(match overwrite {
                    true => Error::NotAFile(place.display().to_string()),
                    false => Error::Exists(place.display().to_string()),
                });
            }
            let at = self.0.top.join("vol").join(volume.name()).join(&to);
            work.link(&upload.path, &at, overwrite)
        });
        match linked {
            Ok(()) => {
                // What could not be removed now goes by its age.
                let _ = volume.remove_one(&from);
                let _ = old.map(|old| old.remove());
                Ok(())
            }
            Err(error) => {
                let wrong = matches!(error, Error::Length { .. } | Error::Digest { .. });
                if wrong {
                    let _ = volume.remove_one(&from);
                }
                if wrong || matches!(error, Error::Exists(_) | Error::NotAFile(_)) {
                    // A server that keeps no marks never has this one's copy.
                    let _ = staged.remove();
                }
                Err(error)
            }
        }
    }

    /// Removes an upload that lies in an object store, and its link, to make place for another one.
    ///
    /// # Errors
    /// When the server fails for long.
    pub fn unstage(&self, work: &Area, path: &str) -> Result<()> {
        let path = crate::normalize(path)?;
        let Some(staged) = self.staged(&work.root().join(&path)) else { return Ok(()) };
        staged.remove()?;
        work.unlink(&path)
    }

    /// Puts an upload that lies in an object store in its place; with `fresh` nothing may be there yet.
    pub(super) fn place_staged(&self, staged: &Staged, step: &Step, fresh: bool) -> Result<()> {
        if let Some((volume, below)) = self.at(&step.to) {
            return match volume.name() == staged.volume() {
                true => volume.copy_new(&staged.path, &below, &staged.mark),
                false => {
                    let mut from = staged.volume.reader(&staged.path)?;
                    volume.upload(&below, &mut from, Way::New, &staged.mark)
                }
            };
        }
        let dir = step.to.parent().unwrap_or(Path::new("/"));
        crate::fence::pass()?;
        fs::create_dir_all(dir).map_err(Error::io(dir))?;
        let mut file = own_file(&step.to)?;
        let mut from = staged.volume.reader(&staged.path)?;
        let size = from.size();
        let tee = Tee { from: &mut from, to: file.as_file_mut() };
        staged.compare(crate::digest::hash_of(tee, &step.to, &[SHA256])?, size)?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        fs::set_permissions(file.path(), mode).map_err(Error::io(&step.to))?;
        file.as_file().sync_all().map_err(Error::io(&step.to))?;
        crate::fence::pass()?;
        let placed = match fresh {
            true => file.persist_noclobber(&step.to),
            false => file.persist(&step.to),
        };
        match placed {
            Ok(_) => Ok(()),
            Err(e) if e.error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(Error::Exists(step.to.display().to_string()))
            }
            Err(e) => Err(Error::io(&step.to)(e.error)),
        }
    }

    /// Takes such a file away again; one with another content is somebody else's.
    pub(super) fn undo_staged(&self, staged: &Staged, step: &Step, stop: &Path) -> Result<()> {
        if let Some((volume, below)) = self.at(&step.to) {
            return match volume.has_mark(&below, &staged.mark)? {
                true => volume.remove_one(&below),
                false => Ok(()),
            };
        }
        match crate::hash(&step.to, &[SHA256]) {
            Ok((sums, _)) if sums.first() == Some(&staged.sha256) => {
                crate::remove_file(&step.to, stop)
            }
            Err(error) if !error.is_missing() => Err(error),
            _ => {
                crate::place::remove_empty(&step.to, stop);
                Ok(())
            }
        }
    }

    /// After the import: the link leads to where the content is now, and the upload goes. One that stays, as its server does not
    /// answer, has nothing that leads to it: it goes by its age.
    pub(super) fn link_staged_back(&self, staged: &Staged, step: &Step) -> Result<()> {
        let dir = step.from.parent().unwrap_or(Path::new("/"));
        crate::replace_link(&step.from, &crate::relative_link(dir, &step.to))?;
        let _ = staged.remove();
        Ok(())
    }

    /// What tickets and interrupted work have left on a volume before a moment, as paths there: what has come and was never
    /// taken over, and uploads to which no link in the work directory leads any more.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn left_uploads(
        &self,
        volume: &S3,
        work: &Path,
        before: SystemTime,
    ) -> Result<Vec<String>> {
        let mut left = Vec::new();
        for dir in [INCOMING, STAGED] {
            for item in volume.walk(&format!("{dir}/"))? {
                let old = item.modified.is_some_and(|modified| modified < before);
                if old && !self.leads_to(work, volume, &item.path) {
                    left.push(item.path);
                }
            }
        }
        Ok(left)
    }

    /// Whether an upload's link leads to it.
    fn leads_to(&self, work: &Path, volume: &S3, path: &str) -> bool {
        let below = path.strip_prefix(STAGED).and_then(|rest| rest.strip_prefix('/'));
        let Some((at, _)) = below.and_then(|below| below.rsplit_once('/')) else { return false };
        let found = self.staged(&work.join(at));
        found.is_some_and(|found| found.path == path && found.volume() == volume.name())
    }
}

/// The bytes of the uploads below a directory of the work directory that lie on a volume, apart from one.
///
/// # Errors
/// When the server does not answer.
pub fn uploaded(volume: &S3, dir: &str, except: &str) -> Result<u64> {
    let except = format!("{STAGED}/{except}/");
    let all = volume.walk(&format!("{STAGED}/{}/", crate::normalize(dir)?))?;
    Ok(all.iter().filter(|item| !item.path.starts_with(&except)).map(|item| item.size).sum())
}

/// Reads, and writes what was read.
struct Tee<'a> {
    from: &'a mut dyn std::io::Read,
    to: &'a mut fs::File,
}

impl std::io::Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.from.read(buffer)?;
        self.to.write_all(&buffer[..n])?;
        Ok(n)
    }
}

impl Area {
    /// Makes a link to a path, which is outside of the area; only with `replace` in place of a file or of a link like it. No
    /// part of the way there may be a link.
    fn link(&self, path: &str, target: &Path, replace: bool) -> Result<()> {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        let text = crate::relative_link(&self.root().join(dir), target);
        self.symlink(dir, name, &text, replace)
    }
}
