//! A recorded data set: a directory with `data/*.csv.zst`, `data/sequences.json` and `files.tar.zst`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use toji_db::load::Table;

/// Window of the strongest compression that is read: `zstd --long=27`.
const WINDOW_LOG: u32 = 27;

/// A recorded data set.
pub(crate) struct DataSet {
    dir: PathBuf,
}

impl DataSet {
    /// The data set in `dir`, which has its tables in the directory `data`.
    pub(crate) fn open(dir: &Path) -> anyhow::Result<DataSet> {
        ensure!(dir.join("data").is_dir(), "{} has no directory `data`", dir.display());
        Ok(DataSet { dir: dir.to_owned() })
    }

    /// The content of each table that has rows.
    pub(crate) fn tables(&self) -> anyhow::Result<Vec<Table>> {
        let dir = self.dir.join("data");
        let fail = || format!("failed to read {}", dir.display());
        let mut tables = Vec::new();
        for entry in std::fs::read_dir(&dir).with_context(fail)? {
            let path = entry.with_context(fail)?.path();
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Some((name, kind)) = file.split_once('.') else { continue };
            let csv = match kind {
                "csv" => std::fs::read(&path).map_err(anyhow::Error::from),
                "csv.zst" => unpacked(&path),
                _ => continue,
            };
            let csv = csv.with_context(|| format!("failed to read {}", path.display()))?;
            tables.push(Table { name: name.to_owned(), csv });
        }
        if tables.is_empty() {
            bail!("{} has no tables", dir.display());
        }
        Ok(tables)
    }

    /// The last value of each sequence; empty when it was not recorded.
    pub(crate) fn sequences(&self) -> anyhow::Result<Vec<(String, i64)>> {
        let file = self.dir.join("data/sequences.json");
        if !file.exists() {
            return Ok(Vec::new());
        }
        let text = std::fs::read(&file);
        let text = text.with_context(|| format!("failed to read {}", file.display()))?;
        let sequences: BTreeMap<String, i64> = serde_json::from_slice(&text)
            .with_context(|| format!("failed to understand {}", file.display()))?;
        Ok(sequences.into_iter().collect())
    }

    /// The recorded file root as a tar stream, if there is one.
    pub(crate) fn files(&self) -> anyhow::Result<Option<Box<dyn Read + Send>>> {
        let file = self.dir.join("files.tar.zst");
        if !file.exists() {
            return Ok(None);
        }
        let reader = decoder(&file);
        Ok(Some(Box::new(reader.with_context(|| format!("failed to read {}", file.display()))?)))
    }
}

fn unpacked(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut out = Vec::new();
    decoder(path)?.read_to_end(&mut out)?;
    Ok(out)
}

fn decoder(path: &Path) -> anyhow::Result<impl Read + Send + use<>> {
    let mut decoder = zstd::Decoder::new(File::open(path)?)?;
    decoder.window_log_max(WINDOW_LOG)?;
    Ok(decoder)
}
