//! The dependency solver: what would be installed, why, and what depends on what. None of these calls is in Koji.

use toji_api_macros::rpcs;
use toji_value::Value;

rpcs! {
    area solve;

    /// Tells what would be installed in an empty buildroot of a tag, now or at an event: with `solved` true the `packages`
    /// and their `lockfile`, else what is `missing` or the `problems`. `packages` are what `dnf install` takes; `opts` may
    /// have `requires` (as BuildRequires), `groups` (of the tag), `exclude`, `weak`, `best`. Instead of the tag: `{"repo_id": N}`, or, for those who are logged
    /// in and as the policy `solve_urls` allows, `{"urls": […]}`. Not in Koji.
    #[access(anonymous)]
    #[example(r#"["f40-build", "x86_64", ["gcc"]]"#)]
    read solve.install(tag: Value, arch: String, packages: Value = None, event: Value = None, opts: Value = None) -> Value;

    /// Tells why a package is in the answer to `solve.install` with the same arguments: the steps from what is wanted
    /// to it, each a `package`, what `needs` it, and `by` which package; no step if it is not in. Not in Koji.
    #[access(anonymous)]
    #[example(r#"["f40-build", "x86_64", "glibc", ["gcc"]]"#)]
    read solve.why(
        tag: Value,
        arch: String,
        name: String,
        packages: Value = None,
        event: Value = None,
        opts: Value = None,
    ) -> Value;

    /// Lists the packages that require what a name, capability or path means, up to a `distance` (1: directly), of a tag
    /// now or at an event, with what each `needs`. Not in Koji.
    #[access(anonymous)]
    #[example(r#"["f40-build", "x86_64", "glibc"]"#)]
    read solve.depends(tag: Value, arch: String, name: String, distance: i64 = 1, event: Value = None) -> Value;

    /// Returns the lockfile of a buildroot, the text that `toji solve` writes and reads, with its `digest`, `arch`,
    /// `task_id`, `host_id`, and whether the hub itself has `planned` it; nothing if there is none. Not in Koji.
    #[access(anonymous)]
    #[example("[1]")]
    read solve.lockfile(buildroot_id: i64, strict: bool = false) -> Value;

    /// Returns the lockfiles of the buildroots in which the parts of a build were made, as `solve.lockfile`. Not in Koji.
    #[access(anonymous)]
    #[example(r#"["hello-1.0-1"]"#)]
    read solve.lockfiles(build: Value) -> Vec<Value>;

    /// Stores the lockfile by which a buildroot of the caller's task was filled and returns its digest. Not in Koji.
    #[access(host)]
    write host.setBuildRootLockfile(brootid: i64, lockfile: String, task_id: i64) -> String;

    /// Tells with which `repo` and at which `event` the buildroots of a build of a tag are planned when no repository is
    /// made for it; nothing if one is needed. For the builder of a task. Not in Koji.
    #[access(host)]
    read host.planRepo(task_id: i64, tag: i64) -> Value;

    /// Plans a buildroot of the caller's task: the packages of a group of the tag, and what they and the `requires` need,
    /// at an event or that of its repository. Answers and stores the lockfile, or tells why there is none. Not in Koji.
    #[access(host)]
    write host.planBuildRoot(
        brootid: i64, task_id: i64, group: String, requires: Vec<String>, event: Option<i64> = None
    ) -> Value;
}
