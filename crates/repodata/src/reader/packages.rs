//! The readers of the three metadata files.

use std::io::BufRead;

use super::ReadLimits;
use super::entry::{Change, File, FilelistsEntry, OtherEntry, PrimaryEntry};
use super::primary;
use super::source::{Source, Token};
use super::values::{attribute, number, version};
use crate::{Error, Result};

/// Reads `primary.xml`, decompressed; an iterator over its packages.
pub struct Primary<R: BufRead>(Packages<R>);

/// Reads `filelists.xml`, decompressed; an iterator over its packages.
pub struct Filelists<R: BufRead>(Packages<R>);

/// Reads `other.xml`, decompressed; an iterator over its packages.
pub struct Other<R: BufRead>(Packages<R>);

macro_rules! iterate {
    ($reader:ident, $root:literal, $entry:ident) => {
        impl<R: BufRead> $reader<R> {
            /// Starts to read; nothing is checked yet.
            pub fn new(source: R, limits: ReadLimits) -> Self {
                Self(Packages::new(source, limits, $root))
            }
        }

        impl<R: BufRead> Iterator for $reader<R> {
            type Item = Result<$entry>;

            fn next(&mut self) -> Option<Self::Item> {
                self.0.next_entry()
            }
        }
    };
}

iterate!(Primary, "metadata", PrimaryEntry);
iterate!(Filelists, "filelists", FilelistsEntry);
iterate!(Other, "otherdata", OtherEntry);

/// A package that is filled while its elements are read.
pub(super) trait Entry: Default {
    /// An element of the package begins, or the package itself.
    fn open<R: BufRead>(&mut self, name: &str, source: &Source<R>, state: &mut State)
    -> Result<()>;

    /// An element of the package ends.
    fn close(&mut self, name: &str, text: &str, state: &State);
}

/// What is remembered between the tags of one package.
#[derive(Default)]
pub(super) struct State {
    /// The dependency list that is open.
    pub(super) list: Option<primary::List>,
    /// Type of a file or author of a change, until its text is read.
    pub(super) label: String,
    /// Date of a change, until its text is read.
    pub(super) date: i64,
    /// Dependencies, files and changes so far.
    pub(super) entries: usize,
}

struct Packages<R: BufRead> {
    source: Source<R>,
    root: &'static str,
    announced: Option<u64>,
    found: u64,
    done: bool,
}

impl<R: BufRead> Packages<R> {
    fn new(source: R, limits: ReadLimits, root: &'static str) -> Self {
        let source = Source::new(source, limits);
        Self { source, root, announced: None, found: 0, done: false }
    }

    fn next_entry<T: Entry>(&mut self) -> Option<Result<T>> {
        if self.done {
            return None;
        }
        let entry = match self.start() {
            Ok(true) => self.read_package().map(Some),
            Ok(false) => Ok(None),
            Err(error) => Err(error),
        };
        self.done = !matches!(entry, Ok(Some(_)));
        entry.transpose()
    }

    /// Goes to the start of the next package; false at the end of the list.
    fn start(&mut self) -> Result<bool> {
        loop {
            match self.source.next()? {
                Token::Open("package") if self.announced.is_some() => {
                    self.found += 1;
                    return Ok(true);
                }
                Token::Open(name) if self.announced.is_none() && name == self.root => {
                    self.announced = Some(number(&self.source, "packages")?);
                }
                Token::Open(_) => return Err(Error::Content("unexpected element")),
                Token::Close(name, _) if name == self.root => {
                    let (expected, found) = (self.announced.unwrap_or(0), self.found);
                    if found != expected {
                        return Err(Error::Count { expected, found });
                    }
                    return Ok(false);
                }
                Token::Close(..) => {}
                Token::End => return Err(Error::Content("unexpected end")),
            }
        }
    }

    fn read_package<T: Entry>(&mut self) -> Result<T> {
        let mut entry = T::default();
        let mut state = State::default();
        entry.open("package", &self.source, &mut state)?;
        let mut name = String::new();
        loop {
            match self.source.next()? {
                Token::Open(opened) => {
                    name.clear();
                    name.push_str(opened);
                    entry.open(&name, &self.source, &mut state)?;
                    if state.entries > self.source.limits().entries {
                        return Err(Error::Limit("number of entries of a package"));
                    }
                }
                Token::Close("package", _) => return Ok(entry),
                Token::Close(name, text) => entry.close(name, text, &state),
                Token::End => return Err(Error::Content("unexpected end")),
            }
        }
    }
}

impl State {
    /// A file's element begins.
    pub(super) fn open_file<R: BufRead>(&mut self, source: &Source<R>) {
        self.entries += 1;
        self.label = attribute(source, "type");
    }

    /// A file's element ends.
    pub(super) fn file(&self, path: &str) -> File {
        File { kind: self.label.clone(), path: path.to_owned() }
    }
}

impl Entry for FilelistsEntry {
    fn open<R: BufRead>(
        &mut self,
        name: &str,
        source: &Source<R>,
        state: &mut State,
    ) -> Result<()> {
        match name {
            "package" => {
                self.pkgid = attribute(source, "pkgid");
                self.name = attribute(source, "name");
                self.arch = attribute(source, "arch");
            }
            "version" => self.version = version(source),
            "file" => state.open_file(source),
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, name: &str, text: &str, state: &State) {
        if name == "file" {
            self.files.push(state.file(text));
        }
    }
}

impl Entry for OtherEntry {
    fn open<R: BufRead>(
        &mut self,
        name: &str,
        source: &Source<R>,
        state: &mut State,
    ) -> Result<()> {
        match name {
            "package" => {
                self.pkgid = attribute(source, "pkgid");
                self.name = attribute(source, "name");
                self.arch = attribute(source, "arch");
            }
            "version" => self.version = version(source),
            "changelog" => {
                state.entries += 1;
                state.label = attribute(source, "author");
                state.date = number(source, "date")?;
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, name: &str, text: &str, state: &State) {
        if name == "changelog" {
            let (date, author) = (state.date, state.label.clone());
            self.changelogs.push(Change { date, author, text: text.to_owned() });
        }
    }
}
