//! Putting builds into tags and taking them out.

use toji_api_macros::rpcs;
use toji_value::Value;

rpcs! {
    area tagging;

    /// Submits the tagging of a build (with `fromtag`: the move) and returns the task's number.
    #[access(login)]
    write tagBuild(tag: Value, build: Value, force: bool = false, fromtag: Value = None) -> i64;

    /// Tags a build at once, for imports.
    #[access(permission, "tag")]
    write tagBuildBypass(
        tag: Value, build: Value, force: bool = false, notify: bool = false
    ) -> Value;

    /// Takes a build out of a tag.
    #[access(login)]
    write untagBuild(tag: Value, build: Value, strict: bool = true, force: bool = false) -> Value;

    /// Takes a build out of a tag, for imports.
    #[access(permission, "tag")]
    write untagBuildBypass(
        tag: Value, build: Value, strict: bool = true, force: bool = false, notify: bool = false
    ) -> Value;

    /// Submits the move of a build from one tag to another and returns the task's number.
    #[access(login)]
    write moveBuild(tag1: Value, tag2: Value, build: Value, force: bool = false) -> i64;

    /// Submits the move of all builds of a package in their order and returns the tasks' numbers.
    #[access(login)]
    write moveAllBuilds(
        tag1: Value, tag2: Value, package: Value, force: bool = false
    ) -> Vec<Value>;

    /// Tags builds in the given order without any check.
    #[access(permission, "tag")]
    write massTag(tag: Value, builds: Vec<Value>) -> Value;

    /// Returns complete builds that no tag holds.
    #[access(anonymous)]
    #[python("untagged_builds")]
    #[example(r#"[null, {"limit": 1}]"#)]
    read untaggedBuilds(
        name: Value = None, queryOpts: Value = None, draft: Option<bool> = None
    ) -> Value;

    /// Tags (with `fromtag`: moves) a build in the name of the owner of a task.
    #[access(host)]
    #[python("HostExports.tagBuild")]
    write host.tagBuild(
        task_id: i64, tag: Value, build: Value, force: bool = false, fromtag: Value = None
    ) -> Value;

    /// Submits the messages about a tagging.
    #[access(host)]
    #[python("HostExports.tagNotification")]
    write host.tagNotification(
        is_successful: Value, tag_id: Value, from_id: Value, build_id: Value, user_id: Value,
        ignore_success: Value = false, failure_msg: Value = ""
    ) -> Value;
}
