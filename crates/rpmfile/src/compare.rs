//! What differs between two packages: file by file, and tag by tag.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::{File, Header, Package, Result, Tag, tag};

/// Longest value that is shown, in characters.
const MOST: usize = 200;

/// The tags that [`File`] shows.
const OF_FILES: [u32; 14] = [
    tag::BASENAMES,
    tag::DIRNAMES,
    tag::DIRINDEXES,
    tag::FILESIZES,
    tag::LONGFILESIZES,
    tag::FILEMODES,
    tag::FILEFLAGS,
    tag::FILEMTIMES,
    tag::FILERDEVS,
    tag::FILEVERIFYFLAGS,
    tag::FILEDIGESTS,
    tag::FILEUSERNAME,
    tag::FILEGROUPNAME,
    tag::FILELINKTOS,
];

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// A path of a file in the package; nothing for a tag of the header.
    pub file: Option<String>,
    /// Name of the tag, or what of the file.
    pub what: String,
    /// In the first package, at most 200 characters; nothing if it has none.
    pub one: Option<String>,
    /// In the second package.
    pub other: Option<String>,
}

/// Everything that differs between two packages, files first, then tags of the main header, then of the signature's.
///
/// The headers have the digests of all contents, and of the payload as a whole: two packages without a difference here are
/// the same.
///
/// # Errors
/// When the lists of files contradict each other.
pub fn compare(one: &Package, other: &Package) -> Result<Vec<Difference>> {
    let mut out = files(one.header(), other.header())?;
    tags(one.header(), other.header(), "", &mut out);
    if out.is_empty() {
        // Otherwise its digests differ in any case, and tell nothing.
        tags(one.signature(), other.signature(), "signature ", &mut out);
    }
    Ok(out)
}

fn tags(one: &Header, other: &Header, prefix: &str, out: &mut Vec<Difference>) {
    let all: BTreeSet<u32> = one.tags().chain(other.tags()).collect();
    for number in all.into_iter().filter(|number| !OF_FILES.contains(number)) {
        let values = [value(one, number), value(other, number)];
        if values[0] == values[1] {
            continue;
        }
        let name = Tag::by_number(number).map(|tag| tag.name.to_owned());
        let [one, other] = values.map(|value| value.map(short));
        let what = format!("{prefix}{}", name.unwrap_or_else(|| format!("tag {number}")));
        out.push(Difference { file: None, what, one, other });
    }
}

fn files(one: &Header, other: &Header) -> Result<Vec<Difference>> {
    let (one, other) = (by_path(one)?, by_path(other)?);
    let mut out = Vec::new();
    let paths: BTreeSet<&Vec<u8>> = one.keys().chain(other.keys()).collect();
    for path in paths {
        let name = String::from_utf8_lossy(path).into_owned();
        let mut add = |what: &str, one, other| {
            let (file, what) = (Some(name.clone()), what.to_owned());
            out.push(Difference { file, what, one, other });
        };
        match (one.get(path), other.get(path)) {
            (Some(one), Some(other)) => {
                for ((what, one), (_, other)) in aspects(one).into_iter().zip(aspects(other)) {
                    if one != other {
                        add(what, Some(short(one)), Some(short(other)));
                    }
                }
            }
            (one, other) => {
                let there = |file: Option<&File<'_>>| file.map(|_| "there".to_owned());
                add("file", there(one), there(other));
            }
        }
    }
    Ok(out)
}

fn by_path(header: &Header) -> Result<BTreeMap<Vec<u8>, File<'_>>> {
    Ok(header.files()?.into_iter().map(|file| (file.path(), file)).collect())
}

fn aspects(file: &File<'_>) -> [(&'static str, String); 9] {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    [
        ("contents", text(file.digest)),
        ("size", file.size.to_string()),
        ("mode", format!("{:o}", file.mode)),
        ("owner", format!("{}:{}", text(file.user), text(file.group))),
        ("time", file.mtime.to_string()),
        ("link", text(file.linkto)),
        ("flags", file.flags.to_string()),
        ("device", file.rdev.to_string()),
        ("verify", file.verify_flags.to_string()),
    ]
}

/// The values of a tag, one after the other.
fn value(header: &Header, tag: u32) -> Option<String> {
    if !header.has(tag) {
        return None;
    }
    if let Some(bytes) = header.bin(tag) {
        return Some(bytes.iter().fold(String::new(), |mut text, byte| {
            // a string takes whatever is written
            let _ = write!(text, "{byte:02x}");
            text
        }));
    }
    let texts = header.texts(tag).map(|text| text.into_owned());
    let numbers = header.ints(tag).map(|number| number.to_string());
    Some(texts.chain(numbers).collect::<Vec<_>>().join(" "))
}

fn short(text: String) -> String {
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}
