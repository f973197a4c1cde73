//! The side of a client: a message that proves who it is to a service.

use std::ffi::{CString, c_void};
use std::path::PathBuf;
use std::ptr;

use crate::ffi::{self, Api, Buffer, Oid};
use crate::{Context, Error, KERBEROS, Name, SERVICE, Text, check, import};

/// Where a client's keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The client's principal.
    pub principal: String,
    /// The file with its keys.
    pub keytab: PathBuf,
    /// The file in which tickets are kept between logins; nothing keeps them in memory.
    pub ccache: Option<PathBuf>,
}

/// A message for HTTP's `Negotiate` to the web server on a host, good for one login. Asks the realm for a ticket, so call it
/// where waiting is allowed.
///
/// # Errors
/// When the library is missing, the keytab has no such key, or the realm gives no ticket.
pub fn message(keys: &Keys, host: &str) -> Result<Vec<u8>, Error> {
    let api = Api::load()?;
    let credential = Credential { handle: acquire(&api, keys)?, api: &api };
    token(&api, &credential, host)
}

/// As [`message`], by the tickets that the user got with `kinit`; without a principal by those that are the usual ones.
///
/// # Errors
/// When the library is missing, there is no ticket, or the realm gives none for the service.
pub fn message_by_tickets(principal: Option<&str>, host: &str) -> Result<Vec<u8>, Error> {
    let api = Api::load()?;
    let handle = match principal {
        Some(_) => super::acquire(&api, principal, ffi::INITIATE, [Oid::of(KERBEROS)], [])?,
        None => ptr::null_mut(),
    };
    token(&api, &Credential { handle, api: &api }, host)
}

fn token(api: &Api, credential: &Credential<'_>, host: &str) -> Result<Vec<u8>, Error> {
    let service = Name { handle: import(api, &format!("HTTP@{host}"), SERVICE)?, api };
    let mut context = Context { api, handle: ptr::null_mut() };
    let mut answer = Text { api, buffer: Buffer::EMPTY };
    let mechanism = Oid::of(KERBEROS);
    let mut minor = 0;
    // SAFETY: every pointer is to a value that outlives the call, or null where RFC 2744 allows it.
    let major = unsafe {
        (api.init_sec_context)(
            &mut minor,
            credential.handle,
            &mut context.handle,
            service.handle,
            &mechanism,
            0,
            0,
            ptr::null(),
            ptr::null(),
            ptr::null_mut(),
            &mut answer.buffer,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    check(api, major, minor, "get a ticket")?;
    if major & ffi::CONTINUE_NEEDED != 0 {
        return Err(Error::Unfinished);
    }
    Ok(answer.bytes().to_vec())
}

/// The right to speak for a principal, by its keytab.
fn acquire(api: &Api, keys: &Keys) -> Result<*mut c_void, Error> {
    let text = |what, text: String| CString::new(text).map_err(|_| Error::Text(what));
    let keytab = text("the keytab's path", format!("FILE:{}", keys.keytab.display()))?;
    let ccache = match &keys.ccache {
        Some(file) => format!("FILE:{}", file.display()),
        None => format!("MEMORY:{}", keys.principal),
    };
    let ccache = text("the path of the tickets", ccache)?;
    let store = [(c"client_keytab", &*keytab), (c"ccache", &*ccache)];
    super::acquire(api, Some(&keys.principal), ffi::INITIATE, [Oid::of(KERBEROS)], store)
}

/// A credential, released at the end.
struct Credential<'a> {
    api: &'a Api,
    handle: *mut c_void,
}

impl Drop for Credential<'_> {
    fn drop(&mut self) {
        if !self.handle.is_null() {
            // SAFETY: the credential came from gss_acquire_cred_from and is not used again.
            unsafe { (self.api.release_cred)(&mut 0, &mut self.handle) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keytab_that_is_not_there() {
        let keytab = PathBuf::from("/nonexistent/keytab");
        let keys = Keys { principal: "host/b1@EXAMPLE.TEST".into(), keytab, ccache: None };
        assert!(message(&keys, "hub.example.test").is_err());
    }

    #[test]
    fn a_principal_without_tickets() {
        assert!(message_by_tickets(Some("nobody@EXAMPLE.TEST"), "hub.example.test").is_err());
    }
}
