//! Whether a repository is what it says: files, checksums, sizes, counts, packages.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use toji_repodata::reader::{Filelists, Other, Primary, ReadLimits};
use toji_repodata::{Brief, Part, Record, Sum, decoder};

use crate::error::At as _;
use crate::store::Store;
use crate::{Result, Source, Watch, programs};

/// How thoroughly packages are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// Only the metadata.
    Metadata,
    /// Packages are there and have their size.
    Sizes,
    /// Packages are read and their checksums compared.
    Checksums,
}

/// What to check.
#[derive(Debug, Clone)]
pub struct Options {
    /// How thoroughly.
    pub depth: Depth,
    /// `repomd.xml.asc` must be there and be right by the user's keyring of gpg.
    pub signature: bool,
    /// Threads that read packages.
    pub workers: usize,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// Packages that the metadata list.
    pub packages: u64,
    /// What is wrong, a line each; nothing if all holds.
    pub problems: Vec<String>,
}

/// Checks the repository of a directory.
pub fn check(dir: &Path, options: &Options, watch: &dyn Watch) -> Result<Report> {
    let source = Source::open(dir)?;
    let mut report = Report::default();
    let mut kinds = BTreeSet::new();
    for record in &source.repomd.records {
        if !kinds.insert(&record.kind) {
            report.problems.push(format!("{}: listed twice", record.kind));
        }
        report.problems.extend(check_record(&source, record));
    }
    if options.signature
        && let Err(error) = programs::verify(&dir.join("repodata/repomd.xml"))
    {
        report.problems.push(format!("repomd.xml.asc: {error}"));
    }
    let whole = Part::ALL.iter().all(|part| source.repomd.record(part.name()).is_some());
    if !whole || !report.problems.is_empty() {
        if !whole {
            report.problems.push("primary, filelists or other is missing".to_owned());
        }
        return Ok(report);
    }
    report.problems.extend(check_entries(&source));
    let room = std::env::temp_dir();
    match Store::read(&source, &room) {
        Ok(store) => {
            report.packages = store.len() as u64;
            report.problems.extend(check_packages(&source, &store, options, watch));
        }
        Err(error) => report.problems.push(error.to_string()),
    }
    Ok(report)
}

/// The file of a record: its size and checksum, and those of its content.
fn check_record(source: &Source, record: &Record) -> Option<String> {
    let wrong = |what: String| Some(format!("{}: {what}", record.href));
    let path = match source.path(&record.href) {
        Ok(path) => path,
        Err(error) => return wrong(error.to_string()),
    };
    let read = |reader: std::io::Result<Box<dyn Read>>| reader.and_then(|r| digest(r, record.sum));
    match read(File::open(&path).map(|file| Box::new(file) as Box<dyn Read>)) {
        Err(error) => return wrong(error.to_string()),
        Ok((size, _)) if size != record.size => {
            return wrong(format!("{size} bytes instead of {}", record.size));
        }
        Ok((_, sum)) if sum != record.checksum => return wrong("another checksum".to_owned()),
        Ok(_) => {}
    }
    // a zchunk file is not undone here
    let open = record.open_checksum.as_ref().filter(|_| !record.href.ends_with(".zck"))?;
    let (size, sum) = match read(source.content(record).map_err(std::io::Error::other)) {
        Ok(found) => found,
        Err(error) => return wrong(error.to_string()),
    };
    if record.open_size.is_some_and(|expected| expected != size) {
        return wrong(format!("{size} bytes of content instead of {:?}", record.open_size));
    }
    if sum == *open { None } else { wrong("another checksum of the content".to_owned()) }
}

fn digest(mut reader: impl Read, sum: Sum) -> std::io::Result<(u64, String)> {
    let (mut hasher, mut size, mut buffer) = (sum.hasher(), 0, vec![0; 128 << 10]);
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok((size, hasher.finish())),
            count => {
                hasher.update(&buffer[..count]);
                size += count as u64;
            }
        }
    }
}

/// Each file is well-formed and has as many packages as it says.
fn check_entries(source: &Source) -> Vec<String> {
    let mut problems = Vec::new();
    for part in Part::ALL {
        if let Err(error) = read_part(source, part) {
            problems.push(error.to_string());
        }
    }
    problems
}

/// Parses one of the three files; returns its number of packages.
pub(crate) fn read_part(source: &Source, part: Part) -> Result<u64> {
    let record = source.record(part.name())?;
    let path = source.path(&record.href)?;
    let file = std::io::BufReader::new(File::open(&path).at(&path)?);
    let content = std::io::BufReader::new(decoder(&record.href, file).at(&path)?);
    let limits = ReadLimits::default();
    let mut count = 0;
    macro_rules! each {
        ($reader:ident) => {
            for entry in $reader::new(content, limits) {
                entry.at(&path)?;
                count += 1;
            }
        };
    }
    match part {
        Part::Primary => each!(Primary),
        Part::Filelists => each!(Filelists),
        Part::Other => each!(Other),
    }
    Ok(count)
}

fn check_packages(
    source: &Source,
    store: &Store,
    options: &Options,
    watch: &dyn Watch,
) -> Vec<String> {
    let mut problems = Vec::new();
    let mut places = BTreeSet::new();
    for brief in store.briefs() {
        let place = (brief.base.as_deref(), brief.href.as_str());
        if !places.insert(place) {
            problems.push(format!("{}: listed twice", brief.href));
        }
    }
    if options.depth == Depth::Metadata {
        return problems;
    }
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= store.len() {
            return;
        }
        if let Some(problem) = check_package(source, store.brief(number), options.depth) {
            found.lock().unwrap_or_else(PoisonError::into_inner).push((number, problem));
        }
        watch.progress(number as u64 + 1, store.len() as u64);
    };
    std::thread::scope(|scope| {
        for _ in 0..options.workers.max(1) {
            scope.spawn(work);
        }
    });
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort();
    problems.extend(found.into_iter().map(|(_, problem)| problem));
    problems
}

/// A package that is here; those at another base are not looked for.
fn check_package(source: &Source, brief: &Brief, depth: Depth) -> Option<String> {
    let wrong = |what: String| Some(format!("{}: {what}", brief.href));
    let path = match brief.base.as_deref() {
        Some(base) => Path::new(base.strip_prefix("file://")?).join(&brief.href),
        None => match source.path(&brief.href) {
            Ok(path) => path,
            // places above the repository are usual where several share packages
            Err(_) if brief.href.starts_with("../") => source.dir.join(&brief.href),
            Err(error) => return wrong(error.to_string()),
        },
    };
    let size = match std::fs::metadata(&path) {
        Ok(meta) => meta.len(),
        Err(error) => return wrong(error.to_string()),
    };
    if size != brief.size {
        return wrong(format!("{size} bytes instead of {}", brief.size));
    }
    if depth < Depth::Checksums {
        return None;
    }
    let Ok(sum) = brief.sum.parse::<Sum>() else {
        return wrong(format!("an unknown checksum: {}", brief.sum));
    };
    match File::open(&path).and_then(|file| digest(file, sum)) {
        Ok((_, found)) if found == brief.checksum => None,
        Ok(_) => wrong("another checksum".to_owned()),
        Err(error) => wrong(error.to_string()),
    }
}
