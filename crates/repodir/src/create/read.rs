//! A package file becomes its texts: read once from the start to the end, or not at all if they are known.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use toji_repodata::{Compression, Hasher, PackageFile, Sum, fragment, relocate};
use toji_rpmfile::{Limits, Package as Rpm};

use super::cache::Cache;
use super::collect::Package;
use super::{Options, Report};
use crate::Result;
use crate::error::At as _;
use crate::pipeline::{Made, Packages};

/// Makes the texts of the packages of a directory.
pub(super) struct Reader<'a> {
    options: &'a Options,
    packages: &'a [Package],
    cache: Cache,
    reused: AtomicU64,
    /// Places of the packages that were read.
    read: Mutex<Vec<String>>,
}

impl<'a> Reader<'a> {
    /// Nothing is read yet.
    pub(super) fn new(options: &'a Options, packages: &'a [Package], cache: Cache) -> Self {
        Self { options, packages, cache, reused: AtomicU64::new(0), read: Mutex::default() }
    }

    /// What was done so far.
    pub(super) fn report(&self) -> Report {
        Report { reused: self.reused.load(Ordering::Relaxed), ..Report::default() }
    }

    /// One place on each line.
    pub(super) fn read_list(&self) -> String {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.sort();
        read.iter().map(|place| format!("{place}\n")).collect()
    }

    fn href(&self, place: &str) -> String {
        let mut rest = place;
        for _ in 0..self.options.cut_dirs {
            rest = rest.split_once('/').map_or(rest, |(_, rest)| rest);
        }
        match self.options.location_prefix.as_deref().filter(|prefix| !prefix.is_empty()) {
            Some(prefix) => format!("{}/{rest}", prefix.trim_end_matches('/')),
            None => rest.to_owned(),
        }
    }

    fn known(&self, href: &str, meta: &fs::Metadata) -> io::Result<Option<Made>> {
        let Some((store, number)) = self.cache.find(href, meta) else { return Ok(None) };
        let (brief, mut texts) = (store.brief(number), store.texts(number)?);
        let base = self.options.base_url.as_deref();
        if brief.href != href || brief.base.as_deref() != base {
            texts[0] = relocate(&texts[0], href, base);
        }
        self.reused.fetch_add(1, Ordering::Relaxed);
        Ok(Some(Made { id: brief.checksum.clone(), texts }))
    }

    fn read(&self, path: &Path, file: File, meta: &fs::Metadata, href: String) -> Result<Made> {
        let options = self.options;
        let mut reader = Hashing {
            file: BufReader::with_capacity(64 << 10, file),
            hasher: options.sum.hasher(),
        };
        let package = Rpm::read(&mut reader, &Limits::default());
        let package = package.map_err(toji_repodata::Error::from).at(path)?;
        let checksum = checksum(options, &package, path, meta, reader).at(path)?;
        let place = PackageFile {
            href,
            base: options.base_url.clone(),
            size: meta.len(),
            mtime: meta.mtime(),
            sha256: checksum.clone(),
        };
        let how = toji_repodata::Options { changelogs: options.changelogs, sum: options.sum };
        let made = fragment(&package, &place, &how).at(path)?;
        Ok(Made { id: checksum, texts: [made.primary, made.filelists, made.other] })
    }
}

impl Packages for Reader<'_> {
    fn len(&self) -> usize {
        self.packages.len()
    }

    fn make(&self, number: usize) -> Result<Made> {
        let Package { path, place } = &self.packages[number];
        let href = self.href(place);
        let meta = fs::metadata(path).at(path)?;
        if let Some(made) = self.known(&href, &meta).at(path)? {
            return Ok(made);
        }
        let file = File::open(path).at(path)?;
        let meta = file.metadata().at(path)?;
        let made = self.read(path, file, &meta, href)?;
        if self.options.read_list.is_some() {
            let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            read.push(place.clone());
        }
        Ok(made)
    }

    fn known(&self, part: usize, compression: Compression, open: &[u8]) -> Option<Vec<u8>> {
        self.cache.member(part, compression, open)
    }
}

/// A file whose bytes are hashed as they are read.
struct Hashing {
    file: BufReader<File>,
    hasher: Hasher,
}

impl Read for Hashing {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(out)?;
        self.hasher.update(&out[..count]);
        Ok(count)
    }
}

/// The checksum of the whole file, from the cache directory or from the rest of the file.
fn checksum(
    options: &Options,
    package: &Rpm,
    path: &Path,
    meta: &fs::Metadata,
    mut reader: Hashing,
) -> io::Result<String> {
    let kept = options.cache.as_ref().map(|dir| {
        let head = [&package.signature_bytes(), package.header().as_bytes()].concat();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let head = Sum::Sha256.of(&head);
        dir.join(format!("{name}-{head}-{}-{}-{}", meta.len(), meta.mtime(), options.sum))
    });
    if let Some(kept) = &kept
        && let Ok(text) = fs::read_to_string(kept)
        && text.len() == options.sum.of(b"").len()
        && text.bytes().all(|b| b.is_ascii_hexdigit())
    {
        return Ok(text);
    }
    let mut buffer = vec![0; 128 << 10];
    while reader.read(&mut buffer)? > 0 {}
    let checksum = reader.hasher.finish();
    if let Some(kept) = kept {
        if let Some(dir) = kept.parent() {
            fs::create_dir_all(dir)?;
        }
        let new = kept.with_extension(format!("new-{}", std::process::id()));
        fs::write(&new, &checksum)?;
        fs::rename(new, kept)?;
    }
    Ok(checksum)
}
