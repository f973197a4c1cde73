//! The little of OpenPGP that tells who signed: signature packets of versions 3, 4 and 6.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::{Error, Result};

/// Largest packet that is looked at, in bytes.
const MAX_PACKET: usize = 1 << 20;
const SUBPACKET_CREATED: u8 = 2;
const SUBPACKET_ISSUER: u8 = 16;
const SUBPACKET_FINGERPRINT: u8 = 33;

/// Who made a signature, as the packet claims; nothing is verified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signature {
    /// Packet version: 3, 4 or 6.
    pub version: u8,
    /// Number of the public key algorithm.
    pub key_algorithm: u8,
    /// Number of the hash algorithm.
    pub hash_algorithm: u8,
    /// When it says that it was made, seconds since 1970.
    pub created: Option<u32>,
    /// Key ids named by the signature; one in a sane packet.
    pub key_ids: Vec<[u8; 8]>,
    /// Full fingerprints named by the signature.
    pub fingerprints: Vec<Vec<u8>>,
}

impl Signature {
    /// Parses a packet that fills `data`.
    pub fn parse(data: &[u8]) -> Result<Self> {
        let (tag, body) = packet(data)?;
        if tag != 2 {
            return Err(Error::Packet("not a signature packet"));
        }
        match body.first() {
            Some(3) => Self::parse_v3(body),
            Some(4) => Self::parse_new(body, 2),
            Some(6) => Self::parse_new(body, 4),
            Some(_) => Err(Error::Packet("unknown version")),
            None => Err(TRUNCATED),
        }
    }

    fn parse_v3(body: &[u8]) -> Result<Self> {
        let key_id = body.get(7..15).and_then(|id| id.try_into().ok());
        let algorithms = body.get(15..17).ok_or(TRUNCATED)?;
        Ok(Self {
            version: 3,
            key_algorithm: algorithms[0],
            hash_algorithm: algorithms[1],
            created: body.get(3..7).and_then(seconds),
            key_ids: vec![key_id.ok_or(TRUNCATED)?],
            fingerprints: Vec::new(),
        })
    }

    /// Versions 4 and 6 differ in how long the lengths of the subpacket areas are.
    fn parse_new(body: &[u8], width: usize) -> Result<Self> {
        let [version, _, key_algorithm, hash_algorithm, rest @ ..] = body else {
            return Err(TRUNCATED);
        };
        let mut signature = Self {
            version: *version,
            key_algorithm: *key_algorithm,
            hash_algorithm: *hash_algorithm,
            ..Self::default()
        };
        let (hashed, rest) = sized(rest, width)?;
        let (unhashed, _) = sized(rest, width)?;
        signature.add_subpackets(hashed)?;
        // A time that the signature does not cover is nobody's word.
        let created = signature.created;
        signature.add_subpackets(unhashed)?;
        signature.created = created;
        Ok(signature)
    }

    fn add_subpackets(&mut self, mut area: &[u8]) -> Result<()> {
        while !area.is_empty() {
            let (length, rest) = subpacket_length(area)?;
            let content = rest.get(..length).ok_or(TRUNCATED)?;
            area = &rest[length..];
            let Some((kind, content)) = content.split_first() else {
                return Err(Error::Packet("empty subpacket"));
            };
            // the highest bit only says that the subpacket is critical
            match (kind & 0x7f, content) {
                (SUBPACKET_CREATED, time) => self.created = seconds(time),
                (SUBPACKET_ISSUER, id) => {
                    let id = id.try_into().map_err(|_| Error::Packet("bad issuer"))?;
                    self.key_ids.push(id);
                }
                (SUBPACKET_FINGERPRINT, [_, fingerprint @ ..]) => {
                    self.fingerprints.push(fingerprint.to_vec());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The last 8 hexadecimal digits of the key id; fails unless exactly one key is named.
    pub fn koji_key_id(&self) -> Result<String> {
        self.key_id().map(|id| hex::encode(&id[4..]))
    }

    /// The key id; fails unless exactly one key is named.
    pub fn key_id(&self) -> Result<[u8; 8]> {
        match (self.key_ids.as_slice(), self.fingerprints.as_slice()) {
            ([id], _) => Ok(*id),
            ([], [fingerprint]) => {
                id_of_fingerprint(fingerprint).ok_or(Error::Packet("bad fingerprint"))
            }
            _ => Err(Error::Packet("unexpected number of key ids")),
        }
    }

    /// The full fingerprint in hexadecimal, if the signature names exactly one.
    pub fn fingerprint(&self) -> Option<String> {
        match self.fingerprints.as_slice() {
            [fingerprint] => Some(hex::encode(fingerprint)),
            _ => None,
        }
    }
}

const TRUNCATED: Error = Error::Packet("truncated");

fn seconds(time: &[u8]) -> Option<u32> {
    time.try_into().ok().map(u32::from_be_bytes)
}

/// The key id is the end of a fingerprint of version 4 and the start of one of version 6.
fn id_of_fingerprint(fingerprint: &[u8]) -> Option<[u8; 8]> {
    match fingerprint.len() {
        20 => fingerprint[12..].try_into().ok(),
        32 => fingerprint[..8].try_into().ok(),
        _ => None,
    }
}

/// Decodes a signature of an `OPENPGP` tag.
pub fn decode_base64(text: &[u8]) -> Result<Vec<u8>> {
    if text.len() > MAX_PACKET {
        return Err(Error::Packet("too long"));
    }
    STANDARD.decode(text).map_err(|_| Error::Packet("bad base64"))
}

/// Encodes a signature for an `OPENPGP` tag.
pub fn encode_base64(packet: &[u8]) -> String {
    STANDARD.encode(packet)
}

/// Packet type and body; the packet must fill `data`.
fn packet(data: &[u8]) -> Result<(u8, &[u8])> {
    if data.len() > MAX_PACKET {
        return Err(Error::Packet("too long"));
    }
    let (first, rest) = data.split_first().ok_or(TRUNCATED)?;
    if first & 0x80 == 0 {
        return Err(Error::Packet("not an OpenPGP packet"));
    }
    let (tag, (length, body)) = if first & 0x40 == 0 {
        let tag = (first & 0x3c) >> 2;
        match first & 3 {
            3 => (tag, (rest.len(), rest)),
            n => (tag, number(rest, 1 << n)?),
        }
    } else {
        (first & 0x3f, packet_length(rest)?)
    };
    if body.len() != length {
        return Err(Error::Packet("invalid length"));
    }
    Ok((tag, body))
}

/// The length in the new packet format.
fn packet_length(data: &[u8]) -> Result<(usize, &[u8])> {
    match data {
        [first @ 0..192, rest @ ..] => Ok((usize::from(*first), rest)),
        [first @ 192..224, second, rest @ ..] => Ok((two_bytes(*first, *second), rest)),
        [255, rest @ ..] => number(rest, 4),
        [224..255, ..] => Err(Error::Packet("partial body lengths")),
        _ => Err(TRUNCATED),
    }
}

fn subpacket_length(data: &[u8]) -> Result<(usize, &[u8])> {
    match data {
        [first @ 0..192, rest @ ..] => Ok((usize::from(*first), rest)),
        [first @ 192..255, second, rest @ ..] => Ok((two_bytes(*first, *second), rest)),
        [255, rest @ ..] => number(rest, 4),
        _ => Err(TRUNCATED),
    }
}

fn two_bytes(first: u8, second: u8) -> usize {
    ((usize::from(first) - 192) << 8) + usize::from(second) + 192
}

/// A big-endian number of `width` bytes and what follows it.
fn number(data: &[u8], width: usize) -> Result<(usize, &[u8])> {
    let (number, rest) = data.split_at_checked(width).ok_or(TRUNCATED)?;
    let number = number.iter().fold(0, |sum, b| (sum << 8) | usize::from(*b));
    Ok((number, rest))
}

/// A block preceded by its length, and what follows it.
fn sized(data: &[u8], width: usize) -> Result<(&[u8], &[u8])> {
    let (length, rest) = number(data, width)?;
    rest.split_at_checked(length).ok_or(TRUNCATED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(subpackets: &[u8]) -> Vec<u8> {
        let mut body = vec![4, 0, 1, 8, 0, 0, 0, subpackets.len() as u8];
        body.extend(subpackets);
        body.extend([0xab, 0xcd]);
        let mut packet = vec![0xc2, body.len() as u8];
        packet.extend(body);
        packet
    }

    #[test]
    fn version_3() {
        let mut body = vec![3, 5, 0, 1, 2, 3, 4];
        body.extend([0x11, 0x22, 0x33, 0x44, 0xDE, 0xAD, 0xBE, 0xEF, 17, 2, 0, 0]);
        let mut packet = vec![0x88, body.len() as u8];
        packet.extend(&body);
        let signature = Signature::parse(&packet).unwrap();
        assert_eq!(signature.koji_key_id().unwrap(), "deadbeef");
        assert_eq!(signature.created, Some(0x0102_0304));
        packet.push(0);
        assert!(Signature::parse(&packet).is_err());
    }

    #[test]
    fn version_4_names_one_key() {
        let issuer = [9, 16, 1, 2, 3, 4, 5, 6, 7, 8];
        let signature = Signature::parse(&v4(&issuer)).unwrap();
        assert_eq!(signature.koji_key_id().unwrap(), "05060708");
        let twice = Signature::parse(&v4(&[issuer, issuer].concat())).unwrap();
        assert!(twice.koji_key_id().is_err());
        let mut fingerprint = vec![22, 33, 4];
        fingerprint.extend(0..20);
        let signature = Signature::parse(&v4(&fingerprint)).unwrap();
        assert_eq!(signature.koji_key_id().unwrap(), "10111213");
        assert_eq!(signature.fingerprint().unwrap().len(), 40);
        assert!(Signature::parse(&v4(&[])).unwrap().koji_key_id().is_err());
    }

    #[test]
    fn every_cut_is_an_error() {
        let packet = v4(&[9, 16, 1, 2, 3, 4, 5, 6, 7, 8]);
        for len in 0..packet.len() {
            assert!(Signature::parse(&packet[..len]).is_err(), "{len}");
        }
    }
}
