//! Upper bounds for what a package may make the reader do.

/// Bounds; the default is what RPM itself accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most entries of the signature header.
    pub signature_entries: u32,
    /// Most bytes of data in the signature header.
    pub signature_data: u32,
    /// Most entries of the main header.
    pub header_entries: u32,
    /// Most bytes of data in the main header.
    pub header_data: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            signature_entries: 64,
            signature_data: 64 << 20,
            header_entries: 0xffff,
            header_data: 0x0fff_ffff,
        }
    }
}
