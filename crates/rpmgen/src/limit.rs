//! How fast the machine compresses when that is all it does: the limit that repositories are measured against.

use std::io::Read;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Result, anyhow};
use serde_json::{Value, json};
use toji_repodata::{Compression, decoder};

/// Bytes that are compressed at a time; about what 64 packages have in one part.
const PIECE: usize = 256 << 10;

/// Reads the files, compresses their content with gzip on all processors, and tells `bytes`, `packed_bytes` and `seconds`.
///
/// # Errors
/// When a file cannot be read.
pub fn pack(files: &[PathBuf], level: u32) -> Result<Value> {
    let mut text = Vec::new();
    for path in files {
        let packed = std::fs::read(path)?;
        let name = path.to_string_lossy();
        decoder(&name, packed.as_slice())?.read_to_end(&mut text)?;
    }
    let pieces: Vec<&[u8]> = text.chunks(PIECE).collect();
    let (next, written) = (AtomicUsize::new(0), AtomicU64::new(0));
    let threads = std::thread::available_parallelism()?.get();
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let work = || -> Result<()> {
            while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
                let packed = toji_repodata::pack(piece, Compression::Gzip(level))?;
                written.fetch_add(packed.len() as u64, Ordering::Relaxed);
            }
            Ok(())
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_| anyhow!("a thread broke off"))?)
    })?;
    let seconds = begin.elapsed().as_secs_f64();
    Ok(json!({"bytes": text.len(), "packed_bytes": written.into_inner(), "seconds": seconds}))
}
