//! Repositories from chunks that are compressed once and then taken over.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::chunks::Cutter;
use crate::{Compression, Piece, Pieces, Repomd, RepositoryWriter, Result, Sink, pack};

/// Identifies a packed chunk by its content and compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChunkKey(pub [u8; 32]);

/// Keeps packed chunks from one repository to the next. It may forget any of them at any time.
pub trait ChunkStore {
    /// The chunk, if it is still known.
    fn get(&mut self, key: &ChunkKey) -> Option<Vec<u8>>;

    /// Takes a chunk that was just packed.
    fn put(&mut self, key: ChunkKey, packed: &[u8]);
}

/// Writes a repository whose chunks come from a store where it has them.
pub struct ChunkedWriter<'s, S: Sink, C: ChunkStore> {
    writer: RepositoryWriter<'s, S>,
    store: &'s mut C,
    compression: Compression,
    cutter: Cutter,
    packages: u64,
    open: [Vec<u8>; 3],
}

impl<'s, S: Sink, C: ChunkStore> ChunkedWriter<'s, S, C> {
    /// Starts a repository of `packages` packages, whose files are dated `timestamp`.
    pub fn new(
        sink: &'s mut S,
        store: &'s mut C,
        packages: u64,
        compression: Compression,
        timestamp: i64,
    ) -> Result<Self> {
        let writer = RepositoryWriter::new(sink, packages, compression, timestamp)?;
        let cutter = Cutter::default();
        Ok(Self { writer, store, compression, cutter, packages: 0, open: Default::default() })
    }

    /// Adds a package: the checksum of its file and its fragments for primary, filelists, other.
    /// For chunks to be found again, packages come in an order that only depends on themselves.
    pub fn add(&mut self, checksum: &str, fragments: [&[u8]; 3]) -> Result<()> {
        self.packages += 1;
        for (open, fragment) in self.open.iter_mut().zip(fragments) {
            open.extend_from_slice(fragment);
        }
        if self.cutter.ends(checksum) { self.flush() } else { Ok(()) }
    }

    /// As [`RepositoryWriter::add_comps`].
    pub fn add_comps(&mut self, comps: &[u8]) -> Result<()> {
        self.writer.add_comps(comps)
    }

    /// As [`RepositoryWriter::add_extra`].
    pub fn add_extra(&mut self, kind: &str, name: &str, data: &[u8]) -> Result<()> {
        self.writer.add_extra(kind, name, data)
    }

    /// As [`RepositoryWriter::finish`].
    pub fn finish(mut self, revision: &str) -> Result<Repomd> {
        self.flush()?;
        self.writer.finish(revision)
    }

    fn flush(&mut self) -> Result<()> {
        if self.packages == 0 {
            return Ok(());
        }
        let mut packed: [Vec<u8>; 3] = Default::default();
        for (packed, open) in packed.iter_mut().zip(&self.open) {
            let key = key(self.compression, open);
            *packed = match self.store.get(&key) {
                Some(known) => known,
                None => {
                    let new = pack(open, self.compression)?;
                    self.store.put(key, &new);
                    new
                }
            };
        }
        let piece = |n: usize| Piece { open: &self.open[n], packed: Some(&packed[n]) };
        let (primary, filelists, other) = (piece(0), piece(1), piece(2));
        self.writer.add(Pieces { packages: self.packages, primary, filelists, other })?;
        self.packages = 0;
        self.open.iter_mut().for_each(Vec::clear);
        Ok(())
    }
}

fn key(compression: Compression, open: &[u8]) -> ChunkKey {
    let (kind, level) = match compression {
        Compression::Gzip(level) => (b'g', i64::from(level)),
        Compression::Zstd(level) => (b'z', i64::from(level)),
        Compression::Xz(level) => (b'x', i64::from(level)),
        Compression::Bzip2(level) => (b'b', i64::from(level)),
    };
    let hash = Sha256::new().chain_update([kind]).chain_update(level.to_be_bytes());
    ChunkKey(hash.chain_update(open).finalize().into())
}

/// A store in memory that forgets what was not used for longest.
#[derive(Debug)]
pub struct MemoryChunks {
    limit: usize,
    bytes: usize,
    clock: u64,
    chunks: HashMap<ChunkKey, (u64, Vec<u8>)>,
}

impl MemoryChunks {
    /// Keeps up to `limit` bytes; 1,000 packages take about 1 MB.
    pub fn new(limit: usize) -> Self {
        Self { limit, bytes: 0, clock: 0, chunks: HashMap::new() }
    }

    /// Forgets the older half, so that room is seldom looked for.
    fn make_room(&mut self) {
        let mut uses: Vec<u64> = self.chunks.values().map(|(used, _)| *used).collect();
        uses.sort_unstable();
        let median = uses.get(uses.len() / 2).copied().unwrap_or(0);
        self.chunks.retain(|_, (used, _)| *used > median);
        self.bytes = self.chunks.values().map(|(_, packed)| packed.len()).sum();
    }
}

impl ChunkStore for MemoryChunks {
    fn get(&mut self, key: &ChunkKey) -> Option<Vec<u8>> {
        self.clock += 1;
        let (used, packed) = self.chunks.get_mut(key)?;
        *used = self.clock;
        Some(packed.clone())
    }

    fn put(&mut self, key: ChunkKey, packed: &[u8]) {
        if packed.len() > self.limit {
            return;
        }
        while self.bytes + packed.len() > self.limit && !self.chunks.is_empty() {
            self.make_room();
        }
        self.clock += 1;
        self.bytes += packed.len();
        if let Some((_, old)) = self.chunks.insert(key, (self.clock, packed.to_vec())) {
            self.bytes -= old.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_stays_within_its_limit_and_keeps_what_is_used() {
        let mut store = MemoryChunks::new(100);
        let key = |n: u8| ChunkKey([n; 32]);
        for n in 0..50 {
            store.put(key(n), &[n; 10]);
            assert!(store.bytes <= 100);
            assert_eq!(store.bytes, store.chunks.len() * 10);
            assert_eq!(store.get(&key(0)), Some(vec![0; 10]), "after {n}");
        }
        assert_eq!(store.get(&key(49)), Some(vec![49; 10]));
        assert_eq!(store.get(&key(1)), None);
        store.put(key(60), &[0; 101]);
        assert_eq!(store.get(&key(60)), None);
    }
}
