//! The metadata of a repository elsewhere, fetched and verified, as a directory.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use toji_hub::solve::Fetch as _;
use toji_repodata::Repomd;

use crate::fetch::Web;

/// Most bytes of `repomd.xml`, and of another file.
const LIST: usize = 16 << 20;
const FILE: usize = 2 << 30;

/// The directory of a repository: itself, or a copy in `room` of the metadata at a URL.
pub(super) fn local(given: &str, room: &Path) -> anyhow::Result<PathBuf> {
    if let Some(path) = given.strip_prefix("file://") {
        return Ok(PathBuf::from(path));
    }
    if !given.contains("://") {
        return Ok(PathBuf::from(given));
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(fetch(given.trim_end_matches('/'), room))?;
    Ok(room.to_owned())
}

async fn fetch(url: &str, room: &Path) -> anyhow::Result<()> {
    let get = async |path: &str, limit| {
        let from = format!("{url}/{path}");
        Web.fetch(from.clone(), limit).await.map_err(anyhow::Error::msg).context(from)
    };
    let text = get("repodata/repomd.xml", LIST).await?;
    let repomd = Repomd::parse(text.as_slice(), LIST as u64).context(url.to_owned())?;
    std::fs::create_dir_all(room.join("repodata"))?;
    std::fs::write(room.join("repodata/repomd.xml"), &text)?;
    for record in &repomd.records {
        let needed = ["primary", "filelists", "other", "updateinfo", "modules"];
        if !needed.contains(&record.kind.as_str()) && !record.kind.starts_with("group") {
            continue;
        }
        let name = record.href.strip_prefix("repodata/").filter(|name| !name.contains('/'));
        let name = name.with_context(|| format!("{url}: a strange place: {}", record.href))?;
        let data = get(&record.href, FILE).await?;
        ensure!(record.sum.of(&data) == record.checksum, "{url}/{}: another checksum", record.href);
        std::fs::write(room.join("repodata").join(name), data)?;
    }
    Ok(())
}
