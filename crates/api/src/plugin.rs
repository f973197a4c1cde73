//! Calls of Koji's standard plugins that are there only when their plugin is switched on.

use toji_api_macros::rpcs;
use toji_value::Value;

rpcs! {
    area plugin;

    /// Submits the build of an image with kiwi and returns the task.
    #[access(permission, "image")]
    write kiwiBuild(
        target: Value, arches: Value, desc_url: Value, desc_path: Value,
        optional_arches: Value = None, profile: Value = None, scratch: Value = false,
        priority: Value = None, make_prep: Value = false, repos: Value = None,
        release: Value = None, type: Value = None, type_attr: Value = None,
        result_bundle_name_format: Value = None, use_buildroot_repo: Value = true,
        version: Value = None, repo_releasever: Value = None,
    ) -> i64;

    /// Submits the build of a driver update disk and returns the task.
    #[access(permission, "image")]
    write dudBuild(
        dud_name: Value, dud_version: Value, arches: Value, target: Value, pkg_list: Value,
        optional_arches: Value = None, scratch: Value = false, alldeps: Value = false,
        scmurl: Value = None, priority: Value = None,
    ) -> i64;
}
