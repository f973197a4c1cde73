//! Row ids, one type for each kind of object.

macro_rules! ids {
    ($($(#[$meta:meta])* $name:ident,)+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub i64);

        impl From<i64> for $name {
            fn from(id: i64) -> Self {
                Self(id)
            }
        }

        impl From<$name> for i64 {
            fn from(id: $name) -> i64 {
                id.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

ids! {
    /// A task.
    TaskId,
    /// A build.
    BuildId,
    /// A tag.
    TagId,
    /// A build target.
    TargetId,
    /// A package name.
    PackageId,
    /// A host that builds.
    HostId,
    /// A user, also the account of a host.
    UserId,
    /// A channel.
    ChannelId,
    /// A repository of a tag at an event.
    RepoId,
    /// An RPM.
    RpmId,
    /// An archive (any built file that is not an RPM).
    ArchiveId,
    /// A buildroot.
    BuildrootId,
    /// An external repository.
    ExternalRepoId,
    /// An event, the clock of the versioned tables.
    EventId,
    /// A storage volume.
    VolumeId,
}
