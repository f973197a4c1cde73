//! The functions of the C library that are used, with their types (RFC 2744; `gssapi_ext.h` of MIT Kerberos).

use std::ffi::{c_char, c_int, c_void};

use libloading::Library;

/// `GSS_C_INDEFINITE`
pub(crate) const INDEFINITE: u32 = u32::MAX;
/// `GSS_C_INITIATE`
pub(crate) const INITIATE: c_int = 1;
/// `GSS_C_ACCEPT`
pub(crate) const ACCEPT: c_int = 2;
/// `GSS_S_CONTINUE_NEEDED`
pub(crate) const CONTINUE_NEEDED: u32 = 1;
/// The fields of calling errors and routine errors.
pub(crate) const ERRORS: u32 = 0xffff_0000;
/// `GSS_C_ANON_FLAG`
pub(crate) const ANONYMOUS: u32 = 64;
/// `GSS_C_GSS_CODE`
pub(crate) const GENERAL: c_int = 1;
/// `GSS_C_MECH_CODE`
pub(crate) const MECHANISM: c_int = 2;

/// `gss_buffer_desc`
#[repr(C)]
pub(crate) struct Buffer {
    pub(crate) length: usize,
    pub(crate) value: *mut c_void,
}

impl Buffer {
    pub(crate) const EMPTY: Buffer = Buffer { length: 0, value: std::ptr::null_mut() };
}

/// `gss_OID_desc`
#[repr(C)]
pub(crate) struct Oid {
    length: u32,
    elements: *mut c_void,
}

impl Oid {
    /// An identifier whose bytes live for ever; the library does not write to them.
    pub(crate) fn of(bytes: &'static [u8]) -> Oid {
        let length = u32::try_from(bytes.len()).unwrap_or(0);
        Oid { length, elements: bytes.as_ptr().cast_mut().cast() }
    }

    /// The encoded identifier.
    pub(crate) fn bytes(&self) -> &[u8] {
        if self.elements.is_null() {
            return &[];
        }
        // SAFETY: an identifier, ours or the library's, points to as many bytes as it says.
        unsafe { std::slice::from_raw_parts(self.elements.cast(), self.length as usize) }
    }
}

/// `gss_OID_set_desc`
#[repr(C)]
pub(crate) struct OidSet {
    pub(crate) count: usize,
    pub(crate) elements: *mut Oid,
}

/// `gss_key_value_element_desc`
#[repr(C)]
pub(crate) struct KeyValue {
    pub(crate) key: *const c_char,
    pub(crate) value: *const c_char,
}

/// `gss_key_value_set_desc`
#[repr(C)]
pub(crate) struct KeyValueSet {
    pub(crate) count: u32,
    pub(crate) elements: *const KeyValue,
}

type Handle = *mut c_void;

type AcquireCredFrom = unsafe extern "C" fn(
    *mut u32,
    Handle,
    u32,
    *const OidSet,
    c_int,
    *const KeyValueSet,
    *mut Handle,
    *mut *mut OidSet,
    *mut u32,
) -> u32;
type AcceptSecContext = unsafe extern "C" fn(
    *mut u32,
    *mut Handle,
    Handle,
    *const Buffer,
    *const c_void,
    *mut Handle,
    *mut *const Oid,
    *mut Buffer,
    *mut u32,
    *mut u32,
    *mut Handle,
) -> u32;
type InitSecContext = unsafe extern "C" fn(
    *mut u32,
    Handle,
    *mut Handle,
    Handle,
    *const Oid,
    u32,
    u32,
    *const c_void,
    *const Buffer,
    *mut *const Oid,
    *mut Buffer,
    *mut u32,
    *mut u32,
) -> u32;
type ImportName = unsafe extern "C" fn(*mut u32, *const Buffer, *mut Oid, *mut Handle) -> u32;
type DisplayName = unsafe extern "C" fn(*mut u32, Handle, *mut Buffer, *mut *mut Oid) -> u32;
type DisplayStatus =
    unsafe extern "C" fn(*mut u32, u32, c_int, *mut Oid, *mut u32, *mut Buffer) -> u32;
type Release = unsafe extern "C" fn(*mut u32, *mut Handle) -> u32;
type ReleaseBuffer = unsafe extern "C" fn(*mut u32, *mut Buffer) -> u32;
type DeleteContext = unsafe extern "C" fn(*mut u32, *mut Handle, *mut Buffer) -> u32;

/// The loaded library.
pub(crate) struct Api {
    pub(crate) acquire_cred_from: AcquireCredFrom,
    pub(crate) accept_sec_context: AcceptSecContext,
    pub(crate) init_sec_context: InitSecContext,
    pub(crate) import_name: ImportName,
    pub(crate) display_name: DisplayName,
    pub(crate) display_status: DisplayStatus,
    pub(crate) release_name: Release,
    pub(crate) release_cred: Release,
    pub(crate) release_buffer: ReleaseBuffer,
    pub(crate) delete_sec_context: DeleteContext,
    /// Keeps the functions where they are.
    _library: Library,
}

impl Api {
    /// Loads the library by the name that Linux distributions give its stable interface.
    pub(crate) fn load() -> Result<Api, libloading::Error> {
        // SAFETY: loading runs the initialisation of MIT Kerberos, which is harmless at any time; the types above are
        // those of its public headers, which its version number 2 keeps stable.
        unsafe {
            let library = Library::new("libgssapi_krb5.so.2")?;
            Ok(Api {
                acquire_cred_from: *library.get(b"gss_acquire_cred_from\0")?,
                accept_sec_context: *library.get(b"gss_accept_sec_context\0")?,
                init_sec_context: *library.get(b"gss_init_sec_context\0")?,
                import_name: *library.get(b"gss_import_name\0")?,
                display_name: *library.get(b"gss_display_name\0")?,
                display_status: *library.get(b"gss_display_status\0")?,
                release_name: *library.get(b"gss_release_name\0")?,
                release_cred: *library.get(b"gss_release_cred\0")?,
                release_buffer: *library.get(b"gss_release_buffer\0")?,
                delete_sec_context: *library.get(b"gss_delete_sec_context\0")?,
                _library: library,
            })
        }
    }
}
