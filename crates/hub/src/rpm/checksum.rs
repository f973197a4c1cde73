//! Checksum types of signed copies.

use toji_store::Algorithm;
use toji_types::ChecksumType;
use toji_value::Fault;

use crate::Call;

/// The types that are kept of each signed copy: `RPMDefaultChecksums`.
///
/// # Errors
/// A generic fault for a type that does not exist.
pub fn defaults(call: &Call) -> Result<Vec<ChecksumType>, Fault> {
    call.hub.config.rpm_default_checksums.iter().map(|name| named(name)).collect()
}

/// The type of this name.
///
/// # Errors
/// A generic fault for a type that does not exist.
pub fn named(name: &str) -> Result<ChecksumType, Fault> {
    let unknown = || Fault::generic(format!("Checksum_type {name} isn't supported"));
    ChecksumType::from_name(name).ok_or_else(unknown)
}

/// How a checksum of this type is computed.
pub fn algorithm(kind: ChecksumType) -> Algorithm {
    match kind {
        ChecksumType::Md5 => Algorithm::Md5,
        ChecksumType::Sha1 => Algorithm::Sha1,
        ChecksumType::Sha256 => Algorithm::Sha256,
    }
}
