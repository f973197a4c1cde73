//! External repositories, and which tags use them.

use toji_api_macros::rpcs;
use toji_value::Value;

rpcs! {
    area external_repo;

    /// Makes an external repository.
    #[access(admin)]
    #[python("create_external_repo")]
    write createExternalRepo(name: Value, url: Value) -> Value;

    /// Renames an external repository or changes its address.
    #[access(admin)]
    #[python("edit_external_repo")]
    write editExternalRepo(info: Value, name: Value = None, url: Value = None) -> Value;

    /// Takes an external repository from all tags and deletes it.
    #[access(admin)]
    #[python("delete_external_repo")]
    write deleteExternalRepo(info: Value) -> Value;

    /// Lists external repositories.
    #[access(anonymous)]
    #[python("get_external_repos")]
    #[example(r#"[]"#)]
    read listExternalRepos(
        info: Value = None,
        url: Value = None,
        event: Value = None,
        queryOpts: Value = None,
    ) -> Value;

    /// Returns an external repository, or nil.
    #[access(anonymous)]
    #[python("get_external_repo")]
    read getExternalRepo(info: Value, strict: bool = false, event: Value = None) -> Value;

    /// Lets a tag use an external repository.
    #[access(permission, "tag")]
    write addExternalRepoToTag(
        tag_info: Value,
        repo_info: Value,
        priority: Value,
        merge_mode: Value = "koji",
        arches: Value = None,
    ) -> Value;

    /// Keeps a tag from using an external repository.
    #[access(permission, "tag")]
    write removeExternalRepoFromTag(tag_info: Value, repo_info: Value) -> Value;

    /// Changes how a tag uses an external repository; tells whether anything changed.
    #[access(permission, "tag")]
    #[python("edit_tag_external_repo")]
    write editTagExternalRepo(
        tag_info: Value,
        repo_info: Value,
        priority: Value = None,
        merge_mode: Value = None,
        arches: Value = None,
    ) -> Value;

    /// Lists which tags use which external repositories, by priority.
    #[access(anonymous)]
    #[python("get_tag_external_repos")]
    #[example(r#"[]"#)]
    read getTagExternalRepos(
        tag_info: Value = None,
        repo_info: Value = None,
        event: Value = None,
    ) -> Value;

    /// Lists the external repositories that a tag uses, inherited ones included.
    #[access(anonymous)]
    #[python("get_external_repo_list")]
    read getExternalRepoList(tag_info: Value, event: Value = None) -> Value;
}
