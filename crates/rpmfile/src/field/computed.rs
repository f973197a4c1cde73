//! Fields that are computed from others.

use super::{Field, stored, text};
use crate::files::split_files;
use crate::tag::{self, Tag};
use crate::{DepKind, Header, Package, Result};

impl Package {
    /// The value of a tag that no header stores as such; `None` if it is not one of those.
    pub(super) fn computed(&self, tag: &Tag) -> Result<Option<Field>> {
        let header = self.header();
        let number = |value: Option<u64>| value.map_or(Field::None, Field::Int);
        Ok(Some(match tag.number {
            tag::FILENAMES => file_names(header)?,
            tag::ORIGFILENAMES => orig_file_names(header)?,
            tag::FILECLASS => file_classes(header)?,
            tag::LONGFILESIZES if !header.has(tag::LONGFILESIZES) => {
                stored(header, tag::FILESIZES, true)
            }
            tag::LONGSIZE => number(header.installed_size()),
            tag::LONGARCHIVESIZE => number(self.archive_size()),
            tag::LONGSIGSIZE => number(self.signed_size()),
            tag::EPOCHNUM => Field::Int(header.int(tag::EPOCH).unwrap_or(0)),
            tag::HEADERCOLOR => {
                Field::Int(header.ints(tag::FILECOLORS).fold(0, |all, c| all | c) & 0xf)
            }
            tag::EVR => name_parts(header, false, true, false),
            tag::NVR => name_parts(header, true, false, false),
            tag::NEVR => name_parts(header, true, true, false),
            tag::NVRA => name_parts(header, true, false, true),
            tag::NEVRA => name_parts(header, true, true, true),
            tag::ARCHSUFFIX => Field::Str(format!(".{}", header.arch()?)),
            tag::PROVIDENEVRS => dependencies(header, DepKind::Provides),
            tag::REQUIRENEVRS => dependencies(header, DepKind::Requires),
            tag::CONFLICTNEVRS => dependencies(header, DepKind::Conflicts),
            tag::OBSOLETENEVRS => dependencies(header, DepKind::Obsoletes),
            tag::RECOMMENDNEVRS => dependencies(header, DepKind::Recommends),
            tag::SUGGESTNEVRS => dependencies(header, DepKind::Suggests),
            tag::SUPPLEMENTNEVRS => dependencies(header, DepKind::Supplements),
            tag::ENHANCENEVRS => dependencies(header, DepKind::Enhances),
            _ => return Ok(None),
        }))
    }
}

fn file_names(header: &Header) -> Result<Field> {
    let files = header.files()?;
    Ok(Field::List(files.iter().map(|f| text(&f.path())).collect()))
}

fn orig_file_names(header: &Header) -> Result<Field> {
    let tags = [tag::ORIGDIRINDEXES, tag::ORIGBASENAMES, tag::ORIGDIRNAMES];
    let files = split_files(header, tags)?;
    Ok(Field::List(files.iter().map(|f| text(&f.path())).collect()))
}

/// What each file is: the stored class, or what its mode says.
fn file_classes(header: &Header) -> Result<Field> {
    let dict: Vec<&[u8]> = header.strs(tag::CLASSDICT).collect();
    let mut classes = header.ints(tag::FILECLASS);
    let mut list = Vec::new();
    for file in header.files()? {
        let index = classes.next().and_then(|i| usize::try_from(i).ok());
        let stored = index.and_then(|i| dict.get(i)).filter(|c| !c.is_empty());
        list.push(match stored {
            Some(class) => text(class),
            None => Field::Str(class_of_mode(file.mode, file.linkto)),
        });
    }
    Ok(Field::List(list))
}

fn class_of_mode(mode: u16, linkto: &[u8]) -> String {
    match mode & 0o170_000 {
        0o060_000 => "block special".into(),
        0o020_000 => "character special".into(),
        0o040_000 => "directory".into(),
        0o010_000 => "fifo (named pipe)".into(),
        0o140_000 => "socket".into(),
        0o120_000 => format!("symbolic link to `{}'", String::from_utf8_lossy(linkto)),
        _ => String::new(),
    }
}

fn name_parts(header: &Header, name: bool, epoch: bool, arch: bool) -> Field {
    let part = |number| header.text(number).unwrap_or_default();
    let mut out = String::new();
    if name {
        out = format!("{}-", part(tag::NAME));
    }
    if let Some(epoch) = header.epoch().filter(|_| epoch) {
        out.push_str(&format!("{epoch}:"));
    }
    out.push_str(&format!("{}-{}", part(tag::VERSION), part(tag::RELEASE)));
    if arch {
        out.push_str(&format!(".{}", part(tag::ARCH)));
    }
    Field::Str(out)
}

fn dependencies(header: &Header, kind: DepKind) -> Field {
    let deps = header.deps(kind).map(|dep| Field::Str(dep.text()));
    Field::List(deps.collect())
}
