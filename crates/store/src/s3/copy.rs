//! Copies within a bucket, made by its server.

use object_store::{CopyOptions, ObjectStore as _};

use super::{S3, TRIES, Way};
use crate::path::normalize;
use crate::{Error, Result};

/// The longest object that a server copies in one request, in bytes.
const COPY: u64 = 5 << 30;

impl S3 {
    /// Copies an object within the bucket, in place of what is there.
    ///
    /// # Errors
    /// When there is none; when the server fails for long.
    pub fn copy(&self, from: &str, to: &str) -> Result<()> {
        let (old, new) = (self.key(from)?, self.key(to)?);
        let size = self.length(from)?;
        if size >= COPY {
            return self.upload(to, &mut self.reader(from)?, Way::Replace, "");
        }
        crate::fence::pass()?;
        let to_key = new.clone();
        self.ask(from, |store| async move {
            store.copy_opts(&old, &to_key, CopyOptions::default()).await
        })?;
        match self.head(to, &new)? {
            Some(meta) if meta.size == size => Ok(()),
            found => Err(Error::Length {
                path: self.shown(to),
                expected: size,
                found: found.map_or(0, |meta| meta.size),
            }),
        }
    }

    /// Copies an object that has this mark to where nothing is yet; the copy has the mark, too. A copy that is there is this one,
    /// whose answer was lost.
    ///
    /// # Errors
    /// [`Error::Exists`] where another object is; when there is none to copy, or the server fails for long.
    pub fn copy_new(&self, from: &str, to: &str, mark: &str) -> Result<()> {
        let (from, to) = (normalize(from)?, normalize(to)?);
        let (old, new) = (self.key(&from)?, self.key(&to)?);
        let size = self.length(&from)?;
        if size >= COPY {
            return self.upload(&to, &mut self.reader(&from)?, Way::New, mark);
        }
        let mut last = None;
        for _ in 0..TRIES {
            match self.known(&to, &new)? {
                Some(known) if known.is(size, mark) => return Ok(()),
                Some(_) => return Err(Error::Exists(self.shown(&to))),
                None => {}
            }
            crate::fence::pass()?;
            let (old, key, fresh) = (old.clone(), new.clone(), self.fresh.clone());
            // Servers that know no condition for copies pass over it: the look before and after are what counts then.
            let sent =
                super::wait(
                    async move { fresh.copy_opts(&old, &key, CopyOptions::default()).await },
                );
            let failed = sent.map_err(Error::io(self.shown(&from)))?.err();
            match self.known(&to, &new)? {
                Some(known) if known.is(size, mark) => return Ok(()),
                Some(_) => return Err(Error::Exists(self.shown(&to))),
                None => last = failed.or(last),
            }
        }
        let lost = || Error::io(self.shown(&to))(std::io::Error::other("it does not stay there"));
        Err(last.map_or_else(lost, |e| self.error(&to, e)))
    }

    /// The length of an object in bytes.
    fn length(&self, path: &str) -> Result<u64> {
        let missing = || Error::io(self.shown(path))(std::io::ErrorKind::NotFound.into());
        Ok(self.head(path, &self.key(path)?)?.ok_or_else(missing)?.size)
    }
}
