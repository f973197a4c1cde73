//! Build targets.

use toji_api_macros::rpcs;
use toji_value::Value;

rpcs! {
    area target;

    /// Makes a build target.
    #[access(permission, "target")]
    #[python("create_build_target")]
    write createBuildTarget(name: Value, build_tag: Value, dest_tag: Value) -> Value;

    /// Renames a build target and sets its tags.
    #[access(permission, "target")]
    #[python("edit_build_target")]
    write editBuildTarget(
        buildTargetInfo: Value,
        name: Value,
        build_tag: Value,
        dest_tag: Value,
    ) -> Value;

    /// Deletes a build target.
    #[access(permission, "target")]
    #[python("delete_build_target")]
    write deleteBuildTarget(buildTargetInfo: Value) -> Value;

    /// Returns a build target, or nil.
    #[access(anonymous)]
    #[python("get_build_target")]
    read getBuildTarget(info: Value, event: Value = None, strict: bool = false) -> Value;

    /// Lists build targets.
    #[access(anonymous)]
    #[python("get_build_targets")]
    #[example(r#"[]"#)]
    read getBuildTargets(
        info: Value = None,
        event: Value = None,
        buildTagID: Value = None,
        destTagID: Value = None,
        queryOpts: Value = None,
    ) -> Value;
}
