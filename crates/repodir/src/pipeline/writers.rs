//! A thread for each of the three files: it hashes, compresses what is not packed, and writes.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use toji_repodata::{MetadataWriter, Part, Summary};

use super::Chunk;
use crate::output::{Format, Staging, Unfinished};
use crate::{Error, Result};

/// Chunks that wait for each writer.
const WAITING: usize = 4;

struct Piece {
    packages: u64,
    open: Vec<u8>,
    packed: Option<Vec<u8>>,
}

type File = (Unfinished, Summary);

/// The three threads.
pub(super) struct Writers {
    senders: Vec<SyncSender<Piece>>,
    threads: Vec<JoinHandle<Result<MetadataWriter<Unfinished>>>>,
}

impl Writers {
    /// Starts three files of `packages` packages.
    pub(super) fn start(packages: u64, staging: &Staging, format: &Format) -> Result<Self> {
        let (mut senders, mut threads) = (Vec::new(), Vec::new());
        for part in Part::ALL {
            let file = staging.create()?;
            let (compression, sum) = (format.compression, format.sum);
            let writer = MetadataWriter::with_sum(part, packages, compression, sum, file)?;
            let (sender, receiver) = sync_channel(WAITING);
            senders.push(sender);
            threads.push(std::thread::spawn(move || write(writer, &receiver)));
        }
        Ok(Self { senders, threads })
    }

    /// Adds a chunk to each file.
    pub(super) fn write(&mut self, chunk: Chunk) -> Result<()> {
        let packages = chunk.packages;
        let pieces = chunk.open.into_iter().zip(chunk.packed);
        for (number, (open, packed)) in pieces.enumerate() {
            if self.senders[number].send(Piece { packages, open, packed }).is_err() {
                // the thread has ended, and its result says why
                self.senders.clear();
                return Err(match self.threads.remove(number).join() {
                    Ok(Err(error)) => error,
                    _ => stopped(),
                });
            }
        }
        Ok(())
    }

    /// Ends the files; those that are not `fit` have too few packages.
    pub(super) fn finish(self, fit: bool) -> Result<[File; 3]> {
        drop(self.senders);
        let mut files = Vec::new();
        for thread in self.threads {
            let writer = thread.join().map_err(|_| stopped())??;
            files.push(if fit { writer.finish()? } else { writer.finish_unfit()? });
        }
        files.try_into().map_err(|_| stopped())
    }
}

fn stopped() -> Error {
    Error::Request("a writer of metadata stopped".to_owned())
}

fn write(
    mut writer: MetadataWriter<Unfinished>,
    pieces: &Receiver<Piece>,
) -> Result<MetadataWriter<Unfinished>> {
    for piece in pieces {
        match piece.packed {
            Some(packed) => writer.add_packed(piece.packages, &piece.open, &packed)?,
            None => writer.add(piece.packages, &piece.open)?,
        }
    }
    Ok(writer)
}
