//! Checksum algorithms of files and archives.

use crate::enums::numbered;

numbered! {
    /// A checksum algorithm that is stored by number.
    pub enum ChecksumType ("checksum type") {
        /// MD5, 32 hexadecimal digits.
        Md5 = 0 "md5",
        /// SHA-1, 40 hexadecimal digits.
        Sha1 = 1 "sha1",
        /// SHA-256, 64 hexadecimal digits.
        Sha256 = 2 "sha256",
    }
}

impl ChecksumType {
    /// How many hexadecimal digits a sum has.
    pub const fn hex_len(self) -> usize {
        match self {
            Self::Md5 => 32,
            Self::Sha1 => 40,
            Self::Sha256 => 64,
        }
    }
}
