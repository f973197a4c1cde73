//! Numbered states and kinds, with the moves that are legal between states.

use crate::enums::numbered;

mod moves;

pub use moves::{BUILD_MOVES, REPO_MOVES, TASK_MOVES};

numbered! {
    /// Where a task stands.
    pub enum TaskState ("task state") {
        /// Waiting for a host.
        Free = 0 "FREE",
        /// A host works on it.
        Open = 1 "OPEN",
        /// Ended well.
        Closed = 2 "CLOSED",
        /// Stopped by a user or by the end of its parent.
        Canceled = 3 "CANCELED",
        /// Given to a host that has not yet opened it.
        Assigned = 4 "ASSIGNED",
        /// Ended with a fault.
        Failed = 5 "FAILED",
    }
}

numbered! {
    /// Where a build stands.
    pub enum BuildState ("build state") {
        /// In progress.
        Building = 0 "BUILDING",
        /// Imported in full.
        Complete = 1 "COMPLETE",
        /// Its files are gone.
        Deleted = 2 "DELETED",
        /// Its task failed.
        Failed = 3 "FAILED",
        /// Its task was cancelled.
        Canceled = 4 "CANCELED",
    }
}

numbered! {
    /// Where a repository stands.
    pub enum RepoState ("repo state") {
        /// Being made.
        Init = 0 "INIT",
        /// Usable and current when made.
        Ready = 1 "READY",
        /// Superseded; may be deleted once unused.
        Expired = 2 "EXPIRED",
        /// Its files are gone.
        Deleted = 3 "DELETED",
        /// Could not be made or deleted.
        Problem = 4 "PROBLEM",
    }
}

numbered! {
    /// Where a buildroot stands.
    pub enum BrState ("buildroot state") {
        /// Being populated.
        Init = 0 "INIT",
        /// Waiting for its content.
        Waiting = 1 "WAITING",
        /// In use by a build.
        Building = 2 "BUILDING",
        /// No longer there.
        Expired = 3 "EXPIRED",
    }
}

numbered! {
    /// Who manages a buildroot.
    pub enum BrType ("buildroot type") {
        /// A builder of this system.
        Standard = 0 "STANDARD",
        /// A content generator.
        External = 1 "EXTERNAL",
    }
}

numbered! {
    /// What kind of account a user is.
    pub enum UserType ("user type") {
        /// A person or a program.
        Normal = 0 "NORMAL",
        /// A builder.
        Host = 1 "HOST",
        /// A group of users.
        Group = 2 "GROUP",
    }
}

numbered! {
    /// Whether a user may log in.
    pub enum UserStatus ("user status") {
        /// May log in.
        Normal = 0 "NORMAL",
        /// May not log in.
        Blocked = 1 "BLOCKED",
    }
}

numbered! {
    /// How a session was authenticated.
    pub enum AuthType ("auth type") {
        /// User name and password.
        Normal = 0 "NORMAL",
        /// Kerberos by the retired protocol.
        Kerberos = 1 "KERBEROS",
        /// TLS client certificate.
        Ssl = 2 "SSL",
        /// Kerberos through GSSAPI.
        Gssapi = 3 "GSSAPI",
    }
}

numbered! {
    /// Why a tag's content changed although no row of the tag did.
    pub enum TagUpdate ("tag update type") {
        /// A build of the tag moved to another volume.
        VolumeChange = 0 "VOLUME_CHANGE",
        /// Files were added to a build of the tag.
        Import = 1 "IMPORT",
        /// An administrator asked for it.
        Manual = 2 "MANUAL",
        /// A draft build of the tag became a regular one.
        DraftPromotion = 3 "DRAFT_PROMOTION",
    }
}

numbered! {
    /// The kind of an RPM dependency, as in the `type` field of `getRPMDeps`.
    pub enum DepType ("dependency type") {
        /// Needs.
        Require = 0 "REQUIRE",
        /// Offers.
        Provide = 1 "PROVIDE",
        /// Replaces.
        Obsolete = 2 "OBSOLETE",
        /// Cannot live with.
        Conflict = 3 "CONFLICT",
        /// Weak hint, forwards.
        Suggest = 4 "SUGGEST",
        /// Weak hint, backwards.
        Enhance = 5 "ENHANCE",
        /// Weak need, backwards.
        Supplement = 6 "SUPPLEMENT",
        /// Weak need, forwards.
        Recommend = 7 "RECOMMEND",
    }
}
