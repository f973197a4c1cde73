//! Compressions whose files may be concatenated: gzip members and zstd frames.

use std::io::{BufRead, Read, Write};

use crate::{Error, Result};

/// How a metadata file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// gzip at this level, 1 to 9.
    Gzip(u32),
    /// zstd at this level, 1 to 22.
    Zstd(i32),
}

impl Compression {
    /// The end of the file's name, with its dot.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Gzip(_) => ".gz",
            Self::Zstd(_) => ".zst",
        }
    }

    /// The end of a record's type, such as `_gz` in `group_gz`.
    pub(crate) fn type_suffix(self) -> &'static str {
        match self {
            Self::Gzip(_) => "_gz",
            Self::Zstd(_) => "_zst",
        }
    }

    /// Compresses a whole member; zstd fits its tables to a size that is known.
    pub(crate) fn member(self, data: &[u8]) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Gzip(_) => {
                let mut encoder = self.encoder(Vec::new())?;
                encoder.write_all(data)?;
                encoder.finish()
            }
            Self::Zstd(level) => zstd::bulk::compress(data, level),
        }
    }

    pub(crate) fn encoder<W: Write>(self, target: W) -> std::io::Result<Encoder<W>> {
        Ok(match self {
            Self::Gzip(level) => {
                let level = flate2::Compression::new(level);
                // no name and no time: the same content gives the same file
                Encoder::Gzip(Box::new(flate2::GzBuilder::new().write(target, level)))
            }
            Self::Zstd(level) => Encoder::Zstd(Box::new(zstd::Encoder::new(target, level)?)),
        })
    }
}

pub(crate) enum Encoder<W: Write> {
    Gzip(Box<flate2::write::GzEncoder<W>>),
    Zstd(Box<zstd::Encoder<'static, W>>),
}

impl<W: Write> Encoder<W> {
    pub(crate) fn finish(self) -> std::io::Result<W> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Gzip(encoder) => encoder.write(data),
            Self::Zstd(encoder) => encoder.write(data),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}

/// Undoes the compression that the end of `name` tells: none, gzip or zstd.
pub fn decoder<'a>(name: &str, source: impl BufRead + 'a) -> Result<Box<dyn Read + 'a>> {
    match name.rsplit_once('.').map(|(_, end)| end) {
        Some("gz") => Ok(Box::new(flate2::bufread::MultiGzDecoder::new(source))),
        Some("zst") => Ok(Box::new(zstd::Decoder::with_buffer(source)?)),
        Some("xml" | "yaml") => Ok(Box::new(source)),
        other => Err(Error::Compression(other.unwrap_or(name).to_owned())),
    }
}
