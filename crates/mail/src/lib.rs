//! Messages by SMTP: to whom, under which heads, with which text.
//!
//! The mail server is named as Koji's programs name it (`smtphost`, `smtp_user`, `smtp_pass`): a host, or a host and
//! a port, is spoken to in the clear. A URL (`smtps://host`, `smtp://host:587?tls=required`) asks for more.

mod letter;
mod server;

pub use letter::Letter;
pub use server::{Error, Sent, Server};
