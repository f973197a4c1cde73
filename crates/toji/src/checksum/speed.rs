//! `toji checksum speed`: how fast this machine hashes, without a database.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::Context as _;
use toji_hub::audit::hashing::{Content, Local, Rate, Reader, Volume, Wanted, sums};
use toji_hub::audit::{Algorithm, hashing::Hasher};
use toji_value::{Value, map};

/// What is hashed.
#[derive(clap::Args)]
pub(super) struct Options {
    /// The directory.
    dir: PathBuf,
    /// Threads; as many as there are processors, if nothing is said.
    #[arg(short, long, value_name = "NUMBER")]
    jobs: Option<usize>,
}

/// Bytes that are hashed at once.
const PIECE: usize = 1 << 18;

/// Hashes everything twice: as it is read, and as many bytes that are in memory already.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let volume = Local::new(&options.dir).context("failed to open the directory")?;
    let items = volume.walk("").context("failed to read the directory")?;
    let files: Vec<(Wanted, u64)> = items
        .into_iter()
        .filter(|item| item.kind == Content::File)
        .map(|item| {
            let kinds = vec![Algorithm::Sha256];
            (Wanted { path: item.path, kinds, split: None }, item.size)
        })
        .collect();
    let bytes: u64 = files.iter().map(|(_, size)| size).sum();
    let processors = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let jobs = options.jobs.unwrap_or_else(processors).max(1);
    let rate = Rate::new(None);
    let reading = timed(jobs, &files, Reader::default, |wanted, _, reader| {
        sums(&volume, wanted, &rate, reader).map(drop).context("failed to read a file")
    })?;
    let hashing = timed(
        jobs,
        &files,
        || vec![0; PIECE],
        |_, size, buffer| {
            let mut hasher = Hasher::new(Algorithm::Sha256);
            let mut left = size;
            while left > 0 {
                let piece = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
                hasher.update(&buffer[..piece]);
                left -= piece as u64;
            }
            std::hint::black_box(hasher.finish());
            Ok(())
        },
    )?;
    let sum = map! {
        "command" => "speed", "files" => files.len() as u64, "bytes" => bytes, "jobs" => jobs as u64,
        "read_and_hash_seconds" => reading, "hash_seconds" => hashing,
    };
    super::say(&Value::from(sum).to_json().to_string());
    Ok(())
}

/// The seconds that threads take for all files.
fn timed<T>(
    jobs: usize,
    files: &[(Wanted, u64)],
    tools: impl Fn() -> T + Sync,
    work: impl Fn(&Wanted, u64, &mut T) -> anyhow::Result<()> + Sync,
) -> anyhow::Result<f64> {
    let next = AtomicUsize::new(0);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs)
            .map(|_| {
                scope.spawn(|| {
                    let mut tools = tools();
                    while let Some((wanted, size)) = files.get(next.fetch_add(1, Ordering::Relaxed))
                    {
                        work(wanted, *size, &mut tools)?;
                    }
                    anyhow::Ok(())
                })
            })
            .collect();
        for thread in threads {
            thread.join().map_err(|_| anyhow::anyhow!("a thread ended early"))??;
        }
        anyhow::Ok(())
    })?;
    Ok(begin.elapsed().as_secs_f64())
}
