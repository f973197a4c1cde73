//! xmlrpc (to be filled).
