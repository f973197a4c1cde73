//! An asynchronous client for Toji and for every Koji hub from 1.30 on.
//!
//! [`Client`] speaks XML-RPC with Koji's session headers, retries what may be retried with the same
//! call number, and moves files in both directions with checksums.

mod adler32;
mod call;
mod client;
mod download;
mod error;
mod login;
mod multicall;
mod options;
mod result;
mod session;
mod task_upload;
mod transport;
mod upload;

pub use call::IntoArgs;
pub use client::Client;
pub use download::Download;
pub use error::Error;
pub use multicall::Multicall;
pub use options::Options;
pub use result::{task_request, task_response};
pub use session::Session;
pub use toji_gssapi::Keys;
pub use upload::{Upload, Uploaded};

/// The arguments of a call: `args!(1, "x")`, `args!(tag; "latest" => true)`.
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(; $($key:expr => $keyword:expr),+)? $(,)?) => {{
        #[allow(unused_mut)]
        let mut args = $crate::macros::Args::default();
        $( args.positional.push($crate::macros::IntoValue::into_value($value)); )*
        $( $( args.keywords.insert($key, $keyword); )+ )?
        args
    }};
}

/// What [`args!`] needs.
#[doc(hidden)]
pub mod macros {
    pub use toji_value::{Args, IntoValue};
}
