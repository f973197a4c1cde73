//! External repositories of tags: their metadata, fetched, checked and kept for a while.

use std::io::{BufReader, Cursor};
use std::sync::Arc;

use futures::future::BoxFuture;
use sha2::{Digest, Sha256};
use toji_repodata::reader::ReadLimits;
use toji_repodata::{Record, Repomd, decoder};
use toji_solve::{Package, Repository};
use toji_value::Fault;

use crate::Hub;

/// Fetches what administrators have named as external repositories; the hub itself speaks no HTTP.
pub trait Fetch: Send + Sync {
    /// The content of a URL of at most `limit` bytes, or why it cannot be had.
    fn fetch(&self, url: String, limit: usize) -> BoxFuture<'static, Result<Vec<u8>, String>>;
}

/// Bytes of a `repomd.xml` and of a metadata file as it is fetched.
const REPOMD: usize = 1 << 20;
const PACKED: usize = 1 << 30;

/// The same of a repository that a caller has named.
const GIVEN: usize = 64 << 20;

/// Seconds for which a repository is not looked at again.
const FRESH: f64 = 120.0;

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

/// Who has named a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// An administrator, for a tag.
    Tag,
    /// A caller.
    Caller,
}

/// Why a repository could not be had.
#[derive(Clone)]
pub(super) struct Failed {
    /// When that was, in seconds since 1970.
    pub(super) at: f64,
    text: String,
}

impl Failed {
    pub(super) fn new(at: f64, text: &str) -> Self {
        Self { at, text: text.to_owned() }
    }
}

/// A repository as it was at most [`FRESH`] seconds ago: one caller fetches it, the others wait for that one.
pub(super) async fn current(hub: &Hub, url: &str, whose: Whose) -> Result<Kept, Fault> {
    let begin = hub.now();
    let fresh = move |kept: &Kept| begin - kept.at < FRESH;
    if let Some(kept) = hub.solver.outside(url).filter(fresh) {
        return Ok(kept);
    }
    let (hub, url) = (hub.clone(), url.to_owned());
    // A task of its own: who waits for it does not lose it when the caller goes away.
    let done = tokio::spawn(async move {
        let flight = hub.solver.flight(&url);
        let _first = flight.lock().await;
        let before = match hub.solver.outside(&url) {
            Some(kept) if fresh(&kept) => return Ok(kept),
            before => before,
        };
        // What failed for the one before would fail for those who have waited meanwhile.
        if let Some(failed) = hub.solver.failed(&url).filter(|failed| failed.at >= begin) {
            return Err(Fault::generic(failed.text));
        }
        let most = if whose == Whose::Tag { PACKED } else { GIVEN };
        match load(&hub, &url, most, before).await {
            Ok(kept) => {
                hub.solver.put_outside(url, kept.clone());
                Ok(kept)
            }
            Err(fault) => {
                let failed = Failed::new(hub.now(), &fault.message);
                hub.solver.put_failed(url, failed);
                Err(fault)
            }
        }
    });
    done.await.map_err(|error| Fault::unexpected(error.to_string()))?
}

/// The state of a repository now, with its packages if it is the same state as `before`.
async fn load(hub: &Hub, url: &str, most: usize, before: Option<Kept>) -> Result<Kept, Fault> {
    let at = hub.now();
    let wrong = |text: String| Fault::generic(format!("external repository {url}: {text}"));
    let base = url.trim_end_matches('/');
    let text = fetch(hub, format!("{base}/repodata/repomd.xml"), REPOMD).await.map_err(&wrong)?;
    let state = hex::encode(Sha256::digest(&text));
    if let Some(before) = before.filter(|before| before.state == state) {
        return Ok(Kept { at, ..before });
    }
    let repomd =
        Repomd::parse(text.as_slice(), REPOMD as u64).map_err(|error| wrong(error.to_string()))?;
    let primary =
        repomd.record("primary").ok_or_else(|| wrong("no primary metadata".to_owned()))?;
    let primary = part(hub, base, primary, most).await.map_err(&wrong)?;
    let filelists = match repomd.record("filelists") {
        Some(record) => Some(part(hub, base, record, most).await.map_err(&wrong)?),
        None => None,
    };
    let read = tokio::task::spawn_blocking(move || read(primary, filelists));
    let read = read.await.map_err(|error| Fault::unexpected(error.to_string()))?;
    let packages = read.map_err(|error| wrong(error.to_string()))?.packages;
    Ok(Kept { state, at, packages })
}

/// A metadata file with its name.
type Part = (String, Vec<u8>);

async fn part(hub: &Hub, base: &str, record: &Record, most: usize) -> Result<Part, String> {
    let href = &record.href;
    if href.contains("://") || href.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(format!("bad location: {href}"));
    }
    let data = fetch(hub, format!("{base}/{href}"), most).await?;
    let checksum =
        record.checksum.len() == 64 && hex::encode(Sha256::digest(&data)) != record.checksum;
    if checksum { Err(format!("{href} has another checksum")) } else { Ok((href.clone(), data)) }
}

async fn fetch(hub: &Hub, url: String, limit: usize) -> Result<Vec<u8>, String> {
    match hub.solver.fetcher() {
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
