//! Every OpenPGP signature in a signature header: where it is, what it covers, and whom it names.

use crate::openpgp::{Signature, decode_base64};
use crate::tag::{self, signature};
use crate::{Header, Result};

/// Most signatures of one header that are looked at; further ones are kept with the header, as bytes.
pub const MOST: usize = 64;

/// The place of a signature in a signature header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Slot {
    /// Of header and payload, by an algorithm other than RSA (RPM 3).
    SigGpg,
    /// Of header and payload, by RSA (RPM 3).
    SigPgp,
    /// Of the header, by an algorithm other than RSA.
    DsaHeader,
    /// Of the header, by RSA.
    RsaHeader,
    /// Of the header, one of any number (RPM 6).
    OpenPgp,
}

impl Slot {
    /// All of them, in the order in which Koji looks for a signature.
    pub const ALL: [Slot; 5] =
        [Slot::SigGpg, Slot::SigPgp, Slot::DsaHeader, Slot::RsaHeader, Slot::OpenPgp];

    /// The name of its tag in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Slot::SigGpg => "siggpg",
            Slot::SigPgp => "sigpgp",
            Slot::DsaHeader => "dsaheader",
            Slot::RsaHeader => "rsaheader",
            Slot::OpenPgp => "openpgp",
        }
    }

    /// The number of its tag in a signature header.
    pub fn tag(self) -> u32 {
        match self {
            Slot::SigGpg => signature::GPG,
            Slot::SigPgp => signature::PGP,
            Slot::DsaHeader => tag::DSAHEADER,
            Slot::RsaHeader => tag::RSAHEADER,
            Slot::OpenPgp => tag::OPENPGP,
        }
    }

    /// Whether the payload is signed too, and not the main header alone (which states the payload's digest).
    pub fn covers_payload(self) -> bool {
        matches!(self, Slot::SigGpg | Slot::SigPgp)
    }
}

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// Where it is.
    pub slot: Slot,
    /// The packet; of an `OPENPGP` value that is no base64, the value.
    pub packet: Vec<u8>,
    /// What the packet says; nothing for kinds that are not known.
    pub signature: Option<Signature>,
}

impl Signer {
    /// The long id of the key in hexadecimal, as the signature names it.
    pub fn key_id(&self) -> Option<String> {
        self.signature.as_ref()?.key_id().ok().map(hex::encode)
    }

    /// The fingerprint of the key in hexadecimal, as the signature names it.
    pub fn fingerprint(&self) -> Option<String> {
        self.signature.as_ref()?.fingerprint()
    }
}

/// The signatures of a signature header, up to [`MOST`].
pub fn of(header: &Header) -> Vec<Signer> {
    let signer = |slot, packet: Result<Vec<u8>>, raw: &[u8]| {
        let packet = packet.unwrap_or_else(|_| raw.to_vec());
        Signer { slot, signature: Signature::parse(&packet).ok(), packet }
    };
    let mut found = Vec::new();
    for slot in Slot::ALL {
        if slot == Slot::OpenPgp {
            let texts = header.strs(slot.tag()).take(MOST.saturating_sub(found.len()));
            found.extend(texts.map(|text| signer(slot, decode_base64(text), text)));
        } else if let Some(packet) = header.bin(slot.tag()) {
            found.push(signer(slot, Ok(packet.to_vec()), packet));
        }
    }
    found
}

/// The number of signatures of files (IMA, fs-verity) that a signature header carries.
pub fn file_signatures(header: &Header) -> usize {
    header.count(signature::FILESIGNATURES).max(header.count(tag::VERITYSIGNATURES))
}
