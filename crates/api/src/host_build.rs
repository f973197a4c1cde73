//! What builders call about the builds they make.

use toji_api_macros::rpcs;
use toji_value::{Map, Value};

rpcs! {
    area host_build;

    /// Enters the build that a task of the calling host is about to make and returns its number.
    #[access(host)]
    #[python("HostExports.initBuild")]
    write host.initBuild(data: Map) -> i64;

    /// Imports the packages and logs of a build in progress, completes it and returns it.
    #[access(host)]
    #[python("HostExports.completeBuild")]
    write host.completeBuild(
        task_id: i64, build_id: i64, srpm: String, rpms: Vec<String>, brmap: Value = None,
        logs: Value = None
    ) -> Value;

    /// Marks a build in progress as failed.
    #[access(host)]
    #[python("HostExports.failBuild")]
    write host.failBuild(task_id: i64, build_id: i64) -> Value;

    /// Moves the packages and logs of a scratch build to the directory of the task's owner.
    #[access(host)]
    #[python("HostExports.moveBuildToScratch")]
    write host.moveBuildToScratch(
        task_id: i64, srpm: String, rpms: Vec<String>, logs: Value = None
    ) -> Value;
}
