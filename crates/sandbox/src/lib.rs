//! Buildroots: what a build sees, how it is isolated and limited, and running commands in it.

mod builder;
mod buildroot;
mod cgroup;
mod chroot;
mod command;
mod error;
mod filter;
pub mod host;
mod identity;
mod layer;
mod limits;
mod plain;
mod process;
pub mod results;
mod sink;
mod supervise;
mod tree;
mod usage;
mod userns;
mod view;

pub use builder::BuildrootBuilder;
pub use buildroot::{Buildroot, Executed};
pub use chroot::{Chroots, Installed, Layer, PackageFile, installed_in};
pub use command::{Command, Outcome, Reason};
pub use error::{Error, Result};
pub use limits::{Held, LimitReport, Limits};
pub use plain::{plain_command, run_plain};
pub use sink::{Capture, LogFile, Sink, Stream, Tee};
pub use tokio_util::sync::CancellationToken;
pub use tree::{remove_tree, unmount_below};
pub use view::Mount;
