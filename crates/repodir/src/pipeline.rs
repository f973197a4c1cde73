//! Texts of packages, made by many threads, to three files in order: bounded memory, each step beside the others.

mod pool;
mod writers;

use std::collections::BTreeMap;

use toji_repodata::{Compression, Cutter, Summary, pack};

use crate::output::{Format, Staging, Unfinished};
use crate::{Error, Result, Watch};
use pool::Pool;
use writers::Writers;

/// Packages that are between their start and the files at most, and more for each worker.
const WINDOW: usize = 512;

/// A package that is ready to be written.
pub(crate) struct Made {
    /// Its checksum; decides where chunks end.
    pub(crate) id: String,
    /// For primary, filelists and other.
    pub(crate) texts: [String; 3],
}

/// Where packages come from.
pub(crate) trait Packages: Sync {
    /// How many.
    fn len(&self) -> usize;

    /// The package of this number; one that fails is left out.
    fn make(&self, number: usize) -> Result<Made>;

    /// A packed chunk that an older file has already.
    fn known(&self, part: usize, compression: Compression, open: &[u8]) -> Option<Vec<u8>>;
}

/// Three files without names.
pub(crate) struct Written {
    pub(crate) files: [(Unfinished, Summary); 3],
    /// Numbers of the packages that failed, with the reason; the files' heads are wrong then.
    pub(crate) broken: Vec<(usize, Error)>,
}

enum Job {
    Package(usize),
    Chunk(usize, Chunk),
}

enum Done {
    Package(usize, Result<Made>),
    Chunk(usize, Result<Chunk>),
}

/// Some packages, and the same packed where that is of use.
#[derive(Default)]
pub(crate) struct Chunk {
    packages: u64,
    open: [Vec<u8>; 3],
    packed: [Option<Vec<u8>>; 3],
}

/// Writes all packages in their order.
pub(crate) fn write(
    packages: &dyn Packages,
    workers: usize,
    staging: &Staging,
    format: &Format,
    watch: &dyn Watch,
) -> Result<Written> {
    let writers = Writers::start(packages.len() as u64, staging, format)?;
    let compression = format.compression;
    let work = |job| match job {
        Job::Package(number) => Done::Package(number, packages.make(number)),
        Job::Chunk(number, chunk) => Done::Chunk(number, pack_chunk(packages, compression, chunk)),
    };
    std::thread::scope(|scope| {
        let pool = Pool::start(scope, workers.max(1), &work);
        let mut flow = Flow::new(&pool, writers, packages.len());
        let result = flow.run(workers, watch);
        pool.stop();
        result?;
        flow.finish()
    })
}

fn pack_chunk(
    packages: &dyn Packages,
    compression: Compression,
    mut chunk: Chunk,
) -> Result<Chunk> {
    if compression.can_join() {
        for part in 0..3 {
            let open = &chunk.open[part];
            let known = packages.known(part, compression, open);
            chunk.packed[part] = Some(known.map_or_else(|| pack(open, compression), Ok)?);
        }
    }
    Ok(chunk)
}

/// What is on its way.
struct Flow<'p> {
    pool: &'p Pool<Job, Done>,
    writers: Writers,
    all: usize,
    /// Packages that were given to the pool, put in order, and written.
    given: usize,
    ordered: usize,
    written: usize,
    early: BTreeMap<usize, Result<Made>>,
    cutter: Cutter,
    open: Chunk,
    chunks_given: usize,
    chunks_written: usize,
    early_chunks: BTreeMap<usize, Chunk>,
    broken: Vec<(usize, Error)>,
}

impl<'p> Flow<'p> {
    fn new(pool: &'p Pool<Job, Done>, writers: Writers, all: usize) -> Self {
        Self {
            pool,
            writers,
            all,
            given: 0,
            ordered: 0,
            written: 0,
            early: BTreeMap::new(),
            cutter: Cutter::default(),
            open: Chunk::default(),
            chunks_given: 0,
            chunks_written: 0,
            early_chunks: BTreeMap::new(),
            broken: Vec::new(),
        }
    }

    fn run(&mut self, workers: usize, watch: &dyn Watch) -> Result<()> {
        let window = WINDOW + workers * 64;
        while self.chunks_written < self.chunks_given || self.ordered < self.all {
            while self.given < self.all && self.given - self.written < window {
                self.pool.give(Job::Package(self.given));
                self.given += 1;
            }
            match self.pool.take()? {
                Done::Package(number, made) => {
                    self.early.insert(number, made);
                    self.order()?;
                    watch.progress(self.ordered as u64, self.all as u64);
                }
                Done::Chunk(number, chunk) => {
                    self.early_chunks.insert(number, chunk?);
                    self.write()?;
                }
            }
        }
        Ok(())
    }

    /// Puts packages that are next into the open chunk.
    fn order(&mut self) -> Result<()> {
        while let Some(made) = self.early.remove(&self.ordered) {
            let number = self.ordered;
            self.ordered += 1;
            let ends = match made {
                Ok(made) => {
                    self.open.packages += 1;
                    for (open, text) in self.open.open.iter_mut().zip(&made.texts) {
                        open.extend_from_slice(text.as_bytes());
                    }
                    self.cutter.ends(&made.id)
                }
                Err(error) => {
                    self.broken.push((number, error));
                    self.written += 1;
                    false
                }
            };
            if self.open.packages > 0 && (ends || self.ordered == self.all) {
                let chunk = std::mem::take(&mut self.open);
                self.pool.give_first(Job::Chunk(self.chunks_given, chunk));
                self.chunks_given += 1;
            }
        }
        Ok(())
    }

    /// Hands chunks that are next to the writers.
    fn write(&mut self) -> Result<()> {
        while let Some(chunk) = self.early_chunks.remove(&self.chunks_written) {
            self.chunks_written += 1;
            self.written += chunk.packages as usize;
            self.writers.write(chunk)?;
        }
        Ok(())
    }

    fn finish(self) -> Result<Written> {
        let fit = self.broken.is_empty();
        Ok(Written { files: self.writers.finish(fit)?, broken: self.broken })
    }
}
