//! `toji backup`: points at which database and store agree.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use toji_hub::audit::backup::{self as rules, Access, Depth, Keep, Point, Vault};
use toji_value::{Value, map};

use crate::checksum::{Output, exit, fault, say};
use crate::place::Place;

/// What `toji backup` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    deed: Deed,
}

#[derive(clap::Subcommand)]
enum Deed {
    /// Take a point: the database at a moment and every file that it has. Hubs and builders go on working.
    ///
    /// Contents that the directory has already are not read again. It may be interrupted in any way: there is no point then, and the
    /// next one takes less. It ends with 0 if all is in the point, with 1 if files of the store are missing or damaged (the rest
    /// is in the point), and with 2 if there is no point.
    Create(Create),
    /// List the points.
    List(List),
    /// Read every content that points need and compare; try their databases.
    Verify(Verify),
    /// Remove points, and what no other point has.
    Prune(Prune),
}

#[derive(clap::Args)]
struct Create {
    /// The directory of the backup; it is made if there is none. The database is in it: keep it from others.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    place: Place,
    /// Files that are read at a time; as many as there are processors, if nothing is said.
    #[arg(short, long, value_name = "NUMBER")]
    jobs: Option<usize>,
    /// Leave out results and logs of tasks, scratch builds and uploads.
    #[arg(long)]
    no_tasks: bool,
    /// Take in the contents of volumes in object stores, too; otherwise they are only listed.
    #[arg(long)]
    buckets: bool,
    #[command(flatten)]
    manner: Manner,
}

#[derive(clap::Args)]
pub(crate) struct Manner {
    /// JSON: an object for each finding, one in a line, and one for the whole at the end.
    #[arg(long)]
    pub(crate) json: bool,
    /// Say nothing of how far it is.
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(clap::Args)]
struct List {
    /// The directory of the backup.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// A JSON object for each, one in a line.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Verify {
    /// The directory of the backup.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Only these points; may be given again.
    #[arg(long = "point", value_name = "POINT")]
    points: Vec<String>,
    /// Compare names and lengths of contents, and read only lists and databases.
    #[arg(long)]
    fast: bool,
    #[command(flatten)]
    manner: Manner,
}

#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
struct Prune {
    /// The directory of the backup.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Remove these points; may be given again.
    #[arg(long = "point", value_name = "POINT", group = "what")]
    points: Vec<String>,
    /// Keep so many of the newest.
    #[arg(long, value_name = "NUMBER", group = "what")]
    keep: Option<usize>,
    /// Remove points that are older: a number with `h`, `d` or `w` behind it. The newest stays.
    #[arg(long, value_name = "AGE", group = "what", value_parser = age)]
    older_than: Option<f64>,
    /// Only say which points.
    #[arg(long)]
    dry_run: bool,
}

fn age(text: &str) -> Result<f64, String> {
    let wrong = || "a number of hours, days or weeks: 12h, 30d, 8w".to_owned();
    let unit = match text.chars().last() {
        Some('h') => 3600.0,
        Some('d') => 86_400.0,
        Some('w') => 604_800.0,
        _ => return Err(wrong()),
    };
    let number: u32 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    Ok(f64::from(number) * unit)
}

/// Opens the directory of a backup.
pub(crate) fn open(dir: &Path, access: Access) -> anyhow::Result<Arc<Vault>> {
    let vault = Vault::open(dir, access).context("failed to open the backup")?;
    Ok(Arc::new(vault))
}

/// As many files at a time as there are processors.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Does the deed and ends.
pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    let runtime = crate::hub::runtime()?;
    exit(runtime.block_on(async {
        match options.deed {
            Deed::Create(options) => create(options).await,
            Deed::List(options) => list(&options),
            Deed::Verify(options) => verify(options).await,
            Deed::Prune(options) => prune(options).await,
        }
    }))
}

async fn create(options: Create) -> anyhow::Result<()> {
    let output = Output::plain(options.manner.json, options.manner.quiet);
    let hub = options.place.hub().await?;
    output.watch_signals();
    let vault = open(&options.dir, Access::Change)?;
    let how = rules::Options {
        jobs: options.jobs.unwrap_or_else(processors),
        tasks: !options.no_tasks,
        buckets: options.buckets,
    };
    let point = rules::take(&hub, vault, &how, &output).await.map_err(fault)?;
    hub.db.close().await;
    let Point { id, files, bytes, links, elsewhere, new_files, new_bytes, rounds, damages, .. } =
        point;
    let sum = map! {
        "command" => "backup", "point" => &id, "files" => files, "bytes" => bytes, "links" => links,
        "elsewhere" => elsewhere, "new_files" => new_files, "new_bytes" => new_bytes,
        "rounds" => rounds, "damaged" => damages.len() as u64,
    };
    let mut words = format!(
        "{id}: {files} files with {bytes} bytes, {new_files} with {new_bytes} bytes are new"
    );
    if elsewhere > 0 {
        words += &format!("; {elsewhere} are in buckets alone");
    }
    if !damages.is_empty() {
        words += "; files of the store are missing or damaged and not in it";
    }
    output.end(&sum, &words);
    output.verdict(true, damages.is_empty())
}

fn list(options: &List) -> anyhow::Result<()> {
    let vault = open(&options.dir, Access::Read)?;
    for point in rules::points(&vault)? {
        if options.json {
            say(&serde_json::to_string(&point)?);
            continue;
        }
        let Point { id, engine, files, bytes, elsewhere, new_bytes, damages, .. } = point;
        let mut line = format!("{id} {engine} {files} files, {bytes} bytes, {new_bytes} new");
        if elsewhere > 0 {
            line += &format!(", {elsewhere} in buckets alone");
        }
        if !damages.is_empty() {
            line += &format!(", {} damaged", damages.len());
        }
        say(&line);
    }
    Ok(())
}

async fn verify(options: Verify) -> anyhow::Result<()> {
    let output = Output::plain(options.manner.json, options.manner.quiet);
    output.watch_signals();
    let vault = open(&options.dir, Access::Read)?;
    let mut points = rules::points(&vault)?;
    if let Some(id) = options.points.iter().find(|id| points.iter().all(|point| point.id != **id)) {
        bail!("there is no point {id}");
    }
    if !options.points.is_empty() {
        points.retain(|point| options.points.contains(&point.id));
    }
    let depth = if options.fast { Depth::Names } else { Depth::Contents };
    let done = rules::check(&vault, &points, depth, &output).await.map_err(fault)?;
    let (count, files, bytes, damaged) =
        (points.len() as u64, done.files, done.bytes, done.damaged);
    let sum = map! {
        "command" => "verify", "points" => count, "files" => files, "bytes" => bytes,
        "damaged" => damaged,
    };
    let words = format!("{count} points, {files} contents with {bytes} bytes, {damaged} findings");
    output.end(&sum, &words);
    output.verdict(true, damaged == 0)
}

#[expect(clippy::disallowed_methods, reason = "ages count from now")]
async fn prune(options: Prune) -> anyhow::Result<()> {
    let vault = open(&options.dir, Access::Change)?;
    let keep = match (options.keep, options.older_than) {
        (Some(count), _) => Keep::Newest(count),
        (None, Some(age)) => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
            Keep::Since(now.as_secs_f64() - age)
        }
        (None, None) => Keep::AllBut(options.points),
    };
    let done = rules::prune(&vault, keep, options.dry_run).await.map_err(fault)?;
    for id in &done.points {
        say(&format!("{} {id}", if options.dry_run { "would remove" } else { "removed" }));
    }
    if !options.dry_run {
        say(&format!("{} contents with {} bytes removed", done.files, done.bytes));
    }
    Ok(())
}

/// A number of findings and what else is told at the end of a restoration.
pub(crate) fn restored(point: &str, done: &rules::Restored) -> (Value, String) {
    let rules::Restored { files, bytes, links, fsck } = done;
    let sum = map! {
        "command" => "restore", "point" => point, "files" => *files, "bytes" => *bytes,
        "links" => *links, "left" => fsck.left, "whole" => fsck.whole,
    };
    let words = format!(
        "{point}: {files} files with {bytes} bytes and {links} links; compared with the database, {} findings",
        fsck.left
    );
    (sum.into(), words)
}

#[cfg(test)]
mod tests {
    use super::age;

    #[test]
    fn ages_have_units() {
        assert_eq!(["12h", "30d", "2w"].map(age), [43_200.0, 2_592_000.0, 1_209_600.0].map(Ok));
        for wrong in ["", "d", "3", "-1d", "1é", "1m"] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }
}
