//! Header fields by name with the values that Koji's `getRPMHeaders` gives.

mod computed;

use crate::tag::{self, Tag, signature};
use crate::{Error, Header, Package, Result};

/// The value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// The package does not have it.
    None,
    /// A number.
    Int(u64),
    /// A string, with bytes that are not UTF-8 replaced.
    Str(String),
    /// Bytes.
    Bin(Vec<u8>),
    /// A list; empty if the package does not have it.
    List(Vec<Field>),
}

/// Tags that come from the signature header and its numbers for them there. The second list may
/// also stand in the main header.
const SIGNATURE_ONLY: &[(u32, u32)] = &[
    (tag::SIGSIZE, signature::SIZE),
    (tag::SIGPGP, signature::PGP),
    (tag::SIGMD5, signature::MD5),
    (tag::SIGGPG, signature::GPG),
    (tag::DSAHEADER, tag::DSAHEADER),
    (tag::RSAHEADER, tag::RSAHEADER),
    (tag::SHA1HEADER, tag::SHA1HEADER),
    (tag::SHA256HEADER, tag::SHA256HEADER),
    (tag::SHA3_256HEADER, tag::SHA3_256HEADER),
    (tag::LONGSIGSIZE, tag::LONGSIGSIZE),
    (tag::LONGARCHIVESIZE, tag::LONGARCHIVESIZE),
    (tag::VERITYSIGNATURES, tag::VERITYSIGNATURES),
    (tag::VERITYSIGNATUREALGO, tag::VERITYSIGNATUREALGO),
    (tag::OPENPGP, tag::OPENPGP),
];
const SIGNATURE_OR_MAIN: &[(u32, u32)] = &[
    (tag::ARCHIVESIZE, signature::PAYLOADSIZE),
    (tag::FILESIGNATURES, signature::FILESIGNATURES),
    (tag::FILESIGNATURELENGTH, signature::FILESIGNATURELENGTH),
];
/// Sizes whose 64-bit form stands in when they are missing.
const SIZES: &[(u32, u32)] = &[
    (tag::SIZE, tag::LONGSIZE),
    (tag::ARCHIVESIZE, tag::LONGARCHIVESIZE),
    (tag::FILESIZES, tag::LONGFILESIZES),
    (tag::SIGSIZE, tag::LONGSIGSIZE),
];

impl Package {
    /// A field by its name in any case; with `file_arch`, `arch` of a source package is `src` or
    /// `nosrc` instead of the arch it was built on. Fails for a name that is no tag.
    pub fn field(&self, name: &str, file_arch: bool) -> Result<Field> {
        let upper = name.to_ascii_uppercase();
        let tag = Tag::by_name(&upper).ok_or(Error::NoSuchField(upper))?;
        if tag.number == tag::ARCH && file_arch && self.header().is_source() {
            return Ok(Field::Str(self.header().arch()?.into_owned()));
        }
        let value = self.value(tag)?;
        let long = SIZES.iter().find(|(short, _)| *short == tag.number);
        match (long, &value) {
            (Some((_, long)), Field::None) => self.by_number(*long),
            (Some((_, long)), Field::List(list)) if list.is_empty() => {
                // Koji gives None rather than an empty list here only if the long form does
                self.by_number(*long)
            }
            _ => Ok(value),
        }
    }

    /// The names of every field the package stores, in the order of their numbers.
    pub fn field_names(&self) -> Vec<&'static str> {
        let main = self.header().tags().filter(|tag| *tag >= tag::HEADERI18NTABLE);
        let mut tags: Vec<u32> = main.filter(|tag| !moved(SIGNATURE_ONLY, *tag)).collect();
        for (tag, number) in SIGNATURE_ONLY.iter().chain(SIGNATURE_OR_MAIN) {
            if self.signature().has(*number) {
                tags.push(*tag);
            }
        }
        tags.sort_unstable();
        tags.dedup();
        tags.into_iter().filter_map(Tag::by_number).map(Tag::listed_name).collect()
    }

    fn by_number(&self, number: u32) -> Result<Field> {
        Tag::by_number(number).map_or(Ok(Field::None), |tag| self.value(tag))
    }

    fn value(&self, tag: &Tag) -> Result<Field> {
        if let Some(value) = self.computed(tag)? {
            return Ok(value);
        }
        let (header, number) = self.place(tag.number);
        Ok(stored(header, number, tag.list))
    }

    /// The header and the number under which a tag is stored.
    fn place(&self, number: u32) -> (&Header, u32) {
        if let Some((_, number)) = SIGNATURE_ONLY.iter().find(|(tag, _)| *tag == number) {
            return (self.signature(), *number);
        }
        match SIGNATURE_OR_MAIN.iter().find(|(tag, _)| *tag == number) {
            Some((_, there)) if self.signature().has(*there) => (self.signature(), *there),
            _ => (self.header(), number),
        }
    }
}

fn moved(table: &[(u32, u32)], number: u32) -> bool {
    table.iter().any(|(tag, _)| *tag == number)
}

/// The values of a tag as they are stored; its type is what the header says.
fn stored(header: &Header, number: u32, list: bool) -> Field {
    if let Some(bytes) = header.bin(number) {
        let value = Field::Bin(bytes.to_vec());
        return if list { Field::List(vec![value]) } else { value };
    }
    let ints = header.ints(number).map(Field::Int);
    let mut values = ints.chain(header.strs(number).map(text));
    if list { Field::List(values.collect()) } else { values.next().unwrap_or(Field::None) }
}

fn text(bytes: &[u8]) -> Field {
    Field::Str(String::from_utf8_lossy(bytes).into_owned())
}
