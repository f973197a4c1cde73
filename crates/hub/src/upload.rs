//! Uploads: where a caller may write below the work directory, and the writing itself.

pub(crate) mod open;
pub mod parts;
pub(crate) mod ticket;
pub(crate) mod token;

use std::collections::HashMap;
use std::io::ErrorKind;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use toji_bus::Topic;
use toji_store::{Algorithm, Area, Begin, Upload};
use toji_types::TaskState;
use toji_value::{Fault, Map, map};

use crate::{Call, Hub, Request, session};

/// What an upload's URL says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    /// Directory below the work directory.
    pub filepath: String,
    /// Name of the file.
    pub filename: String,
    /// Checksum to answer with: `adler32`, `md5`, `sha256`, or empty for none.
    pub fileverify: String,
    /// Replace what is there from the offset on.
    pub overwrite: bool,
    /// Where the part goes; -1 appends.
    pub offset: i64,
    /// The volume.
    pub volume: Option<String>,
}

impl Params {
    /// Reads the query of an upload's URL.
    ///
    /// # Errors
    /// When the name is missing or the offset is no number.
    pub fn from_query(query: &str) -> Result<Params, Fault> {
        let mut values: HashMap<String, String> = HashMap::new();
        for pair in query.split('&').filter(|p| !p.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            values.entry(decode(key)).or_insert_with(|| decode(value));
        }
        let mut take = |key: &str| values.remove(key).unwrap_or_default();
        let offset = take("offset");
        let filename = take("filename");
        if filename.is_empty() {
            return Err(Fault::parameter("an upload needs a filename"));
        }
        let wrong = |_| Fault::parameter(format!("invalid upload offset: {offset}"));
        let offset = if offset.is_empty() { 0 } else { offset.parse().map_err(wrong)? };
        if offset < -1 {
            return Err(Fault::parameter(format!("invalid upload offset: {offset}")));
        }
        let volume = Some(take("volume")).filter(|v| !v.is_empty());
        let overwrite = !take("overwrite").is_empty();
        Ok(Params {
            filepath: take("filepath"),
            fileverify: take("fileverify"),
            filename,
            overwrite,
            offset,
            volume,
        })
    }
}

/// Decodes a part of a query: `+` is a space, `%xx` a byte.
fn decode(text: &str) -> String {
    let bytes = text.replace('+', " ");
    percent_encoding::percent_decode_str(&bytes).decode_utf8_lossy().into_owned()
}

/// A checked place for an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Relative to the work directory.
    pub(crate) path: String,
    /// The volume's work directory.
    pub(crate) root: String,
    /// The task whose output it is.
    pub(crate) task_id: Option<i64>,
    /// The directory, relative, whose owner must be the caller.
    owned_dir: Option<String>,
}

/// Checks a directory and a file name, for reading (`write` false) or for writing.
///
/// Output of a task is written by the host that holds it; other directories belong to the user
/// who wrote there first.
pub(crate) async fn place(
    call: &mut Call,
    dir: &str,
    name: &str,
    volume: Option<&str>,
    write: bool,
) -> Result<Place, Fault> {
    if name.contains('/') || name.starts_with('.') || name.is_empty() || name.contains('\0') {
        return Err(Fault::generic(format!("Invalid upload filename: {name}")));
    }
    let wrong_dir = || Fault::generic(format!("Invalid upload directory: {dir}"));
    let dir_path = toji_store::normalize(dir).map_err(|_| wrong_dir())?;
    if dir.is_empty() || dir_path.split('/').any(|part| part.starts_with('.')) {
        return Err(wrong_dir());
    }
    if let Some(volume) = volume
        && !toji_db::upload::volume_exists(&mut call.tx, volume).await?
    {
        return Err(Fault::generic(format!("No such entry in table volume: {volume}")));
    }
    let mut task_id = None;
    let parts: Vec<&str> = dir_path.split('/').collect();
    if parts[0] == "tasks" && write {
        let wrong = || Fault::generic(format!("Invalid task upload directory: {dir}"));
        let id = parts.get(2).and_then(|p| p.parse().ok()).ok_or_else(wrong)?;
        let expected = format!("tasks/{}/{id}", id % 10_000);
        if parts[..3].join("/") != expected {
            return Err(wrong());
        }
        holds_task(call, id).await?;
        task_id = Some(id);
    }
    let owned_dir = (write && task_id.is_none()).then(|| dir_path.clone());
    let root = root(&call.hub, volume);
    Ok(Place { path: format!("{dir_path}/{name}"), root, task_id, owned_dir })
}

/// The work directory of a volume. Object stores have none: files are written there as a whole or not at all. What is uploaded
/// for them is in the default one, if only as a link.
pub(crate) fn root(hub: &Hub, volume: Option<&str>) -> String {
    hub.paths.work(volume.filter(|name| hub.store.remote(name).is_none()))
}

/// Refuses everybody but the host that has the task open.
async fn holds_task(call: &mut Call, task_id: i64) -> Result<(), Fault> {
    let host_id = call.verified_host().await?;
    let holder = toji_db::upload::task_holder(&mut call.tx, task_id).await?;
    let Some((state, holder)) = holder else {
        return Err(Fault::generic(format!("No such task: {task_id}")));
    };
    if state != TaskState::Open as i64 || holder != Some(host_id) {
        return Err(Fault::not_allowed(format!("host {host_id} does not own task {task_id}")));
    }
    Ok(())
}

impl Place {
    /// Makes the caller the owner of a new directory, or checks that it is.
    ///
    /// The owner's number is in a file `.user`, as a Koji hub keeps it.
    pub(crate) fn claim(&self, area: &Area, user_id: i64) -> Result<(), Fault> {
        use std::io::{Read, Write};
        let Some(dir) = &self.owned_dir else { return Ok(()) };
        let mut file = area.open_for_write(&format!("{dir}/.user")).map_err(store_fault)?;
        let mut text = String::new();
        let io = |error: std::io::Error| Fault::unexpected(format!("upload directory: {error}"));
        file.read_to_string(&mut text).map_err(io)?;
        match text.trim() {
            "" => write!(file, "{user_id}").map_err(io),
            owner if owner == user_id.to_string() => Ok(()),
            _ => Err(Fault::generic(format!("Invalid upload directory, not owner: {dir}"))),
        }
    }
}

/// What the caller is told of a file error.
pub(crate) fn store_fault(error: toji_store::Error) -> Fault {
    use toji_store::Error;
    match error {
        Error::Exists(path) => Fault::generic(format!("upload path exists: {path}")),
        Error::NotAFile(path) => Fault::generic(format!("destination not a file: {path}")),
        Error::Algorithm(name) => Fault::generic(format!("Unsupported verify type: {name}")),
        Error::Path(path) => Fault::generic(format!("Invalid upload directory: {path}")),
        Error::Locked(_) | Error::Fenced(_) => Fault::lock(error.to_string()),
        Error::Length { path, expected, found } => Fault::generic(format!(
            "Incorrect upload length for {path} - Expected {expected}, actual {found}"
        )),
        Error::Digest { .. } => Fault::generic(error.to_string()),
        Error::Io { ref source, .. } => {
            tracing::error!(%error, "a file operation failed");
            io_fault(source.kind())
        }
        Error::Container { .. } | Error::Halted => {
            tracing::error!(%error, "a file operation failed");
            io_fault(ErrorKind::Other)
        }
    }
}

/// What the caller is told when the system refuses, which is in the log. A full disk is nobody's secret: whoever
/// waits for a build wants to know that it is neither theirs nor the package's fault.
pub(crate) fn io_fault(kind: ErrorKind) -> Fault {
    Fault::unexpected(match kind {
        ErrorKind::StorageFull => "the hub cannot write: no space left on its disk",
        ErrorKind::QuotaExceeded => "the hub cannot write: its disk quota is used up",
        ErrorKind::ReadOnlyFilesystem => "the hub cannot write: its disk is read-only",
        _ => "the file operation failed, the hub's log tells more",
    })
}

impl Hub {
    /// Writes an upload from its body and answers with size, offset and checksum.
    ///
    /// # Errors
    /// When the caller may not write there, or the body breaks off.
    pub async fn upload<E: std::fmt::Display>(
        &self,
        request: &Request,
        params: Params,
        mut body: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<Map, Fault> {
        self.online()?;
        let (place, user_id) = self.upload_place(request, &params).await?;
        let verify = match params.fileverify.as_str() {
            "" => None,
            name => Some(Algorithm::for_upload(name).map_err(store_fault)?),
        };
        let begin = Begin {
            path: place.path.clone(),
            offset: params.offset,
            overwrite: params.overwrite,
            verify,
        };
        let task_id = place.task_id;
        let (chunks, mut inbox) = tokio::sync::mpsc::channel::<Bytes>(8);
        let (done, finished) = tokio::sync::oneshot::channel::<()>();
        let store = self.store.clone();
        let writer = tokio::task::spawn_blocking(move || {
            let area = Area::new(&place.root);
            place.claim(&area, user_id)?;
            if begin.overwrite && begin.offset == 0 {
                // What lies in an object store is replaced as a whole.
                store.unstage(&area, &begin.path).map_err(store_fault)?;
            }
            let mut upload = Upload::begin(&area, &begin).map_err(store_fault)?;
            while let Some(chunk) = inbox.blocking_recv() {
                upload.write(&chunk).map_err(store_fault)?;
            }
            if finished.blocking_recv().is_err() {
                return Err(Fault::generic("the upload broke off"));
            }
            upload.finish().map_err(store_fault)
        });
        let mut broken = None;
        while let Some(chunk) = body.next().await {
            match chunk {
                // The writer has failed when it does not listen any more; its error comes below.
                Ok(chunk) => {
                    if chunks.send(chunk).await.is_err() {
                        break;
                    }
                }
                Err(error) => {
                    broken = Some(Fault::generic(format!("the upload broke off: {error}")));
                    break;
                }
            }
        }
        // Either way the writer must hear of it: it waits for this with the file locked.
        match &broken {
            None => drop(done.send(())),
            Some(_) => drop(done),
        }
        drop(chunks);
        let written = writer.await.map_err(|error| Fault::unexpected(error.to_string()))?;
        if let Some(fault) = broken {
            return Err(fault);
        }
        let (size, offset, digest) = written?;
        if let Some(task_id) = task_id {
            self.bus.signal(Topic::Task(task_id));
        }
        let mut answer =
            map! { "size" => size, "fileverify" => params.fileverify, "offset" => offset };
        if let Some(digest) = digest {
            answer.insert("hexdigest", digest);
        }
        Ok(answer)
    }

    /// Checks the session and the place; the transaction ends before the body is read.
    async fn upload_place(
        &self,
        request: &Request,
        params: &Params,
    ) -> Result<(Place, i64), Fault> {
        let mut call = Call::new(self.clone(), self.db.begin(), request.clone());
        session::open(&mut call).await?;
        session::check_lock(&mut call, "upload").await?;
        let Some(user_id) = call.user_id() else {
            return Err(Fault::not_allowed("you must be logged-in to upload a file"));
        };
        let volume = params.volume.clone();
        let place =
            place(&mut call, &params.filepath, &params.filename, volume.as_deref(), true).await?;
        Ok((place, user_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_of_the_stock_client() {
        let query = "filepath=cli-build%2F1.x&filename=a+b.rpm&fileverify=adler32&offset=10";
        let params = Params::from_query(query).unwrap();
        assert_eq!(params.filepath, "cli-build/1.x");
        assert_eq!(params.filename, "a b.rpm");
        assert_eq!((params.offset, params.overwrite), (10, false));
        assert!(Params::from_query("filepath=x").is_err());
        assert!(Params::from_query("filename=x&offset=-2").is_err());
    }
}
