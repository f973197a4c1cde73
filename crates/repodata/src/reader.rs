//! Metadata read back as a stream, one package at a time, within limits.

mod entry;
mod packages;
mod primary;
mod source;
mod values;

use std::io::BufRead;

pub use entry::{Change, Dependency, File, FilelistsEntry, OtherEntry, PrimaryEntry, Version};
pub use packages::{Filelists, Other, Primary};

use crate::{Error, Record, Repomd, Result};
use source::{Source, Token};

/// Bounds for what a file may make the reader do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// Bytes of the whole file after decompression.
    pub total: u64,
    /// Bytes of one tag or one run of text.
    pub token: u64,
    /// Dependencies, files or changelog entries of one package.
    pub entries: usize,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self { total: 8 << 30, token: 16 << 20, entries: 4_000_000 }
    }
}

/// Reads `repomd.xml`; records of unknown types are kept, unknown elements are skipped.
pub(crate) fn repomd(source: impl BufRead, limit: u64) -> Result<Repomd> {
    let limits = ReadLimits { total: limit, token: limit, entries: 10_000 };
    let mut source = Source::new(source, limits);
    let mut repomd = Repomd::default();
    let mut record: Option<Record> = None;
    let mut cpe = None;
    loop {
        match source.next()? {
            Token::Open("repomd") => {}
            Token::Open("data") => {
                let kind = source.attribute("type").unwrap_or_default().to_owned();
                record = Some(Record { kind, ..Record::default() });
            }
            Token::Open("location") => {
                if let (Some(record), Some(href)) = (&mut record, source.attribute("href")) {
                    record.href = href.to_owned();
                }
            }
            Token::Open("checksum") => {
                if let (Some(record), Some(kind)) = (&mut record, source.attribute("type")) {
                    record.sum = kind.parse()?;
                }
            }
            Token::Open("distro") => cpe = source.attribute("cpeid").map(str::to_owned),
            Token::Open(_) => {}
            Token::Close("revision", text) => repomd.revision = text.to_owned(),
            Token::Close("content", text) => repomd.tags.content.push(text.to_owned()),
            Token::Close("repo", text) => repomd.tags.repo.push(text.to_owned()),
            Token::Close("distro", text) => {
                repomd.tags.distro.push((cpe.take(), text.to_owned()));
            }
            Token::Close("data", _) => {
                repomd.records.extend(record.take());
                if repomd.records.len() > limits.entries {
                    return Err(Error::Limit("number of records"));
                }
            }
            Token::Close("repomd", _) => return Ok(repomd),
            Token::Close(name, text) => {
                if let Some(record) = &mut record {
                    set_record(record, name, text)?;
                }
            }
            Token::End => return Err(Error::Content("no end of repomd")),
        }
    }
}

fn set_record(record: &mut Record, name: &str, text: &str) -> Result<()> {
    let number = || text.trim().parse().map_err(|_| Error::Content("bad number"));
    match name {
        "checksum" => record.checksum = text.to_owned(),
        "open-checksum" => record.open_checksum = Some(text.to_owned()),
        "header-checksum" => record.header_checksum = Some(text.to_owned()),
        "header-size" => record.header_size = Some(number()?),
        "database_version" => record.database_version = u32::try_from(number()?).ok(),
        "size" => record.size = number()?,
        "open-size" => record.open_size = Some(number()?),
        // some writers give fractions of a second
        "timestamp" => {
            let whole = text.trim().split('.').next().unwrap_or_default();
            record.timestamp = whole.parse().map_err(|_| Error::Content("bad timestamp"))?;
        }
        _ => {}
    }
    Ok(())
}
