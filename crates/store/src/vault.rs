//! A directory of contents by their SHA-256: each once, whole, and never changed. Backups are made of it.

use std::fs::{self, DirBuilder, File};
use std::io::{Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};

use crate::{Error, Result, write_durably};

/// What tells such a directory from others, and in which form it is.
const MARK: &str = "toji-backup";
const FORMAT: &str = "toji backup 1\n";
/// Where contents are written before they have their names.
const INCOMING: &str = "incoming";
const OBJECTS: &str = "objects";
/// Contents that get their names together: the disk is waited for once.
const TOGETHER: usize = 512;
/// Bytes that get their names together, unless a single content has more.
const TOGETHER_BYTES: u64 = 512 << 20;

/// What is to be done in a vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read only: others may, too.
    Read,
    /// Add or remove: nobody else may do anything meanwhile.
    Change,
}

/// A directory of contents; others are kept out as its access wants it, until it is dropped.
#[derive(Debug)]
pub struct Vault {
    dir: PathBuf,
    _lock: File,
    next: AtomicU64,
}

/// A content that has come in and has no name yet.
#[derive(Debug)]
pub struct Incoming {
    path: PathBuf,
    /// Its SHA-256.
    pub sha256: String,
    /// Its length in bytes.
    pub size: u64,
}

impl Vault {
    /// Opens a vault; one that is to be changed is made if there is none.
    ///
    /// # Errors
    /// [`Error::Locked`] while somebody else is at it; when the directory is something else.
    pub fn open(dir: &Path, access: Access) -> Result<Vault> {
        let mark = dir.join(MARK);
        match fs::read_to_string(&mark) {
            Ok(text) if text == FORMAT => {}
            Ok(_) => return Err(other(dir, "a backup of another version of this program")),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && access == Access::Change => {
                make(dir, &mark)?;
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(other(dir, "there is no backup"));
            }
            Err(e) => return Err(Error::io(&mark)(e)),
        }
        // A lock does not need leave to write, which readers may not have.
        let lock = File::open(&mark).map_err(Error::io(&mark))?;
        let taken = match access {
            Access::Read => lock.try_lock_shared(),
            Access::Change => lock.try_lock(),
        };
        match taken {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(Error::Locked(dir.display().to_string()));
            }
            Err(fs::TryLockError::Error(e)) => return Err(Error::io(&mark)(e)),
        }
        if access == Access::Change {
            let incoming = dir.join(INCOMING);
            crate::remove_tree(&incoming)?;
            fs::create_dir_all(&incoming).map_err(Error::io(&incoming))?;
            for number in 0..=255_u8 {
                let shelf = dir.join(OBJECTS).join(format!("{number:02x}"));
                fs::create_dir_all(&shelf).map_err(Error::io(&shelf))?;
            }
        }
        Ok(Vault { dir: dir.to_owned(), _lock: lock, next: AtomicU64::new(0) })
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the content of a SHA-256 is, or would be.
    ///
    /// # Errors
    /// [`Error::Path`] for what is no SHA-256 in hexadecimal digits.
    pub fn path(&self, sha256: &str) -> Result<PathBuf> {
        let digits = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if sha256.len() != 64 || !sha256.bytes().all(digits) {
            return Err(Error::Path(sha256.to_owned()));
        }
        Ok(self.dir.join(OBJECTS).join(&sha256[..2]).join(sha256))
    }

    /// Whether a content is there, with its length.
    ///
    /// # Errors
    /// When the place cannot tell.
    pub fn has(&self, sha256: &str, size: u64) -> Result<bool> {
        let path = self.path(sha256)?;
        match fs::symlink_metadata(&path) {
            Ok(meta) => Ok(meta.is_file() && meta.len() == size),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(Error::io(&path)(e)),
        }
    }

    /// Takes a content in; it has its name after [`settle`](Self::settle).
    ///
    /// # Errors
    /// The reader's own, [`Error::Halted`] when the flag is set meanwhile, when the place refuses.
    pub fn take(&self, mut from: impl Read, shown: &Path, halted: &AtomicBool) -> Result<Incoming> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join(INCOMING).join(number.to_string());
        let mut file = File::create_new(&path).map_err(Error::io(&path))?;
        let (mut hasher, mut size, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 18]);
        loop {
            if halted.load(Ordering::Relaxed) {
                return Err(Error::Halted);
            }
            let n = from.read(&mut buffer).map_err(Error::io(shown))?;
            if n == 0 {
                break;
            }
            hasher.update(&buffer[..n]);
            file.write_all(&buffer[..n]).map_err(Error::io(&path))?;
            size += n as u64;
        }
        Ok(Incoming { path, sha256: hex::encode(hasher.finalize()), size })
    }

    /// Gives contents their names, once they are on the disk; tells how many bytes of them are new.
    ///
    /// # Errors
    /// When the place refuses.
    pub fn settle(&self, incoming: Vec<Incoming>) -> Result<(u64, u64)> {
        let (mut files, mut bytes) = (0, 0);
        if incoming.is_empty() {
            return Ok((0, 0));
        }
        self.sync()?;
        for Incoming { path, sha256, size } in incoming {
            let to = self.path(&sha256)?;
            if self.has(&sha256, size)? {
                fs::remove_file(&path).map_err(Error::io(&path))?;
                continue;
            }
            let mode = fs::Permissions::from_mode(0o400);
            fs::set_permissions(&path, mode).map_err(Error::io(&path))?;
            fs::rename(&path, &to).map_err(Error::io(&to))?;
            files += 1;
            bytes += size;
        }
        Ok((files, bytes))
    }

    /// Whether so much has come in that it should get its names.
    pub fn is_much(incoming: &[Incoming]) -> bool {
        incoming.len() >= TOGETHER
            || incoming.iter().map(|one| one.size).sum::<u64>() >= TOGETHER_BYTES
    }

    /// Waits until everything in it is on the disk.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sync(&self) -> Result<()> {
        let dir = File::open(&self.dir).map_err(Error::io(&self.dir))?;
        rustix::fs::syncfs(&dir).map_err(|e| Error::io(&self.dir)(e.into()))
    }

    /// Reads a content to `to`, and makes sure that it is what its name says.
    ///
    /// # Errors
    /// [`Error::Digest`] when it is not; when it is missing, or `to` fails.
    pub fn read(
        &self,
        sha256: &str,
        mut to: impl std::io::Write,
        halted: &AtomicBool,
    ) -> Result<u64> {
        let path = self.path(sha256)?;
        let mut file = File::open(&path).map_err(Error::io(&path))?;
        let (mut hasher, mut size, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 18]);
        loop {
            if halted.load(Ordering::Relaxed) {
                return Err(Error::Halted);
            }
            let n = file.read(&mut buffer).map_err(Error::io(&path))?;
            if n == 0 {
                break;
            }
            hasher.update(&buffer[..n]);
            to.write_all(&buffer[..n]).map_err(Error::io(&path))?;
            size += n as u64;
        }
        let found = hex::encode(hasher.finalize());
        if found != sha256 {
            let path = path.display().to_string();
            return Err(Error::Digest { path, expected: sha256.to_owned(), found });
        }
        Ok(size)
    }

    /// Removes all contents that nothing needs; tells how many files and bytes.
    ///
    /// # Errors
    /// When the place refuses.
    pub fn sweep(&self, needed: impl Fn(&[u8; 32]) -> bool) -> Result<(u64, u64)> {
        let (mut files, mut bytes) = (0, 0);
        for number in 0..=255_u8 {
            let shelf = self.dir.join(OBJECTS).join(format!("{number:02x}"));
            for entry in fs::read_dir(&shelf).map_err(Error::io(&shelf))? {
                let entry = entry.map_err(Error::io(&shelf))?;
                let mut digest = [0; 32];
                let known = entry.file_name().to_str().is_some_and(|name| {
                    hex::decode_to_slice(name, &mut digest).is_ok() && needed(&digest)
                });
                if known {
                    continue;
                }
                let path = entry.path();
                bytes += entry.metadata().map_err(Error::io(&path))?.len();
                files += 1;
                fs::remove_file(&path).map_err(Error::io(&path))?;
            }
        }
        Ok((files, bytes))
    }
}

fn other(dir: &Path, words: &str) -> Error {
    Error::io(dir)(std::io::Error::other(words.to_owned()))
}

/// Makes an empty vault, which only its owner may read: the database is in it.
fn make(dir: &Path, mark: &Path) -> Result<()> {
    match fs::read_dir(dir) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                return Err(other(dir, "the directory is not empty, and no backup"));
            }
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(Error::io(dir))?;
        }
        Err(e) => return Err(Error::io(dir)(e)),
    }
    write_durably(mark, FORMAT.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_there_once_and_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (at, go) = (dir.path().join("vault"), AtomicBool::new(false));
        assert!(Vault::open(&at, Access::Read).is_err(), "there is none");
        let vault = Vault::open(&at, Access::Change).unwrap();
        assert!(matches!(Vault::open(&at, Access::Read), Err(Error::Locked(_))));
        let shown = Path::new("x");
        let one = vault.take(&b"content"[..], shown, &go).unwrap();
        let (sha256, size) = (one.sha256.clone(), one.size);
        assert!(!vault.has(&sha256, size).unwrap());
        assert_eq!(vault.settle(vec![one]).unwrap(), (1, 7));
        let again = vault.take(&b"content"[..], shown, &go).unwrap();
        assert_eq!(vault.settle(vec![again]).unwrap(), (0, 0));
        assert!(vault.has(&sha256, 7).unwrap() && !vault.has(&sha256, 8).unwrap());
        let other = vault.take(&b"other"[..], shown, &go).unwrap();
        let unneeded = other.sha256.clone();
        vault.settle(vec![other]).unwrap();
        let keep = hex::decode(&sha256).unwrap();
        assert_eq!(vault.sweep(|digest| digest[..] == keep[..]).unwrap(), (1, 5));
        assert!(!vault.has(&unneeded, 5).unwrap());
        drop(vault);
        let (one, two) = (Vault::open(&at, Access::Read).unwrap(), Vault::open(&at, Access::Read));
        let mut text = Vec::new();
        assert_eq!(two.unwrap().read(&sha256, &mut text, &go).unwrap(), 7);
        assert_eq!(text, b"content");
        let path = one.path(&sha256).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "Content").unwrap();
        assert!(matches!(one.read(&sha256, &mut text, &go), Err(Error::Digest { .. })));
        for wrong in ["", "../../etc/passwd", &"A".repeat(64), &"é".repeat(32)] {
            assert!(matches!(one.path(wrong), Err(Error::Path(_))), "{wrong}");
        }
        assert!(matches!(one.read(&sha256, &mut text, &AtomicBool::new(true)), Err(Error::Halted)));
        let foreign = dir.path().join("foreign");
        fs::create_dir(&foreign).unwrap();
        fs::write(foreign.join("file"), "").unwrap();
        assert!(Vault::open(&foreign, Access::Change).is_err(), "somebody's directory");
    }
}
