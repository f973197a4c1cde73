//! Builds: looking them up, listing, making and removing them.

use toji_api_macros::rpcs;
use toji_value::Value;

rpcs! {
    area build;

    /// Returns a build by number, by name-version-release, or by a struct with these three.
    #[access(anonymous)]
    #[python("get_build")]
    #[example("[2]")]
    read getBuild(buildInfo: Value, strict: bool = false) -> Value;

    /// Returns the number of a build.
    #[access(anonymous)]
    #[python("find_build_id")]
    #[example("[2]")]
    read findBuildID(X: Value, strict: bool = false) -> Value;

    /// Returns builds by package, owner, task, state, source, times, type and more.
    #[access(anonymous)]
    #[example("[2]")]
    read listBuilds(
        packageID: Value = None, userID: Value = None, taskID: Value = None,
        prefix: Option<String> = None, state: Value = None, volumeID: Value = None,
        source: Option<String> = None, createdBefore: Value = None, createdAfter: Value = None,
        completeBefore: Value = None, completeAfter: Value = None, type: Option<String> = None,
        typeInfo: Value = None, queryOpts: Value = None, pattern: Option<String> = None,
        cgID: Value = None, draft: Option<bool> = None, promotedBefore: Value = None,
        promotedAfter: Value = None, promoter: Value = None
    ) -> Value;

    /// Returns the release that the next build of a package's version would get.
    #[access(anonymous)]
    #[python("get_next_release")]
    #[example(r#"[{"name": "peer-pkg001", "version": "1.0"}]"#)]
    read getNextRelease(build_info: Value, incr: i64 = 1) -> String;

    /// Returns the average time in seconds that builds of a package took.
    #[access(anonymous)]
    #[example(r#"["peer-pkg001"]"#)]
    read getAverageBuildDuration(package: Value, age: Option<i64> = None) -> Option<f64>;

    /// Returns the stored logs of a build.
    #[access(anonymous)]
    #[python("get_build_logs")]
    #[example("[2]")]
    read getBuildLogs(build: Value) -> Vec<Value>;

    /// Returns the types of a build with their details.
    #[access(anonymous)]
    #[python("get_build_type")]
    #[example("[2]")]
    read getBuildType(buildInfo: Value, strict: bool = false) -> Value;

    /// Returns what refers to a build: tags, buildroots and archives.
    #[access(anonymous)]
    #[example("[2]")]
    read buildReferences(build: Value, limit: Option<i64> = None, lazy: bool = false) -> Value;

    /// Cancels a build in progress with its task and tells whether it was in progress.
    #[access(owner, "the owner of the build; administrators")]
    write cancelBuild(buildID: Value, strict: bool = false) -> bool;

    /// Enters a complete build without content and returns its number.
    #[access(admin)]
    write createEmptyBuild(
        name: Value, version: Value, release: Value, epoch: Value, owner: Value = None,
        draft: bool = false
    ) -> i64;

    /// Deletes a build that nothing refers to; its name stays taken.
    #[access(admin)]
    #[python("delete_build")]
    write deleteBuild(build: Value, strict: bool = true, min_ref_age: f64 = 604800) -> Value;

    /// Removes everything of a build but its name, so that it can be made again.
    #[access(admin)]
    #[python("reset_build")]
    write resetBuild(build: Value) -> Value;

    /// Imports an uploaded RPM into its build.
    #[access(admin)]
    write importRPM(path: String, basename: String) -> Value;

    /// Imports the arch packages of a scratch build into the build of the same source package, and
    /// returns the build's number.
    #[access(admin)]
    write mergeScratch(task_id: i64) -> i64;

    /// Makes a draft build a regular one and returns it.
    #[access(login)]
    #[python("_promote_build")]
    write promoteBuild(build: Value, force: bool = false) -> Value;

    /// Gives a build another owner.
    #[access(admin)]
    write setBuildOwner(build: Value, user: Value) -> Value;

    /// Sets the time of a build's completion, in seconds since 1970.
    #[access(admin)]
    write setBuildTimestamp(build: Value, ts: Value) -> Value;

    /// Moves a build to another volume.
    #[access(admin)]
    #[python("change_build_volume")]
    write changeBuildVolume(build: Value, volume: Value, strict: bool = true) -> Value;

    /// Moves a build to the volume that the policy gives it.
    #[access(admin)]
    write applyVolumePolicy(build: Value, strict: bool = false) -> Value;
}
