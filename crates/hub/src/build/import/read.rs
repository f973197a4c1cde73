//! Reading and hashing of what was uploaded, before the database is held.

use std::path::PathBuf;

use toji_store::{Area, Store};
use toji_value::Fault;

use super::{Results, noarch};
use crate::Call;
use crate::build::source::Source;
use crate::upload::open::{self as upload, Opened, is_upload};

/// A log to be stored.
#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) dir: String,
    pub(super) path: PathBuf,
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) sha256: String,
}

/// Reads and hashes all files; doubled noarch packages are compared and taken once.
pub(super) async fn read(call: &Call, results: &Results) -> Result<(Vec<Source>, Vec<Log>), Fault> {
    let (area, store) = (Area::new(call.hub.paths.work(None)), call.hub.store.clone());
    let results = results.clone();
    let work = move || -> Result<(Vec<Source>, Vec<Log>), Fault> {
        let mut sources = vec![read_rpm(&store, &area, &results.srpm)?];
        for rel in &results.rpms {
            sources.push(read_rpm(&store, &area, rel)?);
        }
        let sources = noarch::merge(sources)?;
        let logs = results.logs.iter().map(|(dir, rel)| read_log(&store, &area, dir, rel));
        Ok((sources, logs.collect::<Result<_, _>>()?))
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Fault::unexpected("reading of uploaded files ended early"))?
}

/// Opens an uploaded file; links to what was imported are refused, so that nothing is imported twice.
fn open(store: &Store, area: &Area, rel: &str) -> Result<Opened, Fault> {
    let shown = || area.root().join(rel).display().to_string();
    let plain = toji_store::normalize(rel).map_err(|e| Fault::generic(e.to_string()))?;
    if is_upload(store, &area.root().join(&plain)) == Some(false) {
        return Err(Fault::generic(format!("{} is not a regular file", shown())));
    }
    upload::open(store, area, &plain).map_err(|e| match e.is_missing() {
        true => Fault::generic(format!("No such file: {}", shown())),
        false => Fault::generic(e.to_string()),
    })
}

pub(crate) fn read_rpm(store: &Store, area: &Area, rel: &str) -> Result<Source, Fault> {
    let mut opened = open(store, area, rel)?;
    let read = Source::read(rel, &mut opened.file, opened.written, &opened.path);
    let source = read.map_err(|e| Fault::generic(chain(&e)))?;
    opened.check(&source.sha256).map_err(|e| Fault::generic(e.to_string()))?;
    Ok(source)
}

pub(super) fn read_log(store: &Store, area: &Area, dir: &str, rel: &str) -> Result<Log, Fault> {
    let mut opened = open(store, area, rel)?;
    let sha256 = [toji_store::Algorithm::Sha256];
    let hashed = toji_store::hash_of(&mut opened.file, &opened.path, &sha256);
    let (mut sums, size) = hashed.map_err(|e| Fault::generic(e.to_string()))?;
    let name = rel.rsplit('/').next().unwrap_or(rel).to_owned();
    let sha256 = sums.pop().unwrap_or_default();
    opened.check(&sha256).map_err(|e| Fault::generic(e.to_string()))?;
    Ok(Log { dir: dir.to_owned(), path: opened.path, name, size, sha256 })
}

/// An error with its causes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let part = inner.to_string();
        if !text.contains(&part) {
            text = format!("{text}: {part}");
        }
        cause = inner.source();
    }
    text
}
