//! The words every other crate shares: ids, package names, version order, states, arches, dates, file layout, lockfiles, shell patterns.

pub mod arch;
pub mod calendar;
pub mod checksum;
mod enums;
pub mod evr;
mod glob;
mod id;
pub mod lockfile;
pub mod name;
pub mod nvr;
pub mod path;
pub mod state;

pub use checksum::ChecksumType;
pub use enums::UnknownValue;
pub use evr::Evr;
pub use glob::{glob_match, glob_match_any};
pub use id::{
    ArchiveId, BuildId, BuildrootId, ChannelId, EventId, ExternalRepoId, HostId, PackageId, RepoId,
    RpmId, TagId, TargetId, TaskId, UserId, VolumeId,
};
pub use lockfile::{Locked, Lockfile, LockfileError};
pub use nvr::{FormatError, Nevra, Nvr};
pub use path::PathInfo;
pub use state::{
    AuthType, BrState, BrType, BuildState, DepType, RepoState, TagUpdate, TaskState, UserStatus,
    UserType,
};
