//! Compressions of metadata files; gzip members and zstd frames may be concatenated.

use std::io::{BufRead, Read, Write};
use std::str::FromStr;

use crate::{Error, Result};

/// How a metadata file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// gzip at this level, 1 to 9.
    Gzip(u32),
    /// zstd at this level, 1 to 22.
    Zstd(i32),
    /// xz at this level, 0 to 9; readers may refuse what is above 6, for its memory.
    Xz(u32),
    /// bzip2 at this level, 1 to 9.
    Bzip2(u32),
}

/// How much memory the decoder of xz may take, in KiB.
const XZ_MEMORY: u32 = 256 << 10;

impl Compression {
    /// The end of the file's name, with its dot.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Gzip(_) => ".gz",
            Self::Zstd(_) => ".zst",
            Self::Xz(_) => ".xz",
            Self::Bzip2(_) => ".bz2",
        }
    }

    /// The end of a record's type, such as `_gz` in `group_gz`.
    pub fn type_suffix(self) -> &'static str {
        match self {
            Self::Gzip(_) => "_gz",
            Self::Zstd(_) => "_zst",
            Self::Xz(_) => "_xz",
            Self::Bzip2(_) => "_bz2",
        }
    }

    /// True if every reader takes files that are several compressed ones, one after the other.
    ///
    /// libsolv reads the first stream of an xz file only.
    pub fn can_join(self) -> bool {
        matches!(self, Self::Gzip(_) | Self::Zstd(_))
    }

    /// Compresses a whole member; zstd fits its tables to a size that is known.
    pub(crate) fn member(self, data: &[u8]) -> std::io::Result<Vec<u8>> {
        if let Self::Zstd(level) = self {
            return zstd::bulk::compress(data, level);
        }
        let mut encoder = self.encoder(Vec::new())?;
        encoder.write_all(data)?;
        encoder.finish()
    }

    pub(crate) fn encoder<W: Write>(self, target: W) -> std::io::Result<Encoder<W>> {
        Ok(match self {
            Self::Gzip(level) => {
                let level = flate2::Compression::new(level);
                // no name and no time: the same content gives the same file
                Encoder::Gzip(Box::new(flate2::GzBuilder::new().write(target, level)))
            }
            Self::Zstd(level) => Encoder::Zstd(Box::new(zstd::Encoder::new(target, level)?)),
            Self::Xz(level) => {
                let options = lzma_rust2::XzOptions::with_preset(level);
                Encoder::Xz(Box::new(lzma_rust2::XzWriter::new(target, options)?))
            }
            Self::Bzip2(level) => {
                let level = bzip2::Compression::new(level);
                Encoder::Bzip2(Box::new(bzip2::write::BzEncoder::new(target, level)))
            }
        })
    }
}

/// By the names that createrepo_c knows, at usual levels.
impl FromStr for Compression {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "gz" | "gzip" => Self::Gzip(6),
            "zstd" | "zst" => Self::Zstd(10),
            "xz" => Self::Xz(5),
            "bz2" | "bzip2" => Self::Bzip2(9),
            _ => return Err(Error::Compression(text.to_owned())),
        })
    }
}

pub(crate) enum Encoder<W: Write> {
    Gzip(Box<flate2::write::GzEncoder<W>>),
    Zstd(Box<zstd::Encoder<'static, W>>),
    Xz(Box<lzma_rust2::XzWriter<W>>),
    Bzip2(Box<bzip2::write::BzEncoder<W>>),
}

impl<W: Write> Encoder<W> {
    pub(crate) fn finish(self) -> std::io::Result<W> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
            Self::Xz(encoder) => encoder.finish(),
            Self::Bzip2(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Gzip(encoder) => encoder.write(data),
            Self::Zstd(encoder) => encoder.write(data),
            Self::Xz(encoder) => encoder.write(data),
            Self::Bzip2(encoder) => encoder.write(data),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
            Self::Xz(encoder) => encoder.flush(),
            Self::Bzip2(encoder) => encoder.flush(),
        }
    }
}

/// Undoes the compression that the end of `name` tells: none, gzip, zstd, xz or bzip2.
pub fn decoder<'a>(name: &str, source: impl BufRead + 'a) -> Result<Box<dyn Read + 'a>> {
    match name.rsplit_once('.').map(|(_, end)| end) {
        Some("gz") => Ok(Box::new(flate2::bufread::MultiGzDecoder::new(source))),
        Some("zst") => Ok(Box::new(zstd::Decoder::with_buffer(source)?)),
        Some("xz") => Ok(Box::new(lzma_rust2::XzReader::new_mem_limit(source, true, XZ_MEMORY))),
        Some("bz2") => Ok(Box::new(bzip2::bufread::MultiBzDecoder::new(source))),
        Some("xml" | "yaml" | "sqlite") => Ok(Box::new(source)),
        other => Err(Error::Compression(other.unwrap_or(name).to_owned())),
    }
}
