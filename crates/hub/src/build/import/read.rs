//! Reading and hashing of what was uploaded, before the database is held.

use std::path::PathBuf;

use toji_store::Area;
use toji_value::Fault;

use super::{Results, noarch};
use crate::Call;
use crate::build::source::Source;

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
    let area = Area::new(call.hub.paths.work(None));
    let results = results.clone();
    let work = move || -> Result<(Vec<Source>, Vec<Log>), Fault> {
        let mut sources = vec![read_rpm(&area, &results.srpm)?];
        for rel in &results.rpms {
            sources.push(read_rpm(&area, rel)?);
        }
        let sources = noarch::merge(sources)?;
        let logs = results.logs.iter().map(|(dir, rel)| read_log(&area, dir, rel));
        Ok((sources, logs.collect::<Result<_, _>>()?))
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Fault::unexpected("reading of uploaded files ended early"))?
}

/// Opens an uploaded file; links are refused, so that nothing is imported twice.
fn open(area: &Area, rel: &str) -> Result<(std::fs::File, PathBuf), Fault> {
    let shown = || area.root().join(rel).display().to_string();
    let plain = toji_store::normalize(rel).map_err(|e| Fault::generic(e.to_string()))?;
    let path = area.root().join(&plain);
    if std::fs::symlink_metadata(&path).is_ok_and(|m| !m.is_file()) {
        return Err(Fault::generic(format!("{} is not a regular file", shown())));
    }
    let file = area.open(&plain).map_err(|e| match e.is_missing() {
        true => Fault::generic(format!("No such file: {}", shown())),
        false => Fault::generic(e.to_string()),
    })?;
    Ok((file, path))
}

pub(crate) fn read_rpm(area: &Area, rel: &str) -> Result<Source, Fault> {
    let (file, path) = open(area, rel)?;
    Source::read(rel, file, &path).map_err(|e| Fault::generic(chain(&e)))
}

pub(super) fn read_log(area: &Area, dir: &str, rel: &str) -> Result<Log, Fault> {
    let (_, path) = open(area, rel)?;
    let hashed = toji_store::hash(&path, &[toji_store::Algorithm::Sha256]);
    let (mut sums, size) = hashed.map_err(|e| Fault::generic(e.to_string()))?;
    let name = rel.rsplit('/').next().unwrap_or(rel).to_owned();
    let sha256 = sums.pop().unwrap_or_default();
    Ok(Log { dir: dir.to_owned(), path, name, size, sha256 })
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
