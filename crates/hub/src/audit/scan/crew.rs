//! The threads that read, and what goes to and from them.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use toji_store::Volumes;
use toji_store::sums::{Rate, Reader};
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
    /// Builds are begun; it comes before anything else of them.
    Builds {
        /// Their numbers, each above those that came before, and how many of their files are read.
        files: Vec<(i64, usize)>,
        /// Those of them whose names alone show that something is wrong.
        suspects: HashSet<i64>,
        /// The directories of volumes that they should lie on and that are not there.
        lost: HashSet<String>,
    },
    /// Files that were read.
    Read(Vec<Outcome>),
}

/// What a file has shown.
pub(super) struct Outcome {
    /// The build that it is of.
    pub(super) build: i64,
    /// Its length in bytes.
    pub(super) size: u64,
    /// Whether it is what it was.
    pub(super) verdict: Verdict,
}

/// Threads that read files; they end when this is dropped and all is read, or when the rate's flag is set.
pub(super) struct Crew {
    bundles: mpsc::Sender<Vec<Job>>,
    notes: mpsc::Sender<Note>,
}

impl Crew {
    /// Starts so many threads; what they find comes out of the receiver.
    pub(super) fn start(
        threads: usize,
        volumes: Arc<Volumes>,
        rate: Arc<Rate>,
    ) -> (Crew, mpsc::Receiver<Note>) {
        let (bundles, waiting) = mpsc::channel::<Vec<Job>>(WAITING);
        let (notes, found) = mpsc::channel(WAITING);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..threads.max(1) {
            let (volumes, rate, notes) = (volumes.clone(), rate.clone(), notes.clone());
            let waiting = waiting.clone();
            tokio::task::spawn_blocking(move || {
                let mut reader = Reader::default();
                let next =
                    || waiting.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
                while let Some(jobs) = next() {
                    let mut outcomes = Vec::with_capacity(jobs.len());
                    reader.look_anew();
                    for job in jobs {
                        let Some(verdict) = job.run(&*volumes, &rate, &mut reader) else { return };
                        outcomes.push(Outcome { build: job.build, size: job.size, verdict });
                    }
                    if notes.blocking_send(Note::Read(outcomes)).is_err() {
                        return;
                    }
                }
            });
        }
        (Crew { bundles, notes }, found)
    }

    /// Announces builds and hands their files out; tells whether somebody still listens.
    pub(super) async fn hand_out(&self, begin: Note, jobs: Vec<Job>) -> bool {
        if self.notes.send(begin).await.is_err() {
            return false;
        }
        let (mut bundle, mut bytes) = (Vec::new(), 0);
        for job in jobs {
            bytes += job.size;
            bundle.push(job);
            if bundle.len() >= FILES || bytes >= BYTES {
                if self.bundles.send(std::mem::take(&mut bundle)).await.is_err() {
                    return false;
                }
                bytes = 0;
            }
        }
        bundle.is_empty() || self.bundles.send(bundle).await.is_ok()
    }
}
