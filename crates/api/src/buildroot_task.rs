//! Tasks that work in a buildroot for its own sake: commands in it, and its keeping after a failure.

use toji_api_macros::rpcs;
use toji_value::{Map, Value};

rpcs! {
    area buildroot_task;

    /// Submits the run of a command in a buildroot of a tag and returns the task's number.
    #[access(permission, "runroot")]
    #[python("runroot")]
    write runroot(
        tagInfo: Value, arch: Value, command: Value, channel: Value = None, **opts: Map
    ) -> i64;

    /// Submits the upload of the buildroot of a failed task and returns the task's number.
    #[access(custom, "the owner of the failed task, or an administrator")]
    #[python("saveFailedTree")]
    write saveFailedTree(buildrootID: Value, full: Value = false, **opts: Map) -> i64;

    /// Submits the run of a shell's command line in the kept buildroot of a failed task, on its builder, in a directory
    /// there, and returns the task's number. The policy `failed_tree` decides. Not in Koji.
    #[access(login)]
    write runInFailedTree(buildroot_id: i64, command: String, cwd: Option<String> = None) -> i64;
}
