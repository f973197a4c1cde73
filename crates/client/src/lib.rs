//! An asynchronous client for Toji and for every Koji hub from 1.22 on.
//!
//! [`Client`] speaks XML-RPC with Koji's session headers, retries what may be retried with the same
//! call number, and moves files in both directions with checksums.
#![doc = include_str!("../README.md")]

mod adler32;
pub mod blocking;
mod cache;
mod call;
mod client;
mod conditional;
mod direct;
mod download;
mod error;
mod estimate;
mod fault;
mod fuzz;
mod login;
mod message;
mod moment;
mod multicall;
mod object;
mod options;
mod profile;
mod progress;
mod result;
mod session;
mod task_upload;
mod transport;
mod upload;
mod watch;

pub use cache::Names;
pub use call::IntoArgs;
pub use client::Client;
pub use conditional::FileState;
pub use download::Download;
pub use error::Error;
pub use estimate::{Course, Estimate};
pub use fault::FaultKind;
#[doc(hidden)]
pub use fuzz::fuzz;
pub use message::{Event, MessageError, Repository, Tagging};
pub use multicall::{Multicall, Results, Slot};
pub use object::{Build, Channel, Host, Object, Package, Tag, Target, Task, User};
pub use options::Options;
pub use profile::{IniError, Places, Profile, ProfileError};
pub use progress::{Progress, Watcher};
pub use result::{task_request, task_response};
pub use session::Session;
pub use time;
pub use toji_api as api;
pub use toji_gssapi::Keys;
pub use toji_types::{BuildState, TaskState};
pub use toji_value::{Args, Fault, FromValue, IntoValue, Map, Value, list, map};
pub use upload::{Upload, Uploaded};
pub use watch::{
    Events, LogPiece, Logs, News, Numbered, RepoStep, TaskChange, WaitRepo, Wanted, Woken,
};

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
    pub use time;
    pub use toji_types::{BuildState, TaskState};
    pub use toji_value::{Args, IntoValue};
}

/// A name that no other file in a directory has.
pub(crate) fn unique(stem: &str) -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{stem}.{}.{count}", std::process::id())
}
