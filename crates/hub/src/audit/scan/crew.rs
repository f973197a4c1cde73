//! The threads that read, and what goes to and from them.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use toji_store::Volumes;
use toji_store::sums::{BUFFER, Rate};
use tokio::sync::mpsc;

use super::super::judge::{Job, Verdict};

/// Files that are handed over together, unless they are large.
const FILES: usize = 64;
/// Bytes that are handed over together, unless a single file has more.
const BYTES: u64 = 16 << 20;
/// Such bundles that may wait.
const WAITING: usize = 64;

/// What the collector hears.
pub(super) enum Note {
    /// A batch of builds begins; it comes before anything else of that batch.
    Batch {
        /// Its number, counted from zero.
        batch: u64,
        /// The last build in it.
        last: i64,
        /// How many files are read.
        files: usize,
        /// Builds in it whose names alone show that something is wrong.
        suspects: HashSet<i64>,
        /// The directories of volumes that builds in it should lie on and that are not there.
        lost: HashSet<String>,
    },
    /// Files of a batch that were read.
    Read {
        /// The batch.
        batch: u64,
        /// What they have shown, with the lengths.
        verdicts: Vec<(u64, Verdict)>,
    },
}

struct Bundle {
    batch: u64,
    jobs: Vec<Job>,
}

/// Threads that read files; they end when this is dropped and all is read, or when the rate's flag is set.
pub(super) struct Crew {
    bundles: mpsc::Sender<Bundle>,
    notes: mpsc::Sender<Note>,
}

impl Crew {
    /// Starts so many threads; what they find comes out of the receiver.
    pub(super) fn start(
        threads: usize,
        volumes: Arc<Volumes>,
        rate: Arc<Rate>,
    ) -> (Crew, mpsc::Receiver<Note>) {
        let (bundles, waiting) = mpsc::channel::<Bundle>(WAITING);
        let (notes, found) = mpsc::channel(WAITING);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..threads.max(1) {
            let (volumes, rate, notes) = (volumes.clone(), rate.clone(), notes.clone());
            let waiting = waiting.clone();
            tokio::task::spawn_blocking(move || {
                let mut buffer = vec![0; BUFFER];
                let next =
                    || waiting.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
                while let Some(Bundle { batch, jobs }) = next() {
                    let mut verdicts = Vec::with_capacity(jobs.len());
                    for job in jobs {
                        let Some(verdict) = job.run(&*volumes, &rate, &mut buffer) else { return };
                        verdicts.push((job.size, verdict));
                    }
                    if notes.blocking_send(Note::Read { batch, verdicts }).is_err() {
                        return;
                    }
                }
            });
        }
        (Crew { bundles, notes }, found)
    }

    /// Announces a batch and hands its files out; tells whether somebody still listens.
    pub(super) async fn hand_out(&self, begin: Note, jobs: Vec<Job>) -> bool {
        let Note::Batch { batch, .. } = begin else { return false };
        if self.notes.send(begin).await.is_err() {
            return false;
        }
        let (mut bundle, mut bytes) = (Vec::new(), 0);
        for job in jobs {
            bytes += job.size;
            bundle.push(job);
            if bundle.len() >= FILES || bytes >= BYTES {
                let jobs = std::mem::take(&mut bundle);
                if self.bundles.send(Bundle { batch, jobs }).await.is_err() {
                    return false;
                }
                bytes = 0;
            }
        }
        bundle.is_empty() || self.bundles.send(Bundle { batch, jobs: bundle }).await.is_ok()
    }
}
