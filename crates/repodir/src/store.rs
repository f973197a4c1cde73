//! The packages of a repository that is there: an index in memory, their texts in a file on disk.

mod members;

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use toji_repodata::{Brief, Compression, Elements, Part, decoder};

pub(crate) use members::Members;

use crate::check::read_part as read_part_strictly;
use crate::error::At as _;
use crate::{Error, Result, Source};

/// What each package has in each of the three files. Memory holds some 500 bytes for each package.
pub(crate) struct Store {
    texts: [Spill; 3],
    packages: Vec<(Brief, [usize; 3])>,
}

/// Whether a file must have as many packages as it says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    Exact,
    Any,
}

/// The elements of one file, one after the other, and where each begins.
struct Spill {
    file: File,
    starts: Vec<u64>,
    members: Members,
}

impl Store {
    /// Reads the metadata of a repository; texts go to a file without a name in `room`.
    pub(crate) fn read(source: &Source, room: &Path) -> Result<Self> {
        let mut places = Vec::new();
        for part in Part::ALL {
            places.push(source.path(&source.record(part.name())?.href)?);
        }
        let [primary, filelists, other] = [&places[0], &places[1], &places[2]];
        Self::of_files([primary, filelists, other], Count::Exact, room)
    }

    /// As [`Store::read`], for metadata of others: first everything is parsed, so that texts can be copied without harm.
    pub(crate) fn read_foreign(source: &Source, room: &Path) -> Result<Self> {
        std::thread::scope(|scope| {
            let threads =
                Part::ALL.map(|part| scope.spawn(move || read_part_strictly(source, part)));
            threads.into_iter().try_for_each(|thread| {
                let stopped = || Error::Request("a reader of metadata stopped".to_owned());
                thread.join().unwrap_or_else(|_| Err(stopped())).map(drop)
            })
        })?;
        Self::read(source, room)
    }

    /// Reads three files, whose compression their names tell.
    pub(crate) fn of_files(files: [&Path; 3], count: Count, room: &Path) -> Result<Self> {
        let read = |n: usize| move || read_part(Part::ALL[n], files[n], count, room);
        let [primary, filelists, other] = std::thread::scope(|scope| {
            let handles = [0, 1, 2].map(|n| scope.spawn(read(n)));
            handles.map(|handle| {
                let broken = || Error::Request("a reader of metadata stopped".to_owned());
                handle.join().unwrap_or_else(|_| Err(broken()))
            })
        });
        let (primary, filelists, other) = (primary?, filelists?, other?);
        let briefs = primary.briefs;
        let find = |part: &ReadPart, path: &Path| -> Result<Vec<usize>> {
            positions(&briefs, &part.ids).at(path)
        };
        let (in_lists, in_other) = (find(&filelists, files[1])?, find(&other, files[2])?);
        let places = in_lists.into_iter().zip(in_other).enumerate();
        let places = places.map(|(n, (lists, other))| [n, lists, other]);
        let packages = briefs.into_iter().zip(places).collect();
        Ok(Self { texts: [primary.spill, filelists.spill, other.spill], packages })
    }

    /// How many packages there are.
    pub(crate) fn len(&self) -> usize {
        self.packages.len()
    }

    /// What tells the package of this number from others.
    pub(crate) fn brief(&self, number: usize) -> &Brief {
        &self.packages[number].0
    }

    /// Every package, in the order of `primary.xml`.
    pub(crate) fn briefs(&self) -> impl Iterator<Item = &Brief> {
        self.packages.iter().map(|(brief, _)| brief)
    }

    /// The texts of a package for primary, filelists and other.
    pub(crate) fn texts(&self, number: usize) -> std::io::Result<[String; 3]> {
        let mut texts = [const { String::new() }; 3];
        let places = &self.packages[number].1;
        for ((text, spill), place) in texts.iter_mut().zip(&self.texts).zip(places) {
            *text = spill.text(*place)?;
        }
        Ok(texts)
    }

    /// A member of one of the old files with this content, to be taken over as it is.
    pub(crate) fn member(
        &self,
        part: usize,
        compression: Compression,
        open: &[u8],
    ) -> Option<Vec<u8>> {
        self.texts.get(part)?.members.find(compression, open)
    }
}

impl Spill {
    fn text(&self, number: usize) -> std::io::Result<String> {
        let (start, end) = (self.starts[number], self.starts[number + 1]);
        let mut text = vec![0; (end - start) as usize];
        self.file.read_exact_at(&mut text, start)?;
        String::from_utf8(text).map_err(std::io::Error::other)
    }
}

struct ReadPart {
    spill: Spill,
    /// Of `primary.xml` only.
    briefs: Vec<Brief>,
    /// Of the other two.
    ids: Vec<String>,
}

fn read_part(part: Part, path: &Path, count: Count, room: &Path) -> Result<ReadPart> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (members, content) = Members::of(path, &name).at(path)?;
    let source: Box<dyn std::io::BufRead> = match content {
        Some(content) => Box::new(BufReader::with_capacity(128 << 10, content)),
        None => {
            let file = BufReader::with_capacity(128 << 10, File::open(path).at(path)?);
            Box::new(BufReader::with_capacity(128 << 10, decoder(&name, file).at(path)?))
        }
    };
    let mut spill = BufWriter::with_capacity(128 << 10, unnamed(room).at(room)?);
    let mut elements = Elements::new(part, source).at(path)?;
    if count == Count::Any {
        elements.count_any();
    }
    let (mut starts, mut briefs, mut ids, mut end) = (vec![0], Vec::new(), Vec::new(), 0);
    while let Some(element) = elements.next_element().at(path)? {
        end += element.len() as u64;
        starts.push(end);
        match part {
            Part::Primary => briefs.push(Brief::of(element).at(path)?),
            _ => ids.push(Brief::id_of(element).at(path)?),
        }
        spill.write_all(element).at(room)?;
    }
    let file = spill.into_inner().map_err(std::io::IntoInnerError::into_error).at(room)?;
    let members = members.finish();
    Ok(ReadPart { spill: Spill { file, starts, members }, briefs, ids })
}

/// Where the package of each brief is in a file with these checksums; mostly at the same place.
fn positions(briefs: &[Brief], ids: &[String]) -> toji_repodata::Result<Vec<usize>> {
    if briefs.len() != ids.len() {
        let (expected, found) = (briefs.len() as u64, ids.len() as u64);
        return Err(toji_repodata::Error::Count { expected, found });
    }
    if briefs.iter().zip(ids).all(|(brief, id)| brief.checksum == *id) {
        return Ok((0..ids.len()).collect());
    }
    let known: HashMap<&str, usize> = ids.iter().map(String::as_str).zip(0..).collect();
    let missing = toji_repodata::Error::Content("a package is not in all files");
    let find = |brief: &Brief| known.get(brief.checksum.as_str()).copied();
    briefs.iter().map(find).collect::<Option<Vec<usize>>>().ok_or(missing)
}

/// A file that is gone with the process.
pub(crate) fn unnamed(room: &Path) -> std::io::Result<File> {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let path = room.join(format!(".spill-{}-{number}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}
