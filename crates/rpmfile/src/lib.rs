//! Reads RPM packages up to their payload, and splits and joins their signature headers.

mod changelog;
pub mod compare;
mod deps;
pub mod digest;
mod error;
mod field;
mod files;
mod header;
mod identity;
mod limits;
mod lists;
pub mod openpgp;
mod package;
mod scripts;
pub mod signers;
pub mod splice;
pub mod tag;

pub use changelog::Change;
pub use deps::{Dep, DepKind, sense};
pub use error::{Error, Result};
pub use field::Field;
pub use files::{File, file_flags};
pub use header::{Header, HeaderKind, Ints, Strs};
pub use limits::Limits;
pub use package::{LEAD_END, Lead, Package, main_header_offset};
pub use scripts::{Scriptlet, ScriptletKind};
pub use tag::Tag;

/// Reads `data` in every way this crate offers, for a fuzzer: it must not panic.
pub fn exercise(data: &[u8]) {
    let limits = Limits::default();
    let offset = main_header_offset(data);
    if let Ok(package) = Package::parse(data, &limits) {
        assert_eq!(offset, Some(package.header_range().start), "two ways to the main header");
        let header = package.header();
        for tag in header.tags().chain(package.signature().tags()) {
            if let Some(tag) = Tag::by_number(tag) {
                let _ = package.field(tag.name, true);
            }
        }
        for kind in DepKind::ALL {
            header.deps(*kind).for_each(drop);
        }
        let _ = header.check_lists();
        let _ = header.check_names();
        let _ = header.files();
        let _ = header.changelog().count();
        let _ = header.scriptlets().count();
        let _ = package.koji_sigkey();
        for signer in signers::of(package.signature()) {
            let _ = splice::sign(package.signature(), &signer.packet, &limits);
        }
        let _ = digest::check_header(&package);
        let _ = digest::verify(data, &limits);
        let _ =
            splice::replace_signature(&package.signature_bytes(), data, std::io::sink(), &limits);
    }
    let _ = openpgp::Signature::parse(data);
    let _ = Header::parse(data.to_vec(), HeaderKind::Main, &limits);
    let _ = Header::parse(data.to_vec(), HeaderKind::Signature, &limits);
}
