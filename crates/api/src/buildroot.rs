//! Buildroots: what was installed where.

use toji_api_macros::rpcs;
use toji_value::Value;

rpcs! {
    area buildroot;

    /// Returns a buildroot.
    #[access(anonymous)]
    #[python("get_buildroot")]
    #[example("[1]")]
    read getBuildroot(buildrootID: i64, strict: bool = false) -> Value;

    /// Returns the RPMs that were installed in a buildroot.
    #[access(anonymous)]
    #[example("[1]")]
    read getBuildrootListing(id: Value) -> Vec<Value>;

    /// Returns buildroots by host, tag, state, content, task and repository.
    #[access(anonymous)]
    #[python("query_buildroots")]
    #[example(r#"[null, null, null, null, null, null, 1]"#)]
    read listBuildroots(
        hostID: Value = None, tagID: Value = None, state: Value = None,
        rpmID: Option<i64> = None, archiveID: Option<i64> = None, taskID: Option<i64> = None,
        buildrootID: Value = None, repoID: Option<i64> = None, queryOpts: Value = None
    ) -> Value;

    /// Makes a buildroot of the calling host for a task that it holds and returns its number.
    #[access(host)]
    #[python("HostExports.newBuildRoot")]
    write host.newBuildRoot(repo: i64, arch: String, task_id: Option<i64> = None) -> i64;

    /// Sets the state of a buildroot by name or number.
    #[access(host)]
    #[python("HostExports.setBuildRootState")]
    write host.setBuildRootState(brootid: i64, state: Value, task_id: Option<i64> = None) -> Value;

    /// Stores what is installed in a buildroot that is being populated.
    #[access(host)]
    #[python("HostExports.setBuildRootList")]
    write host.setBuildRootList(
        brootid: i64, rpmlist: Vec<Value>, task_id: Option<i64> = None
    ) -> Value;

    /// Adds what was installed while a buildroot was in use.
    #[access(host)]
    #[python("HostExports.updateBuildRootList")]
    write host.updateBuildRootList(
        brootid: i64, rpmlist: Vec<Value>, task_id: Option<i64> = None
    ) -> Value;
}
