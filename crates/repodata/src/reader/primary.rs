//! The elements of a package in `primary.xml`.

use std::io::BufRead;

use super::entry::{Dependency, PrimaryEntry};
use super::packages::{Entry, State};
use super::source::Source;
use super::values::{attribute, number, version};
use crate::{Error, Result};

/// The dependency lists.
#[derive(Clone, Copy)]
pub(super) enum List {
    Provides,
    Requires,
    Conflicts,
    Obsoletes,
    Suggests,
    Enhances,
    Recommends,
    Supplements,
}

impl List {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "provides" => Self::Provides,
            "requires" => Self::Requires,
            "conflicts" => Self::Conflicts,
            "obsoletes" => Self::Obsoletes,
            "suggests" => Self::Suggests,
            "enhances" => Self::Enhances,
            "recommends" => Self::Recommends,
            "supplements" => Self::Supplements,
            _ => return None,
        })
    }

    fn of(self, entry: &mut PrimaryEntry) -> &mut Vec<Dependency> {
        match self {
            Self::Provides => &mut entry.provides,
            Self::Requires => &mut entry.requires,
            Self::Conflicts => &mut entry.conflicts,
            Self::Obsoletes => &mut entry.obsoletes,
            Self::Suggests => &mut entry.suggests,
            Self::Enhances => &mut entry.enhances,
            Self::Recommends => &mut entry.recommends,
            Self::Supplements => &mut entry.supplements,
        }
    }
}

impl Entry for PrimaryEntry {
    fn open<R: BufRead>(
        &mut self,
        name: &str,
        source: &Source<R>,
        state: &mut State,
    ) -> Result<()> {
        match name {
            "version" => self.version = version(source),
            "checksum" => self.checksum_type = attribute(source, "type"),
            "time" => {
                self.file_time = number(source, "file")?;
                self.build_time = number(source, "build")?;
            }
            "size" => {
                self.package_size = number(source, "package")?;
                self.installed_size = number(source, "installed")?;
                self.archive_size = number(source, "archive")?;
            }
            "location" => {
                self.href = attribute(source, "href");
                self.base = source.attribute("xml:base").map(str::to_owned);
            }
            "header-range" => {
                self.header_range = (number(source, "start")?, number(source, "end")?);
            }
            "entry" => {
                state.entries += 1;
                let list = state.list.ok_or(Error::Content("entry outside of a list"))?;
                list.of(self).push(dependency(source));
            }
            "file" => state.open_file(source),
            other => state.list = List::named(other).or(state.list),
        }
        Ok(())
    }

    fn close(&mut self, name: &str, text: &str, state: &State) {
        let field = match name {
            "name" => &mut self.name,
            "arch" => &mut self.arch,
            "checksum" => &mut self.checksum,
            "summary" => &mut self.summary,
            "description" => &mut self.description,
            "packager" => &mut self.packager,
            "url" => &mut self.url,
            "license" => &mut self.license,
            "vendor" => &mut self.vendor,
            "group" => &mut self.group,
            "buildhost" => &mut self.buildhost,
            "sourcerpm" => &mut self.sourcerpm,
            "file" => return self.files.push(state.file(text)),
            _ => return,
        };
        text.clone_into(field);
    }
}

fn dependency<R: BufRead>(source: &Source<R>) -> Dependency {
    Dependency {
        name: attribute(source, "name"),
        flags: attribute(source, "flags"),
        version: version(source),
        pre: source.attribute("pre").is_some_and(|pre| pre != "0"),
    }
}
