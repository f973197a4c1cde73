//! What a builder that was killed had not yet uploaded: the ends of its tasks' logs.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toji_client::{Client, Upload, args};
use toji_value::Value;

use crate::context::upload_dir;
use crate::failure::chain;
use crate::logs::read;
use crate::worker::work_dir;

/// The longest that the start waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Uploads the rest of the logs of tasks that the hub still believes to run here.
///
/// To be done before these tasks are given back: then they are another builder's.
pub(crate) async fn logs(hub: &Client, workdir: &Path) {
    match tokio::time::timeout(PATIENCE, all(hub, workdir)).await {
        Ok(Ok(0)) => {}
        Ok(Ok(bytes)) => tracing::info!(bytes, "uploaded the rest of logs of an earlier life"),
        Ok(Err(error)) => {
            tracing::warn!(error = chain(&error), "the rest of logs of an earlier life is lost");
        }
        Err(_) => tracing::warn!("no time to upload the rest of logs of an earlier life"),
    }
}

async fn all(hub: &Client, workdir: &Path) -> Result<u64, toji_client::Error> {
    if !workdir.join("tasks").exists() {
        return Ok(0);
    }
    let tasks = hub.call("host.getHostTasks", ()).await?;
    let ids = tasks.as_array().unwrap_or_default().iter();
    let mut bytes = 0;
    for id in ids.filter_map(|task| task.get("id").as_int()) {
        let dir = work_dir(workdir, id);
        let found = found(&dir).map_err(|source| toji_client::Error::File { path: dir, source })?;
        if !found.is_empty() {
            bytes += of_task(hub, id, found).await?;
        }
    }
    Ok(bytes)
}

/// The logs in a task's directory, with their lengths.
fn found(dir: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    let mut logs = Vec::new();
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(logs),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let meta = entry.metadata()?;
        if meta.is_file() && entry.file_name().to_string_lossy().ends_with(".log") {
            logs.push((entry.path(), meta.len()));
        }
    }
    Ok(logs)
}

async fn of_task(
    hub: &Client,
    id: i64,
    logs: Vec<(PathBuf, u64)>,
) -> Result<u64, toji_client::Error> {
    let there = hub.call("listTaskOutput", args!(id; "stat" => true)).await?;
    let there: HashMap<&str, u64> = there
        .as_struct()
        .into_iter()
        .flat_map(toji_value::Map::iter)
        .map(|(name, stat)| (name, size(stat.get("st_size"))))
        .collect();
    let dir = upload_dir(id);
    let mut bytes = 0;
    for (path, length) in logs {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let to = Upload { path: &dir, name: &name, overwrite: true, ..Upload::default() };
        let mut offset = there.get(&*name).copied().unwrap_or(0);
        while offset < length {
            let data = read(&path, offset)
                .map_err(|source| toji_client::Error::File { path: path.clone(), source })?;
            if data.is_empty() {
                break;
            }
            let piece = data.len() as u64;
            hub.upload_piece(data.into(), offset, &to).await?;
            offset += piece;
            bytes += piece;
        }
    }
    Ok(bytes)
}

/// Sizes come as text: they may exceed what XML-RPC's integers hold.
fn size(value: &Value) -> u64 {
    match value.as_int() {
        Some(size) => u64::try_from(size).unwrap_or(0),
        None => value.as_str().and_then(|text| text.parse().ok()).unwrap_or(0),
    }
}
