//! A package file without its payload: lead, signature header, main header.

use std::io::Read;
use std::ops::Range;

use crate::header::{INTRO, header_len};
use crate::openpgp::Signature;
use crate::tag::{self, signature};
use crate::{Error, Header, HeaderKind, Limits, Result};

/// Length of the lead.
pub(crate) const LEAD: usize = 96;
const LEAD_MAGIC: [u8; 4] = [0xed, 0xab, 0xee, 0xdb];
/// How much is reserved before the bytes that a length promises have been seen.
const READ_AHEAD: usize = 1 << 20;

/// The obsolete first part of a package file; good only for telling the format's generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lead {
    /// 3 up to RPM 4, 4 for the v6 format.
    pub major: u8,
    /// Minor version of the format.
    pub minor: u8,
    /// True if the lead calls the package a source package.
    pub source: bool,
    /// Name, version and release, cut to 65 bytes; often nonsense.
    pub name: Vec<u8>,
}

/// Lead, signature header and main header of a package.
#[derive(Debug, Clone)]
pub struct Package {
    lead: Lead,
    signature: Header,
    padding: Vec<u8>,
    header: Header,
}

/// Where a package's lead ends and its signature header begins.
pub const LEAD_END: u64 = LEAD as u64;

/// Where the main header of a package begins, from the first bytes of its file (112 are enough); nothing for what
/// does not begin like a package.
pub fn main_header_offset(start: &[u8]) -> Option<u64> {
    let signature = start.strip_prefix(&LEAD_MAGIC[..])?.get(LEAD - LEAD_MAGIC.len()..)?;
    let len = header_len(signature, HeaderKind::Signature, &Limits::default()).ok()?;
    u64::try_from(LEAD + len + padding_len(len)).ok()
}

impl Package {
    /// Reads up to the first byte of the payload and leaves `reader` there.
    pub fn read(reader: &mut impl Read, limits: &Limits) -> Result<Self> {
        let lead = Lead::parse(&read_exactly(reader, LEAD, "lead")?)?;
        let signature = read_header(reader, HeaderKind::Signature, limits)?;
        let padding = padding_len(signature.as_bytes().len());
        let padding = read_exactly(reader, padding, "signature padding")?;
        let header = read_header(reader, HeaderKind::Main, limits)?;
        Ok(Self { lead, signature, padding, header })
    }

    /// Reads a package that lies in memory; the payload need not be there.
    pub fn parse(mut data: &[u8], limits: &Limits) -> Result<Self> {
        Self::read(&mut data, limits)
    }

    /// The lead.
    pub fn lead(&self) -> &Lead {
        &self.lead
    }

    /// The signature header: nothing in it is covered by a signature.
    pub fn signature(&self) -> &Header {
        &self.signature
    }

    /// The main header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The bytes of the file that hold the signature header and its padding.
    pub fn signature_range(&self) -> Range<u64> {
        let start = LEAD as u64;
        start..start + (self.signature.as_bytes().len() + self.padding.len()) as u64
    }

    /// The bytes of the file that hold the main header (`header-range` of repository metadata).
    pub fn header_range(&self) -> Range<u64> {
        let start = self.signature_range().end;
        start..start + self.header.as_bytes().len() as u64
    }

    /// The signature header with its padding, as Koji caches it.
    pub fn signature_bytes(&self) -> Vec<u8> {
        [self.signature.as_bytes(), &self.padding].concat()
    }

    /// The MD5 of header and payload, which Koji calls the payload hash; 16 bytes.
    pub fn sigmd5(&self) -> Option<&[u8]> {
        self.signature.bin(signature::MD5).filter(|md5| md5.len() == 16)
    }

    /// The OpenPGP packet that Koji takes for the package's signature.
    pub fn signature_packet(&self) -> Result<Option<Vec<u8>>> {
        crate::splice::signature_packet(&self.signature)
    }

    /// What tells this package's content from others, as Koji writes it: the MD5 of header and
    /// payload, or for a package without one (RPM 6) the best digest of its header with its name.
    pub fn content_id(&self) -> Option<String> {
        if let Some(md5) = self.sigmd5() {
            return Some(hex::encode(md5));
        }
        let digests = [
            ("sha3-256", tag::SHA3_256HEADER),
            ("sha256", tag::SHA256HEADER),
            ("sha1", tag::SHA1HEADER),
        ];
        digests.iter().find_map(|(name, tag)| {
            let text = self.signature.str(*tag)?;
            Some(format!("{name}::{}", String::from_utf8_lossy(text)))
        })
    }

    /// The signing key as Koji writes it: the last 8 hexadecimal digits of its id.
    pub fn koji_sigkey(&self) -> Result<Option<String>> {
        match self.signature_packet()? {
            Some(packet) => Signature::parse(&packet)?.koji_key_id().map(Some),
            None => Ok(None),
        }
    }

    /// Uncompressed size of the payload in bytes.
    pub fn archive_size(&self) -> Option<u64> {
        self.signature
            .int(tag::LONGARCHIVESIZE)
            .or_else(|| self.signature.int(signature::PAYLOADSIZE))
            .or_else(|| self.header.int(tag::ARCHIVESIZE))
    }

    /// Size of header and payload in bytes, as the signature header states it.
    pub fn signed_size(&self) -> Option<u64> {
        self.signature.int(tag::LONGSIGSIZE).or_else(|| self.signature.int(signature::SIZE))
    }
}

impl Lead {
    fn parse(data: &[u8]) -> Result<Self> {
        let magic = data.starts_with(&LEAD_MAGIC);
        match data {
            [_, _, _, _, major @ 3..=4, minor, kind_high, kind_low, ..] if magic => Ok(Self {
                major: *major,
                minor: *minor,
                source: [*kind_high, *kind_low] == [0, 1],
                name: data[10..76].split(|b| *b == 0).next().unwrap_or_default().to_vec(),
            }),
            _ => Err(Error::NotRpm),
        }
    }
}

/// Zero bytes that follow a signature header of this length.
pub(crate) fn padding_len(header: usize) -> usize {
    header.next_multiple_of(8) - header
}

fn read_header(reader: &mut impl Read, kind: HeaderKind, limits: &Limits) -> Result<Header> {
    let what = match kind {
        HeaderKind::Signature => "signature header",
        HeaderKind::Main => "header",
    };
    let mut raw = read_exactly(reader, INTRO, what)?;
    let len = header_len(&raw, kind, limits)?;
    raw.extend(read_exactly(reader, len - INTRO, what)?);
    Header::parse(raw, kind, limits)
}

/// Reads `len` bytes without trusting `len` for more than a first small allocation.
fn read_exactly(reader: &mut impl Read, len: usize, what: &'static str) -> Result<Vec<u8>> {
    let mut data = Vec::with_capacity(len.min(READ_AHEAD));
    reader.take(len as u64).read_to_end(&mut data)?;
    if data.len() == len {
        Ok(data)
    } else if what == "lead" {
        Err(Error::NotRpm)
    } else {
        Err(Error::Truncated(what))
    }
}
