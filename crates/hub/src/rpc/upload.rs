//! Uploads by calls, and the output files of tasks.

use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use toji_api::upload::*;
use toji_bus::Topic;
use toji_db::lookup::Names;
use toji_store::packed::{Content, content_length};
use toji_store::{Algorithm, Area, Hasher, Item, Source};
use toji_value::{Fault, FromValue, Map, Value, map};

use crate::Call;
use crate::dispatch::Handle;
use crate::upload::{Place, place, root, store_fault};

/// A read of task output is answered with at most this many bytes.
const MAX_PART: u64 = 64 << 20;

impl Handle for UploadFile {
    async fn handle(self, call: &mut Call) -> Result<bool, Fault> {
        let user_id = call.login()?.user_id;
        let contents = decode(&self.data)?;
        let offset = i64::from_value(self.offset)?;
        let size = Option::<i64>::from_value(self.size)?;
        let checksum = if self.checksum.is_nil() { self.md5sum } else { self.checksum };
        let expected = expected_checksum(&checksum)?;
        if offset < -1 {
            return Err(Fault::parameter(format!("invalid upload offset: {offset}")));
        }
        if offset != -1 && size.is_some_and(|size| size != contents.len() as i64) {
            return Ok(false);
        }
        if offset != -1 && !expected.as_ref().is_none_or(|e| e.fits(&contents)) {
            return Ok(false);
        }
        let place = place(call, &self.path, &self.name, self.volume.as_deref(), true).await?;
        let task_id = place.task_id;
        let part = Part { contents, offset, size, expected };
        let done = blocking(move || part.write(&place, user_id)).await?;
        if let Some(task_id) = task_id {
            call.signal(Topic::Task(task_id));
        }
        Ok(done)
    }
}

/// The checksum that a caller expects: an MD5 as text, or type and digest.
struct Expected(Algorithm, String);

impl Expected {
    fn fits(&self, contents: &[u8]) -> bool {
        let mut hasher = Hasher::new(self.0);
        hasher.update(contents);
        hasher.finish() == self.1
    }
}

fn expected_checksum(checksum: &Value) -> Result<Option<Expected>, Fault> {
    match checksum {
        Value::Nil => Ok(None),
        Value::Str(digest) => Ok(Some(Expected(Algorithm::Md5, digest.clone()))),
        Value::Array(pair) => match pair.as_slice() {
            [Value::Str(name), Value::Str(digest)] => {
                let algorithm = Algorithm::for_upload(name).map_err(store_fault)?;
                Ok(Some(Expected(algorithm, digest.clone())))
            }
            _ => Err(Fault::parameter("a checksum is a type and a digest")),
        },
        other => Err(Fault::parameter(format!("invalid checksum: {}", other.repr()))),
    }
}

fn decode(data: &Value) -> Result<Vec<u8>, Fault> {
    match data {
        Value::Bytes(bytes) => Ok(bytes.clone()),
        Value::Str(text) => {
            let plain: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
            STANDARD.decode(plain).map_err(|_| Fault::parameter("the data are not base64"))
        }
        other => Err(Fault::parameter(format!("invalid data: {}", other.type_name()))),
    }
}

/// A part of a file that is uploaded by a call.
struct Part {
    contents: Vec<u8>,
    offset: i64,
    size: Option<i64>,
    expected: Option<Expected>,
}

impl Part {
    fn write(&self, place: &Place, user_id: i64) -> Result<bool, Fault> {
        let area = Area::new(&place.root);
        place.claim(&area, user_id)?;
        // Logs may be written anew, so that they can be followed while they grow.
        if self.offset == 0
            && !place.path.ends_with(".log")
            && area.exists(&place.path).map_err(store_fault)?
        {
            let full = format!("{}/{}", place.root, place.path);
            let link = std::fs::symlink_metadata(&full).is_ok_and(|meta| !meta.is_file());
            let what = if link { "destination not a file" } else { "file already exists" };
            return Err(Fault::generic(format!("{what}: {full}")));
        }
        let mut file = area.open_for_write(&place.path).map_err(store_fault)?;
        let whole = self.size == Some(self.contents.len() as i64);
        let written = (|| {
            if self.offset == 0 || (self.offset == -1 && whole) {
                file.set_len(0)?;
            }
            match u64::try_from(self.offset) {
                Ok(offset) => file.seek(SeekFrom::Start(offset))?,
                Err(_) => file.seek(SeekFrom::End(0))?,
            };
            file.write_all(&self.contents)?;
            if self.offset == -1 {
                if let Some(size) = self.size.and_then(|s| u64::try_from(s).ok()) {
                    file.set_len(size)?;
                }
                if let Some(expected) = &self.expected {
                    file.seek(SeekFrom::Start(0))?;
                    return Ok(hash(&mut file, expected.0)? == expected.1);
                }
            }
            Ok(true)
        })();
        written.map_err(io_fault)
    }
}

fn hash(file: &mut impl Read, algorithm: Algorithm) -> std::io::Result<String> {
    let mut hasher = Hasher::new(algorithm);
    let mut buffer = vec![0; 128 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            n => hasher.update(&buffer[..n]),
        }
    }
}

fn io_fault(error: std::io::Error) -> Fault {
    tracing::error!(%error, "a file operation failed");
    crate::upload::io_fault(error.kind())
}

/// Runs file work on a thread for blocking work.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Fault::unexpected(e.to_string()))?
}

impl Handle for CheckUpload {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let place = place(call, &self.path, &self.name, self.volume.as_deref(), false).await?;
        let verify = self.verify.filter(|v| !v.is_empty());
        let tail = self.tail;
        // An imported file is a link into the build's directory, so the root is that of all files.
        let (root, path) = beside(&place.root, &place.path);
        let hub = call.hub.clone();
        blocking(move || {
            let (mut file, size, mtime) = match Area::new(&root).open(&path) {
                Ok(file) => {
                    let meta = file.metadata().map_err(io_fault)?;
                    let file = Content::new(file).map_err(io_fault)?;
                    let size = file.length().map_err(io_fault)?;
                    let file: Box<dyn Source> = Box::new(file);
                    (file, size, seconds(meta.mtime(), meta.mtime_nsec()))
                }
                Err(error) if error.is_missing() => {
                    // A link may lead into an object store.
                    let path = crate::files::below(&hub, format!("{root}/{path}").as_ref());
                    match hub.store.away_file(&path).map_err(store_fault)? {
                        Some((file, item)) => (file, item.size, away_time(&item)),
                        None => return Ok(Value::Nil),
                    }
                }
                Err(error) => return Err(store_fault(error)),
            };
            let mut data = map! { "size" => size, "mtime" => mtime };
            // A file that is not there is no error, whatever was to be done with it.
            if let Some(name) = verify {
                let algorithm = Algorithm::for_upload(&name).map_err(store_fault)?;
                if let Some(tail) = tail.filter(|tail| *tail < 0) {
                    return Err(Fault::generic(format!("Invalid tail value: {tail}")));
                }
                let length = tail.map_or(size, |t| size.min(t.unsigned_abs()));
                file.seek(SeekFrom::Start(size - length)).map_err(io_fault)?;
                data.insert("sumlength", length);
                data.insert("hexdigest", hash(&mut file, algorithm).map_err(io_fault)?);
            }
            Ok(data.into())
        })
        .await
    }
}

/// The same of an object, of which one time is known.
fn away_times(item: &Item) -> Map {
    let time = away_time(item);
    map! {
        "st_size" => item.size.to_string(), "st_atime" => time, "st_mtime" => time, "st_ctime" => time,
    }
}

fn away_time(item: &Item) -> f64 {
    let age = item.modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    age.map_or(0.0, |age| age.as_secs_f64())
}

fn seconds(whole: i64, nanos: i64) -> f64 {
    whole as f64 + nanos as f64 / 1e9
}

impl Handle for DownloadTaskOutput {
    async fn handle(self, call: &mut Call) -> Result<String, Fault> {
        let mut volume = None;
        if self.volume.truthy() {
            let missing = || Fault::generic(format!("No such volume: {}", self.volume.display()));
            volume = Some(call.find(Names::Volume, &self.volume).await?.ok_or_else(missing)?.name);
        }
        if self.file_name.contains("..") {
            return Err(Fault::generic(format!("Invalid file name: {}", self.file_name)));
        }
        let offset = Option::<i64>::from_value(self.offset)?.unwrap_or(0);
        // An imported log is a link into the build's directory, so the root is that of all files.
        let root = root(&call.hub, volume.as_deref());
        let (root, dir) = beside(&root, &call.hub.paths.taskrelpath(self.task_id));
        let (name, task_id, size) = (self.file_name, self.task_id, self.size);
        let hub = call.hub.clone();
        blocking(move || {
            let missing = || Fault::generic(format!("no file \"{name}\" output by task {task_id}"));
            let path = format!("{dir}/{name}");
            let mut file: Box<dyn Source> = match Area::new(&root).open(&path) {
                Ok(file) => Box::new(Content::new(file).map_err(io_fault)?),
                // A link into the build's directory may lead into an object store.
                Err(_) => {
                    let path = crate::files::below(&hub, format!("{root}/{path}").as_ref());
                    hub.store.open_away(&path).map_err(store_fault)?.ok_or_else(missing)?
                }
            };
            let length = file.seek(SeekFrom::End(0)).map_err(io_fault)?;
            let start = match u64::try_from(offset) {
                Ok(offset) => offset,
                Err(_) => length.saturating_sub(offset.unsigned_abs()),
            };
            file.seek(SeekFrom::Start(start)).map_err(io_fault)?;
            let wanted = u64::try_from(size).unwrap_or(MAX_PART).min(MAX_PART);
            let mut part = Vec::new();
            file.take(wanted).read_to_end(&mut part).map_err(io_fault)?;
            Ok(STANDARD.encode(part))
        })
        .await
    }
}

impl Handle for ListTaskOutput {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        if self.strict && toji_db::upload::task_holder(&mut call.tx, self.task_id).await?.is_none()
        {
            return Err(Fault::generic("Task doesn't exist"));
        }
        let volumes = if self.all_volumes {
            toji_db::build::volumes(&mut call.tx).await?
        } else {
            vec!["DEFAULT".to_owned()]
        };
        let dir = call.hub.paths.taskrelpath(self.task_id);
        // What lies in an object store is listed where its links are.
        let here = volumes.into_iter().filter(|v| call.hub.store.remote(v).is_none());
        let roots: Vec<(String, String)> =
            here.map(|v| (call.hub.paths.work(Some(&v)), v)).collect();
        let (stat, all_volumes) = (self.stat, self.all_volumes);
        let hub = call.hub.clone();
        blocking(move || {
            let mut names = Vec::new();
            let mut files = Map::new();
            for (root, volume) in roots {
                let area = Area::new(root);
                let below = crate::files::below(&hub, &area.root().join(&dir));
                for (path, item) in hub.store.away(&below).map_err(store_fault)? {
                    let value = if stat { away_times(&item).into() } else { Value::Nil };
                    match (stat, all_volumes) {
                        (false, false) => names.push(Value::Str(path)),
                        (true, false) => drop(files.insert(path, value)),
                        (_, true) => {
                            let staged = hub.store.staged(&area.root().join(&dir).join(&path));
                            let on = staged.as_ref().map_or(&*volume, |staged| staged.volume());
                            on_volume(&mut files, path, on, value);
                        }
                    }
                }
                for entry in area.walk(&dir).map_err(store_fault)? {
                    if toji_store::parts::is_partial(&entry.path) {
                        continue;
                    }
                    let path = area.root().join(&dir).join(&entry.path);
                    let value = if stat { times(&path, &entry.meta).into() } else { Value::Nil };
                    match (stat, all_volumes) {
                        (false, false) => names.push(Value::Str(entry.path)),
                        (true, false) => drop(files.insert(entry.path, value)),
                        (_, true) => on_volume(&mut files, entry.path, &volume, value),
                    }
                }
            }
            Ok(if stat || all_volumes { files.into() } else { Value::Array(names) })
        })
        .await
    }
}

/// The parent of `root`, and `dir` of `root` as seen from there.
fn beside(root: &str, dir: &str) -> (String, String) {
    match root.rsplit_once('/') {
        Some((parent, name)) => (parent.to_owned(), format!("{name}/{dir}")),
        None => (root.to_owned(), dir.to_owned()),
    }
}

/// Adds a file's volume: to a list of names, or to a struct of times.
fn on_volume(files: &mut Map, path: String, volume: &str, value: Value) {
    match (files.get_mut(&path), value.is_nil()) {
        (Some(Value::Array(volumes)), _) => volumes.push(volume.into()),
        (Some(Value::Struct(volumes)), _) => drop(volumes.insert(volume.to_owned(), value)),
        (_, true) => drop(files.insert(path, toji_value::list![volume])),
        (_, false) => {
            let mut volumes = Map::new();
            volumes.insert(volume.to_owned(), value);
            files.insert(path, volumes);
        }
    }
}

/// Size (as text: it may exceed what XML-RPC's integers hold) and times of a file.
fn times(path: &std::path::Path, meta: &std::fs::Metadata) -> Map {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let size = content_length(&name, meta.len(), || std::fs::File::open(path));
    map! {
        "st_size" => size.to_string(),
        "st_atime" => seconds(meta.atime(), meta.atime_nsec()),
        "st_mtime" => seconds(meta.mtime(), meta.mtime_nsec()),
        "st_ctime" => seconds(meta.ctime(), meta.ctime_nsec()),
    }
}
