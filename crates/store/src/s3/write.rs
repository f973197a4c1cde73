//! Writing to object stores so that every object is whole, is the right one, and survives lost answers.

use std::io::{Read, Seek, SeekFrom};

use bytes::Bytes;
use futures::StreamExt as _;
use object_store::aws::AmazonS3;
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::path::Path as Key;
use object_store::{
    Attribute, Attributes, GetOptions, ObjectStore as _, PutMode, PutMultipartOptions, PutOptions,
};

use super::{S3, TRIES, wait};
use crate::fence::pass;
use crate::path::normalize;
use crate::{Error, Result, Volume as _};

/// The metadata of an object that tell which writing has made it.
pub(super) const MARK: &str = "toji-write";

/// What becomes of an object that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It stays, and the writing fails.
    New,
    /// It is replaced.
    Replace,
}

/// What is known of an object.
pub(super) struct Known {
    pub(super) size: u64,
    pub(super) mark: Option<String>,
}

impl S3 {
    /// Writes an object. An object with the same mark and length is taken for the same writing, whose answer was lost.
    ///
    /// # Errors
    /// [`Error::Exists`] with [`Way::New`] where another object is; when the server fails for long.
    pub fn upload(
        &self,
        path: &str,
        source: &mut (impl Read + Seek),
        way: Way,
        mark: &str,
    ) -> Result<()> {
        let path = normalize(path)?;
        if path.is_empty() {
            return Err(Error::Path(path));
        }
        let key = self.key(&path)?;
        let io = |e| Error::io(self.shown(&path))(e);
        let size = source.seek(SeekFrom::End(0)).map_err(io)?;
        let mark = match mark {
            "" => fresh_mark(),
            mark => mark.to_owned(),
        };
        let mut last = None;
        for _ in 0..TRIES {
            match self.known(&path, &key)? {
                Some(known) if known.is(size, &mark) => return Ok(()),
                Some(_) if way == Way::New => return Err(Error::Exists(self.shown(&path))),
                _ => {}
            }
            pass()?;
            source.rewind().map_err(io)?;
            let sent = match size <= self.options.part_size as u64 {
                true => self.send(&key, source, size, way, &mark).map_err(io)?,
                false => self.send_parts(&key, source, way, &mark).map_err(io)?,
            };
            // What counts is what is there now, whatever the answer was, and even if it was good.
            let failed = sent.err();
            match self.known(&path, &key)? {
                Some(known) if known.is(size, &mark) => return Ok(()),
                Some(_) if way == Way::New => return Err(Error::Exists(self.shown(&path))),
                _ => last = failed.or(last),
            }
        }
        let lost = || Error::io(self.shown(&path))(std::io::Error::other("it does not stay there"));
        Err(last.map_or_else(lost, |e| self.error(&path, e)))
    }

    /// Sends what is short, in one request.
    fn send(
        &self,
        key: &Key,
        source: &mut impl Read,
        size: u64,
        way: Way,
        mark: &str,
    ) -> std::io::Result<object_store::Result<()>> {
        let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        source.take(size).read_to_end(&mut content)?;
        let mode = match way {
            Way::New => PutMode::Create,
            Way::Replace => PutMode::Overwrite,
        };
        let options = PutOptions { mode, attributes: marked(mark), ..PutOptions::default() };
        let (store, key) = (self.store.clone(), key.clone());
        wait(async move { store.put_opts(&key, content.into(), options).await.map(drop) })
    }

    /// Sends what is long, in parts; what was begun and fails is taken back.
    fn send_parts(
        &self,
        key: &Key,
        source: &mut impl Read,
        way: Way,
        mark: &str,
    ) -> std::io::Result<object_store::Result<()>> {
        let store = match way {
            Way::New => self.fresh.clone(),
            Way::Replace => self.store.clone(),
        };
        let options = PutMultipartOptions { attributes: marked(mark), ..Default::default() };
        let (asked, to) = (store.clone(), key.clone());
        let begun = wait(async move { asked.create_multipart_opts(&to, options).await })?;
        let id = match begun {
            Ok(id) => id,
            Err(error) => return Ok(Err(error)),
        };
        let done = self.send_each(&store, key, &id, source);
        if !matches!(done, Ok(Ok(()))) {
            // It may be complete, and only the answer lost: then there is nothing to take back.
            let (key, id) = (key.clone(), id.clone());
            let gone = wait(async move { store.abort_multipart(&key, &id).await });
            drop(gone);
        }
        done
    }

    fn send_each(
        &self,
        store: &AmazonS3,
        key: &Key,
        id: &str,
        source: &mut impl Read,
    ) -> std::io::Result<object_store::Result<()>> {
        let mut parts: Vec<PartId> = Vec::new();
        loop {
            let mut part = Vec::with_capacity(self.options.part_size);
            source.take(self.options.part_size as u64).read_to_end(&mut part)?;
            if part.is_empty() {
                break;
            }
            pass().map_err(std::io::Error::other)?;
            let (asked, to, id, n) = (store.clone(), key.clone(), id.to_owned(), parts.len());
            let part = Bytes::from(part);
            match wait(async move { asked.put_part(&to, &id, n, part.into()).await })? {
                Ok(part) => parts.push(part),
                Err(error) => return Ok(Err(error)),
            }
        }
        pass().map_err(std::io::Error::other)?;
        let (asked, to, id) = (store.clone(), key.clone(), id.to_owned());
        wait(async move { asked.complete_multipart(&to, &id, parts).await.map(drop) })
    }

    pub(super) fn known(&self, path: &str, key: &Key) -> Result<Option<Known>> {
        let key = key.clone();
        let asked = self.ask(path, |store| async move {
            let found = store.get_opts(&key, GetOptions::new().with_head(true)).await?;
            let mark = found.attributes.get(&Attribute::Metadata(MARK.into()));
            Ok(Known { size: found.meta.size, mark: mark.map(|mark| mark.to_string()) })
        });
        match asked {
            Err(error) if error.is_missing() => Ok(None),
            known => known.map(Some),
        }
    }

    /// Whether an object is there that this writing has made.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn has_mark(&self, path: &str, mark: &str) -> Result<bool> {
        let known = self.known(path, &self.key(path)?)?;
        Ok(known.is_some_and(|known| known.mark.as_deref() == Some(mark)))
    }

    /// Removes an object, and everything below its name.
    ///
    /// # Errors
    /// When the server fails for long, or something stays.
    pub fn remove_all(&self, path: &str) -> Result<()> {
        let path = normalize(path)?;
        if path.is_empty() {
            return Err(Error::Path(path));
        }
        let mut last = None;
        for _ in 0..TRIES {
            let mut paths: Vec<String> =
                self.walk(&path)?.into_iter().map(|item| item.path).collect();
            if paths.is_empty() {
                // Not asked to remove what is not there: some servers keep empty directories, and fail.
                paths.extend(self.item(&path)?.map(|item| item.path));
            }
            if paths.is_empty() {
                return Ok(());
            }
            pass()?;
            let keys = paths.iter().map(|path| self.key(path)).collect::<Result<Vec<Key>>>()?;
            // An answer that does not come is not waited for again by the library: what stays is looked at.
            last = self.ask(&path, |store| remove_keys(store, keys)).err();
        }
        if self.item(&path)?.is_none() {
            return Ok(());
        }
        let stays = || std::io::Error::other("something stays that was removed");
        Err(last.unwrap_or_else(|| Error::io(self.shown(&path))(stays())))
    }

    /// Removes one object; one that is missing is fine.
    ///
    /// # Errors
    /// When the server fails for long.
    pub fn remove_one(&self, path: &str) -> Result<()> {
        let key = self.key(path)?;
        let mut last = Ok(());
        for _ in 0..TRIES {
            pass()?;
            let keys = vec![key.clone()];
            last = self.ask(path, |store| remove_keys(store, keys));
            if last.is_ok() {
                break;
            }
        }
        last
    }
}

/// Removes objects; those that are missing are fine, as the answer to the first asking may be lost.
async fn remove_keys(store: AmazonS3, keys: Vec<Key>) -> object_store::Result<()> {
    let keys = futures::stream::iter(keys.into_iter().map(Ok)).boxed();
    let mut gone = store.delete_stream(keys);
    while let Some(one) = gone.next().await {
        match one {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Known {
    pub(super) fn is(&self, size: u64, mark: &str) -> bool {
        self.size == size && self.mark.as_deref() == Some(mark)
    }
}

fn marked(mark: &str) -> Attributes {
    let mut attributes = Attributes::new();
    attributes.insert(Attribute::Metadata(MARK.into()), mark.to_owned().into());
    attributes
}

/// A mark that no other writing has: the name that a temporary file would get.
fn fresh_mark() -> String {
    let mut bytes = [0; 16];
    // Without randomness there is no TLS either.
    match getrandom::fill(&mut bytes) {
        Ok(()) => hex::encode(bytes),
        Err(_) => format!("{:?}", std::thread::current().id()),
    }
}
