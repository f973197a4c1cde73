//! Kerberos logins through the system's GSSAPI library, which is loaded when it is first needed.
//!
//! Only Kerberos (a server takes it inside SPNEGO too), only exchanges of one message each way: what HTTP's
//! `Negotiate` needs. The C interface is that of RFC 2744 with MIT's credential stores.

#![expect(unsafe_code, reason = "this crate is the boundary to the C library")]

mod ffi;
mod initiate;

pub use initiate::{Keys, message, message_by_tickets};

use std::ffi::{CStr, CString, c_int, c_void};
use std::path::Path;
use std::ptr;

use ffi::{Api, Buffer, KeyValue, KeyValueSet, Oid, OidSet};

/// 1.2.840.113554.1.2.2
const KERBEROS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02];
/// 1.3.6.1.5.5.2
const SPNEGO: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x02];
/// 1.2.840.113554.1.2.2.1: a name that is a Kerberos principal.
const PRINCIPAL: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02, 0x01];

/// 1.2.840.113554.1.2.1.4: a name that is `service@host`.
const SERVICE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x01, 0x04];

/// Why a login or a keytab is refused; the text of the library says more.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The library is not there, or not one that can be used.
    #[error("cannot load the system's GSSAPI library (MIT Kerberos): {0}")]
    Library(#[from] libloading::Error),
    /// A path or name that C cannot have.
    #[error("{0} has a zero byte")]
    Text(&'static str),
    /// The library refuses.
    #[error("cannot {what}: {text}")]
    Refused {
        /// What was tried.
        what: &'static str,
        /// Why the library refuses.
        text: String,
    },
    /// The client wants another mechanism than Kerberos.
    #[error("the login is not by Kerberos")]
    Mechanism,
    /// The client wants more messages than one each way.
    #[error("the login needs more than one message")]
    Unfinished,
    /// The client does not say who it is.
    #[error("the login is anonymous")]
    Anonymous,
}

/// A verified login.
#[derive(Debug, PartialEq, Eq)]
pub struct Login {
    /// The client's principal, `name@REALM`.
    pub principal: String,
    /// What the client gets, so that it can verify this server.
    pub answer: Vec<u8>,
}

/// A service's keys, ready to verify logins; any number of threads may use it.
pub struct Acceptor {
    api: Api,
    credential: *mut c_void,
}

// SAFETY: RFC 2744 leaves threads open, MIT's library guarantees that a credential may be used by several threads
// at once; nothing here changes it after `open`.
unsafe impl Send for Acceptor {}
// SAFETY: as above.
unsafe impl Sync for Acceptor {}

impl Acceptor {
    /// Loads the keys of `principal` (of every principal without one) from a keytab.
    ///
    /// # Errors
    /// When the library is missing, or the keytab cannot be read or has no such key.
    pub fn open(keytab: &Path, principal: Option<&str>) -> Result<Acceptor, Error> {
        let api = Api::load()?;
        let path = format!("FILE:{}", keytab.display());
        let path = CString::new(path).map_err(|_| Error::Text("the keytab's path"))?;
        let mechanisms = [Oid::of(KERBEROS), Oid::of(SPNEGO)];
        let store = [(c"keytab", &*path)];
        let credential = acquire(&api, principal, ffi::ACCEPT, mechanisms, store)?;
        Ok(Acceptor { api, credential })
    }

    /// Verifies a client's message. It may wait for the disk (the replay cache), so call it where that is allowed.
    ///
    /// # Errors
    /// When the message is not a login by Kerberos that is valid now, for this service, and not seen before.
    pub fn accept(&self, message: &[u8]) -> Result<Login, Error> {
        let input = Buffer { length: message.len(), value: message.as_ptr().cast_mut().cast() };
        let mut context = Context { api: &self.api, handle: ptr::null_mut() };
        let mut client = Name { api: &self.api, handle: ptr::null_mut() };
        let mut answer = Text { api: &self.api, buffer: Buffer::EMPTY };
        let (mut minor, mut flags, mut mechanism) = (0, 0, ptr::null::<Oid>());
        // SAFETY: every pointer is to a value that outlives the call, or null where RFC 2744 allows it; the library
        // reads `input` only.
        let major = unsafe {
            (self.api.accept_sec_context)(
                &mut minor,
                &mut context.handle,
                self.credential,
                &input,
                ptr::null(),
                &mut client.handle,
                &mut mechanism,
                &mut answer.buffer,
                &mut flags,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        self.check(major, minor, "accept the login")?;
        if major & ffi::CONTINUE_NEEDED != 0 {
            return Err(Error::Unfinished);
        }
        // SAFETY: the library set `mechanism` to one of its own constants, or left it null.
        let used = unsafe { mechanism.as_ref().map(|oid| oid.bytes()) };
        if used != Some(KERBEROS) {
            return Err(Error::Mechanism);
        }
        if flags & ffi::ANONYMOUS != 0 || client.handle.is_null() {
            return Err(Error::Anonymous);
        }
        Ok(Login { principal: self.display(&client)?, answer: answer.bytes().to_vec() })
    }

    fn display(&self, name: &Name<'_>) -> Result<String, Error> {
        let mut text = Text { api: &self.api, buffer: Buffer::EMPTY };
        let mut minor = 0;
        // SAFETY: `name` holds a name of this library; the type of the name is not asked for.
        let major = unsafe {
            (self.api.display_name)(&mut minor, name.handle, &mut text.buffer, ptr::null_mut())
        };
        self.check(major, minor, "read the client's name")?;
        String::from_utf8(text.bytes().to_vec()).map_err(|_| Error::Anonymous)
    }

    fn check(&self, major: u32, minor: u32, what: &'static str) -> Result<(), Error> {
        check(&self.api, major, minor, what)
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        if !self.credential.is_null() {
            // SAFETY: the credential came from gss_acquire_cred_from and is not used again.
            unsafe { (self.api.release_cred)(&mut 0, &mut self.credential) };
        }
    }
}

fn check(api: &Api, major: u32, minor: u32, what: &'static str) -> Result<(), Error> {
    // Calling and routine errors are in the upper half; the lower has information such as "go on".
    if major & ffi::ERRORS == 0 {
        return Ok(());
    }
    let general = explain(api, major, ffi::GENERAL);
    let text = match explain(api, minor, ffi::MECHANISM) {
        detail if minor == 0 || detail.is_empty() => general,
        detail => format!("{general} ({detail})"),
    };
    Err(Error::Refused { what, text })
}

/// The library's words for a status, those of Kerberos for a minor one.
fn explain(api: &Api, status: u32, kind: c_int) -> String {
    let mut kerberos = Oid::of(KERBEROS);
    let mechanism = if kind == ffi::MECHANISM { &raw mut kerberos } else { ptr::null_mut() };
    let mut text = Text { api, buffer: Buffer::EMPTY };
    // SAFETY: every pointer is to a value that outlives the call, or null where RFC 2744 allows it.
    let major =
        unsafe { (api.display_status)(&mut 0, status, kind, mechanism, &mut 0, &mut text.buffer) };
    if major & ffi::ERRORS != 0 {
        return String::new();
    }
    String::from_utf8_lossy(text.bytes()).into_owned()
}

/// The right to speak for a principal (any of the store's without one), to be released by the caller.
fn acquire<const M: usize, const N: usize>(
    api: &Api,
    principal: Option<&str>,
    usage: c_int,
    mut mechanisms: [Oid; M],
    store: [(&CStr, &CStr); N],
) -> Result<*mut c_void, Error> {
    let elements = store.map(|(key, value)| KeyValue { key: key.as_ptr(), value: value.as_ptr() });
    let count = N.try_into().expect("a store of a few elements");
    let store = KeyValueSet { count, elements: elements.as_ptr() };
    // MIT refuses an empty store; none is the usual one.
    let store = if N == 0 { ptr::null() } else { &raw const store };
    let wanted = OidSet { count: M, elements: mechanisms.as_mut_ptr() };
    let name = principal.map_or(Ok(ptr::null_mut()), |name| import(api, name, PRINCIPAL))?;
    let name = Name { handle: name, api };
    let (mut minor, mut handle) = (0, ptr::null_mut());
    // SAFETY: every pointer is to a value that outlives the call, or null where RFC 2744 allows it.
    let major = unsafe {
        (api.acquire_cred_from)(
            &mut minor,
            name.handle,
            ffi::INDEFINITE,
            &wanted,
            usage,
            store,
            &mut handle,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    check(api, major, minor, if N == 0 { "use the tickets" } else { "use the keytab" })?;
    Ok(handle)
}

fn import(api: &Api, name: &str, kind: &'static [u8]) -> Result<*mut c_void, Error> {
    let text = Buffer { length: name.len(), value: name.as_ptr().cast_mut().cast() };
    let mut kind = Oid::of(kind);
    let (mut minor, mut name) = (0, ptr::null_mut());
    // SAFETY: the library reads `text` and `kind` only, which outlive the call.
    let major = unsafe { (api.import_name)(&mut minor, &text, &mut kind, &mut name) };
    check(api, major, minor, "understand the principal")?;
    Ok(name)
}

/// A security context, deleted at the end.
struct Context<'a> {
    api: &'a Api,
    handle: *mut c_void,
}

impl Drop for Context<'_> {
    fn drop(&mut self) {
        if !self.handle.is_null() {
            // SAFETY: the context came from gss_accept_sec_context and is not used again.
            unsafe { (self.api.delete_sec_context)(&mut 0, &mut self.handle, ptr::null_mut()) };
        }
    }
}

/// A name, released at the end.
struct Name<'a> {
    api: &'a Api,
    handle: *mut c_void,
}

impl Drop for Name<'_> {
    fn drop(&mut self) {
        if !self.handle.is_null() {
            // SAFETY: the name came from the library and is not used again.
            unsafe { (self.api.release_name)(&mut 0, &mut self.handle) };
        }
    }
}

/// Bytes of the library, released at the end.
struct Text<'a> {
    api: &'a Api,
    buffer: Buffer,
}

impl Text<'_> {
    fn bytes(&self) -> &[u8] {
        if self.buffer.value.is_null() {
            return &[];
        }
        // SAFETY: the library filled the buffer, which is released only when `self` ends.
        unsafe { std::slice::from_raw_parts(self.buffer.value.cast(), self.buffer.length) }
    }
}

impl Drop for Text<'_> {
    fn drop(&mut self) {
        // SAFETY: the buffer is empty or was filled by the library, and is not used again.
        unsafe { (self.api.release_buffer)(&mut 0, &mut self.buffer) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keytab_that_is_not_there() {
        let error = Acceptor::open(Path::new("/nonexistent/keytab"), None).err().unwrap();
        assert!(error.to_string().contains("/nonexistent/keytab"), "{error}");
    }

    #[test]
    fn a_keytab_with_a_key_of_another() {
        let dir = tempfile::tempdir().unwrap();
        let keytab = dir.path().join("empty.keytab");
        std::fs::write(&keytab, [5, 2]).unwrap();
        for principal in [None, Some("HTTP/hub.example.com@EXAMPLE.COM"), Some("a\0b")] {
            assert!(Acceptor::open(&keytab, principal).is_err(), "{principal:?}");
        }
    }
}
