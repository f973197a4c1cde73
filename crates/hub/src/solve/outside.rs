//! External repositories of tags: their metadata, fetched, checked and kept for a while.

use std::io::{BufReader, Cursor};
use std::sync::Arc;

use futures::future::BoxFuture;
use sha2::{Digest, Sha256};
use toji_repodata::reader::ReadLimits;
use toji_repodata::{Record, Repomd, decoder};
use toji_solve::{Package, Repository};
use toji_value::Fault;

use crate::Call;

/// Fetches what administrators have named as external repositories; the hub itself speaks no HTTP.
pub trait Fetch: Send + Sync {
    /// The content of a URL of at most `limit` bytes, or why it cannot be had.
    fn fetch(&self, url: String, limit: usize) -> BoxFuture<'static, Result<Vec<u8>, String>>;
}

/// Bytes of a `repomd.xml` and of a metadata file as it is fetched.
const REPOMD: usize = 1 << 20;
const PACKED: usize = 1 << 30;

/// Bytes of a metadata file when it is unpacked.
const OPEN: u64 = 8 << 30;

/// Metadata of one state of a repository.
#[derive(Clone)]
pub(super) struct Kept {
    /// Names the state.
    pub(super) state: String,
    /// When it was looked at, in seconds since 1970.
    pub(super) at: f64,
    pub(super) packages: Vec<Arc<Package>>,
}

/// The state of a repository now, with its packages if it is the same state as `before`.
pub(super) async fn load(call: &Call, url: &str, before: Option<Kept>) -> Result<Kept, Fault> {
    let at = call.now();
    let wrong = |text: String| Fault::generic(format!("external repository {url}: {text}"));
    let base = url.trim_end_matches('/');
    let text = fetch(call, format!("{base}/repodata/repomd.xml"), REPOMD).await.map_err(&wrong)?;
    let state = hex::encode(Sha256::digest(&text));
    if let Some(before) = before.filter(|before| before.state == state) {
        return Ok(Kept { at, ..before });
    }
    let repomd =
        Repomd::parse(text.as_slice(), REPOMD as u64).map_err(|error| wrong(error.to_string()))?;
    let primary =
        repomd.record("primary").ok_or_else(|| wrong("no primary metadata".to_owned()))?;
    let primary = part(call, base, primary).await.map_err(&wrong)?;
    let filelists = match repomd.record("filelists") {
        Some(record) => Some(part(call, base, record).await.map_err(&wrong)?),
        None => None,
    };
    let read = tokio::task::spawn_blocking(move || read(primary, filelists));
    let read = read.await.map_err(|error| Fault::unexpected(error.to_string()))?;
    let packages = read.map_err(|error| wrong(error.to_string()))?.packages;
    Ok(Kept { state, at, packages })
}

/// A metadata file with its name.
type Part = (String, Vec<u8>);

async fn part(call: &Call, base: &str, record: &Record) -> Result<Part, String> {
    let href = &record.href;
    if href.contains("://") || href.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(format!("bad location: {href}"));
    }
    let data = fetch(call, format!("{base}/{href}"), PACKED).await?;
    let checksum =
        record.checksum.len() == 64 && hex::encode(Sha256::digest(&data)) != record.checksum;
    if checksum { Err(format!("{href} has another checksum")) } else { Ok((href.clone(), data)) }
}

async fn fetch(call: &Call, url: String, limit: usize) -> Result<Vec<u8>, String> {
    match call.hub.solver.fetcher() {
        Some(fetcher) => fetcher.fetch(url, limit).await,
        None => Err("this hub cannot fetch".to_owned()),
    }
}

fn read(primary: Part, filelists: Option<Part>) -> Result<Repository, toji_solve::Error> {
    let limits = ReadLimits { total: OPEN, ..ReadLimits::default() };
    let open = |(name, data): Part| -> toji_repodata::Result<_> {
        // the data are the reader's own, so that it may outlive this frame
        Ok(BufReader::new(decoder(&name, Cursor::new(data))?))
    };
    let filelists = filelists.map(open).transpose()?;
    Repository::read("", open(primary)?, filelists, limits)
}
