//! Uploads of a task's files by token: in parts, side by side, resumed, checked as a whole.

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use toji_bus::Topic;
use toji_store::Area;
use toji_store::parts::Parts;
use toji_types::TaskState;
use toji_value::Fault;

use super::{store_fault, token};
use crate::{Call, Hub, Request};

/// What a builder says of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The task whose file it is.
    pub task_id: i64,
    /// Its path below the task's directory.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// A file that the caller may upload.
#[derive(Clone, Debug)]
pub struct PartUpload {
    parts: Parts,
    task_id: i64,
    size: u64,
}

impl Hub {
    /// Checks the token of an upload and what is to be uploaded.
    ///
    /// # Errors
    /// `AuthError` for a token that is not good for this; `GenericError` for a path that is none, and for too much.
    pub async fn part_upload(&self, token: &str, file: Announced) -> Result<PartUpload, Fault> {
        self.online()?;
        let mut call = Call::new(self.clone(), self.db.begin(), Request::default());
        let claim = token::check(self, &mut call, token).await?;
        if claim.task_id != file.task_id {
            return Err(Fault::auth("the upload token is for another task"));
        }
        let holder = toji_db::upload::task_holder(&mut call.tx, claim.task_id).await?;
        if holder != Some((TaskState::Open as i64, Some(claim.host_id))) {
            return Err(Fault::auth("the task is no longer this builder's"));
        }
        drop(call);
        let path = checked(&file.path)?;
        let hexadecimal =
            file.sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if file.sha256.len() != 64 || !hexadecimal {
            return Err(Fault::parameter("sha256 is 64 hexadecimal digits"));
        }
        let dir = self.paths.taskrelpath(file.task_id);
        let area = Area::new(self.paths.work(None));
        let most = u64::try_from(claim.max_bytes).unwrap_or(0);
        let target = format!("{dir}/{path}");
        let parts = Parts::new(area.clone(), &target, file.size, &file.sha256);
        let used = blocking(move || used(&area, &dir, &target)).await?;
        if used.saturating_add(file.size) > most {
            let text = format!("the task may upload {most} bytes, with this file it would be more");
            return Err(Fault::generic(text));
        }
        Ok(PartUpload { parts, task_id: file.task_id, size: file.size })
    }
}

/// A relative path without hidden parts.
fn checked(path: &str) -> Result<String, Fault> {
    let wrong = || Fault::generic(format!("Invalid upload path: {path}"));
    let plain = toji_store::normalize(path).map_err(|_| wrong())?;
    let hidden = plain.split('/').any(|part| part.starts_with('.'));
    if plain.is_empty() || plain != path || hidden || plain.contains('\0') {
        return Err(wrong());
    }
    Ok(plain)
}

/// The bytes of the files in a task's directory, apart from one.
pub(super) fn used(area: &Area, dir: &str, except: &str) -> Result<u64, toji_store::Error> {
    let files = area.walk(dir)?;
    let whole = files.iter().filter(|e| !toji_store::parts::is_partial(&e.path));
    Ok(whole.filter(|e| format!("{dir}/{}", e.path) != except).map(|e| e.meta.len()).sum())
}

impl PartUpload {
    /// What has arrived: whether the whole file, and offsets and lengths of its parts.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub async fn state(&self) -> Result<(bool, Vec<(u64, u64)>), Fault> {
        let parts = self.parts.clone();
        blocking(move || Ok((parts.is_complete()?, parts.received()?))).await
    }

    /// Writes the part at `offset` from its body; a file of one part is complete then.
    ///
    /// # Errors
    /// When the body breaks off, or is not what its digest says.
    pub async fn write<E: std::fmt::Display>(
        &self,
        offset: u64,
        sha256: String,
        mut body: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<bool, Fault> {
        let (chunks, mut inbox) = tokio::sync::mpsc::channel::<Result<Bytes, Fault>>(8);
        let (parts, size) = (self.parts.clone(), self.size);
        let writer = tokio::task::spawn_blocking(move || {
            let mut part = parts.begin(offset).map_err(store_fault)?;
            let mut length = 0;
            while let Some(chunk) = inbox.blocking_recv() {
                let chunk = chunk?;
                length += chunk.len() as u64;
                part.write(&chunk).map_err(store_fault)?;
            }
            part.finish(&sha256).map_err(store_fault)?;
            let whole = length == size;
            if whole {
                parts.complete().map_err(store_fault)?;
            }
            Ok(whole)
        });
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|e| Fault::generic(format!("the upload broke off: {e}")));
            let broken = chunk.is_err();
            // The writer has failed when it does not listen any more; its error comes below.
            if chunks.send(chunk).await.is_err() || broken {
                break;
            }
        }
        drop(chunks);
        writer.await.map_err(|error| Fault::unexpected(error.to_string()))?
    }

    /// Puts the whole file in its place.
    ///
    /// # Errors
    /// When parts are missing, or the file is not what was announced.
    pub async fn complete(&self, hub: &Hub) -> Result<(), Fault> {
        let parts = self.parts.clone();
        blocking(move || parts.complete()).await?;
        hub.bus.signal(Topic::Task(self.task_id));
        Ok(())
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, toji_store::Error> + Send + 'static,
) -> Result<T, Fault> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| Fault::unexpected(e.to_string()))?.map_err(store_fault)
}

#[cfg(test)]
mod tests {
    use super::checked;

    #[test]
    fn paths_stay_in_the_tasks_directory() {
        assert_eq!(checked("a/b.rpm").ok().as_deref(), Some("a/b.rpm"));
        for path in ["", "..", "../x", "a/../../x", "/etc/passwd", ".parts-1/data", "a/.x", "a//b"]
        {
            assert!(checked(path).is_err(), "{path}");
        }
    }
}
