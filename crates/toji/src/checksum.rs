//! `toji checksum`: every file of the store read, sums computed and compared.

mod speed;

use std::io::Write as _;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context as _, bail};
use toji_hub::Hub;
use toji_hub::audit::{Algorithm, Finding, Progress, Watch, scan};
use toji_value::{Fault, Map, Value, map};
use tokio_util::sync::CancellationToken;

use crate::place::Place;
use crate::repo::Exit;

/// What `toji checksum` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    deed: Deed,
}

#[derive(clap::Subcommand)]
enum Deed {
    /// Read every file of every build: compute what is missing, compare what is known, report damage. Nothing is removed.
    ///
    /// It may be interrupted in any way; the next run goes on where it was. It ends with 0 if every file is what it was, with 1 if one is
    /// not, and with 2 if it could not read everything.
    Scan(Box<Scan>),
    /// List the files that are known to be damaged, and the last runs.
    Report(Report),
    /// Hash the files below a directory and nothing else: what a scan is to be measured by.
    Speed(speed::Options),
}

#[derive(clap::Args)]
struct Scan {
    #[command(flatten)]
    place: Place,
    /// Files that are read at a time; as many as there are processors, if nothing is said.
    #[arg(short, long, value_name = "NUMBER")]
    jobs: Option<usize>,
    /// Bytes per second at most, for all together; 50M is 50 million.
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    rate: Option<u64>,
    /// Keep sums of this type, too: md5, sha1 or sha512; may be given again. SHA-256 is always kept. `FileChecksums` in hub.conf says
    /// the same.
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Read only files of which a sum is missing.
    #[arg(long)]
    missing: bool,
    #[command(flatten)]
    manner: Manner,
}

/// How a check of the store goes on and what it says.
#[derive(clap::Args)]
pub(crate) struct Manner {
    /// Begin anew although an earlier run was interrupted.
    #[arg(long)]
    pub(crate) restart: bool,
    /// A JSON object for each finding, one in a line, and one for the whole at the end.
    #[arg(long)]
    json: bool,
    /// Say nothing of how far it is.
    #[arg(short, long)]
    quiet: bool,
}

#[derive(clap::Args)]
struct Report {
    #[command(flatten)]
    place: Place,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

fn bytes(text: &str) -> Result<u64, String> {
    let (digits, factor) = match text.strip_suffix(['k', 'K', 'M', 'G']) {
        Some(digits) => match &text[digits.len()..] {
            "M" => (digits, 1_000_000),
            "G" => (digits, 1_000_000_000),
            _ => (digits, 1_000),
        },
        None => (text, 1),
    };
    let number: u64 =
        digits.parse().map_err(|_| "a number of bytes, or 500k, 50M, 1G".to_owned())?;
    number.checked_mul(factor).ok_or_else(|| "too many".to_owned())
}

/// The exit of a check: what keeps it from its end is told, and is 2.
pub(crate) fn exit(result: anyhow::Result<()>) -> anyhow::Result<()> {
    result.map_err(|error| {
        if error.is::<Exit>() {
            return error;
        }
        tracing::error!("{error:#}");
        Exit(2).into()
    })
}

/// A fault of the hub's rules as an error.
pub(crate) fn fault(fault: Fault) -> anyhow::Error {
    anyhow::anyhow!("{}", fault.message)
}

/// Prints what is found, and how far it is.
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    stop: Arc<AtomicBool>,
    begin: Mutex<Option<(Instant, u64)>>,
}

impl Output {
    pub(crate) fn new(manner: &Manner) -> Self {
        Output::plain(manner.json, manner.quiet)
    }

    /// One of a command that has no runs which go on.
    pub(crate) fn plain(json: bool, quiet: bool) -> Self {
        Output { json, quiet, stop: Arc::default(), begin: Mutex::default() }
    }

    /// Ends the run in order at SIGTERM or Ctrl-C.
    pub(crate) fn watch_signals(&self) {
        let token = CancellationToken::new();
        tokio::spawn(crate::parts::wait_for_signal(token.clone()));
        let flag = self.stop.clone();
        tokio::spawn(async move {
            token.cancelled().await;
            flag.store(true, Ordering::Relaxed);
        });
    }

    /// Prints the sum of everything.
    pub(crate) fn end(&self, sum: &Map, words: &str) {
        let text = match self.json {
            true => Value::from(sum.clone()).to_json().to_string(),
            false => words.to_owned(),
        };
        say(&text);
    }

    /// The exit of the command.
    pub(crate) fn verdict(&self, whole: bool, sound: bool) -> anyhow::Result<()> {
        match (sound, whole) {
            (false, _) => bail!(Exit(1)),
            (true, false) => bail!(Exit(2)),
            (true, true) => Ok(()),
        }
    }
}

impl Watch for Output {
    fn tell(&self, finding: &Finding) {
        say(&match self.json {
            true => Value::from(finding.to_map()).to_json().to_string(),
            false => finding.to_string(),
        });
    }

    fn progress(&self, now: &Progress) {
        if self.quiet {
            return;
        }
        let mut begin = self.begin.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (since, before) = *begin.get_or_insert((Instant::now(), now.bytes));
        let seconds = since.elapsed().as_secs_f64();
        let speed = match seconds > 1.0 && now.bytes > before {
            true => format!(", {:.0} MB/s", (now.bytes - before) as f64 / 1e6 / seconds),
            false => String::new(),
        };
        let (files, megabytes) = (now.files, now.bytes / 1_000_000);
        let (damaged, last) = (now.damaged, now.last_build);
        let line =
            format!("{files} files, {megabytes} MB{speed}, {damaged} findings, up to build {last}");
        // whoever reads may have gone, which is no reason to stop
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    fn halted(&self) -> Arc<AtomicBool> {
        self.stop.clone()
    }
}

/// Does the deed and ends.
pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    if let Deed::Speed(options) = &options.deed {
        return speed::run(options);
    }
    let runtime = crate::hub::runtime()?;
    exit(runtime.block_on(async {
        match options.deed {
            Deed::Scan(options) => read_all(&options).await,
            Deed::Report(options) => report(&options).await,
            Deed::Speed(_) => Ok(()),
        }
    }))
}

/// The types of sums that are kept beside SHA-256.
fn further(names: &[String], hub: &Hub) -> anyhow::Result<Vec<Algorithm>> {
    let names = if names.is_empty() { &hub.config.scrub.checksums } else { names };
    let mut kinds = Vec::new();
    for name in names {
        let kind = Algorithm::by_name(name).with_context(|| format!("no type of sums: {name}"))?;
        if kind != Algorithm::Sha256 && !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    Ok(kinds)
}

async fn read_all(options: &Scan) -> anyhow::Result<()> {
    let output = Output::new(&options.manner);
    let hub = options.place.hub().await?;
    output.watch_signals();
    let processors = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let what = scan::Options {
        kind: "scan",
        jobs: options.jobs.unwrap_or_else(processors),
        rate: options.rate,
        further: further(&options.types, &hub)?,
        only_missing: options.missing,
        restart: options.manner.restart,
        ..scan::Options::default()
    };
    let begin = Instant::now();
    let scan::Summary { progress, resumed, whole } =
        scan::run(&hub, &what, &output).await.map_err(fault)?;
    let seconds = begin.elapsed().as_secs_f64();
    let sum = map! {
        "command" => "scan", "files" => progress.files, "bytes" => progress.bytes,
        "damaged" => progress.damaged, "resumed" => resumed, "whole" => whole, "seconds" => seconds,
    };
    let words = format!(
        "{} files with {} bytes read, {} not as they were{}{}",
        progress.files,
        progress.bytes,
        progress.damaged,
        if resumed { ", the part before an interruption included" } else { "" },
        if whole { "" } else { "; interrupted: the next run goes on here" },
    );
    output.end(&sum, &words);
    output.verdict(whole, progress.damaged == 0)
}

async fn report(options: &Report) -> anyhow::Result<()> {
    let hub = options.place.hub().await?;
    let mut tx = hub.db.begin();
    let damaged = toji_db::scan::damages(&mut tx).await?;
    let runs = toji_db::scan::runs(&mut tx, 10).await?;
    tx.rollback().await?;
    let list = |rows: Vec<toji_db::Row>| -> Vec<Value> {
        rows.into_iter().map(|row| row.into_map().into()).collect()
    };
    let (damaged, runs) = (list(damaged), list(runs));
    if options.json {
        say(&Value::from(map! { "damaged" => damaged, "runs" => runs }).to_json().to_string());
        return Ok(());
    }
    let text = |row: &Value, key: &str| row.get(key).display();
    for row in &damaged {
        let [kind, path, detail, found] = ["kind", "path", "detail", "found"].map(|k| text(row, k));
        say(&format!("{kind} {path}: {detail} (found {found})"));
    }
    say(&format!("{} files are known to be damaged", damaged.len()));
    for row in &runs {
        let ended = if row.get("ended").is_nil() { "not ended".into() } else { text(row, "ended") };
        let [id, kind, started, files] = ["id", "kind", "started", "files"].map(|k| text(row, k));
        let [bytes, found] = ["bytes", "damaged"].map(|k| text(row, k));
        say(&format!(
            "run {id} {kind}: {started} to {ended}, {files} files, {bytes} bytes, {found} findings"
        ));
    }
    Ok(())
}

pub(crate) fn say(line: &str) {
    // whoever reads may have gone, which is no reason to stop
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn rates_have_units() {
        let rates = ["7", "500k", "50M", "1G"].map(bytes);
        assert_eq!(rates, [7, 500_000, 50_000_000, 1_000_000_000].map(Ok));
        for wrong in ["", "M", "5T", "99999999999999999999"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
