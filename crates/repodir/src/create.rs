//! A repository of the packages in a directory.

mod cache;
mod collect;
pub(crate) mod extras;
mod read;

use std::path::{Path, PathBuf};

use toji_repodata::{Part, Record, Repomd, Sum, Summary};

use crate::error::At as _;
use crate::output::{Format, Staging, Unfinished};
use crate::pipeline::{self, Made, Packages};
use crate::store::{Count, Store};
use crate::{Error, Result, Watch, sqlite};
use cache::Cache;

pub use collect::Choice;

/// What a repository is made of, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where `repodata` goes; the directory of the packages without one.
    pub output: Option<PathBuf>,
    /// Which packages.
    pub choice: Choice,
    /// Metadata of packages that have not changed are taken from the repository that is there.
    pub update: bool,
    /// With `update`: a file of the same place is the same file.
    pub skip_stat: bool,
    /// With `update`: more repositories to take metadata from.
    pub update_from: Vec<PathBuf>,
    /// With `update`: what the old repository has beyond packages is kept.
    pub keep_additional: bool,
    /// Where packages are fetched from, instead of beside the metadata.
    pub base_url: Option<String>,
    /// Put before the place of each package.
    pub location_prefix: Option<String>,
    /// Directories left out at the start of each package's place.
    pub cut_dirs: usize,
    /// Group definitions; looked for in the directory of the packages first.
    pub groups: Option<PathBuf>,
    /// Kind of the packages' checksums.
    pub sum: Sum,
    /// How many changelog entries of each package; `None` for all.
    pub changelogs: Option<usize>,
    /// Where checksums of packages are kept between runs.
    pub cache: Option<PathBuf>,
    /// Threads that read and pack.
    pub workers: usize,
    /// Names of the packages that were read are written there.
    pub read_list: Option<PathBuf>,
}

/// What was made.
#[derive(Debug, Default)]
pub struct Report {
    /// Packages in the repository.
    pub packages: u64,
    /// Those whose metadata were there already.
    pub reused: u64,
    /// Files that are no usable packages, with the reason.
    pub broken: Vec<(PathBuf, Error)>,
}

/// Makes the repository of a directory, or makes it anew; readers see the old one until the new one is complete.
pub fn create(dir: &Path, options: &Options, format: &Format, watch: &dyn Watch) -> Result<Report> {
    let output = options.output.as_deref().unwrap_or(dir);
    let staging = Staging::begin(output)?;
    let found = collect::find(dir, &options.choice, staging.old())?;
    let cache = Cache::read(&staging, options, watch)?;
    let reader = read::Reader::new(options, &found.packages, cache);
    let mut written = pipeline::write(&reader, options.workers, &staging, format, watch)?;
    let mut report = reader.report();
    let broken = std::mem::take(&mut written.broken);
    if !broken.is_empty() {
        written = without(&reader, &broken, written, (&staging, format, options.workers))?;
    }
    for (number, error) in broken {
        let path = found.packages[number].path.clone();
        watch.warn(&format!("{} is left out: {error}", path.display()));
        report.broken.push((path, error));
    }
    report.packages = (found.packages.len() - report.broken.len()) as u64;
    let mut records = finish_parts(&staging, format, written.files)?;
    records.extend(extras::add(dir, &found, options, (&staging, format), watch)?);
    let revision = format.revision.clone().unwrap_or_else(|| format.time.to_string());
    let repomd = Repomd { revision, tags: format.tags.clone(), records };
    if let Some(list) = &options.read_list {
        std::fs::write(list, reader.read_list()).at(list)?;
    }
    staging.publish(&repomd, format)?;
    Ok(report)
}

/// Writes the files once more from the texts in themselves, now that the number of packages is known.
fn without(
    reader: &read::Reader<'_>,
    broken: &[(usize, Error)],
    first: pipeline::Written,
    (staging, format, workers): (&Staging, &Format, usize),
) -> Result<pipeline::Written> {
    let mut paths = Vec::new();
    for (file, _) in first.files {
        let name = format!("{}{}", file.path.display(), format.compression.suffix());
        paths.push(file.keep(Path::new(&name))?);
    }
    let files = [paths[0].as_path(), paths[1].as_path(), paths[2].as_path()];
    let store = Store::of_files(files, Count::Any, staging.room())?;
    for path in &paths {
        std::fs::remove_file(path).at(path)?;
    }
    if store.len() + broken.len() != reader.len() {
        return Err(Error::Request("packages were lost on the way".to_owned()));
    }
    pipeline::write(&Again(store), workers, staging, format, &())
}

/// Packages as they were written.
struct Again(Store);

impl Packages for Again {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn make(&self, number: usize) -> Result<Made> {
        let texts = self.0.texts(number).at("the first attempt")?;
        Ok(Made { id: self.0.brief(number).checksum.clone(), texts })
    }

    fn known(
        &self,
        part: usize,
        compression: toji_repodata::Compression,
        open: &[u8],
    ) -> Option<Vec<u8>> {
        self.0.member(part, compression, open)
    }
}

/// Names the three files and makes what is derived from them; returns their records.
pub(crate) fn finish_parts(
    staging: &Staging,
    format: &Format,
    files: [(Unfinished, Summary); 3],
) -> Result<Vec<Record>> {
    let (mut records, mut chunked) = (Vec::new(), Vec::new());
    let mut summaries = Vec::new();
    for ((file, summary), part) in files.into_iter().zip(Part::ALL) {
        let plain = format!("{}.xml{}", part.name(), format.compression.suffix());
        let name = format.name(&summary.checksum, &plain);
        staging.name(file, &name)?;
        records.push(format.record(part.name(), &name, &summary));
        if format.zchunk {
            chunked.push(add_zchunk(staging, format, part, (&name, &summary))?);
        }
        summaries.push((part, staging.room().join(name), summary));
    }
    if let Some(compression) = format.database {
        records.extend(sqlite::add(staging, format, compression, &summaries)?);
    }
    records.extend(chunked);
    Ok(records)
}

fn add_zchunk(
    staging: &Staging,
    format: &Format,
    part: Part,
    (name, summary): (&str, &Summary),
) -> Result<Record> {
    let from = staging.room().join(name);
    let source = std::io::BufReader::new(std::fs::File::open(&from).at(&from)?);
    let content = toji_repodata::decoder(name, source).at(&from)?;
    let place =
        format.dictionaries.as_ref().map(|dir| dir.join(format!("{}.xml.zdict", part.name())));
    let dictionary = match place.filter(|path| path.is_file()) {
        Some(path) => Some(std::fs::read(&path).at(&path)?),
        None => None,
    };
    let made = toji_repodata::zchunk(std::io::BufReader::new(content), dictionary.as_deref());
    let made = made.at(&from)?;
    let names = (format!("{}_zck", part.name()), format!("{}.xml.zck", part.name()));
    let mut data = made.data.as_slice();
    let record = crate::output::add_plain(staging, format, (&names.0, &names.1), &mut data)?;
    Ok(Record {
        open_checksum: Some(summary.open_checksum.clone()),
        open_size: Some(summary.open_size),
        header_checksum: Some(made.header_checksum),
        header_size: Some(made.header_size),
        ..record
    })
}
