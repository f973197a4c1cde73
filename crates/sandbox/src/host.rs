//! The `host` kind of buildroot: the machine's own programs, read-only, made to build RPM packages properly.

pub(crate) mod etc;

/// The rpm macros of this kind, for `/etc/rpm`.
pub fn macros() -> String {
    "%_dbpath /var/lib/rpm\n".into()
}
