//! Tags, their options and their inheritance.

use toji_api_macros::rpcs;
use toji_value::Value;

rpcs! {
    area tag;

    /// Makes a tag and returns its id.
    #[access(permission, "tag")]
    #[python("create_tag")]
    write createTag(
        name: Value,
        parent: Value = None,
        arches: Value = None,
        perm: Value = None,
        locked: bool = false,
        maven_support: bool = false,
        maven_include_all: bool = false,
        extra: Value = None,
    ) -> Value;

    /// Changes a tag; the older form of editTag2.
    #[access(permission, "tag")]
    #[python("old_edit_tag")]
    write editTag(
        tagInfo: Value,
        name: Value,
        arches: Value,
        locked: Value,
        permissionID: Value,
        extra: Value = None,
    ) -> Value;

    /// Changes name, arches, lock, permission, Maven options and extra values of a tag.
    #[access(permission, "tag")]
    #[python("edit_tag")]
    write editTag2(tagInfo: Value, **kwargs: toji_value::Map) -> Value;

    /// Deletes a tag: everything in it is revoked, history stays.
    #[access(permission, "tag")]
    #[python("delete_tag")]
    write deleteTag(tagInfo: Value) -> Value;

    /// Returns a tag, now or at an event, or nil.
    #[access(anonymous)]
    #[python("get_tag")]
    #[example(r#"[1]"#)]
    read getTag(
        tagInfo: Value,
        strict: bool = false,
        event: Value = None,
        blocked: bool = false,
    ) -> Value;

    /// Returns a tag's id, or nil.
    #[access(anonymous)]
    #[python("get_tag_id")]
    #[example(r#"[1]"#)]
    read getTagID(info: Value, strict: bool = false, create: bool = false) -> Value;

    /// Lists tags, of a build, with a package, or by a glob pattern.
    #[access(anonymous)]
    #[python("list_tags")]
    #[example(r#"[]"#)]
    read listTags(
        build: Value = None,
        package: Value = None,
        perms: bool = true,
        queryOpts: Value = None,
        pattern: Value = None,
    ) -> Value;

    /// Returns a tag with the arches and extra values that it inherits.
    #[access(anonymous)]
    read getBuildConfig(tag: Value, event: Value = None) -> Value;

    /// Returns a tag's own inheritance links by priority.
    #[access(anonymous)]
    read getInheritanceData(tag: Value, event: Value = None) -> Value;

    /// Changes a tag's inheritance links, all of them with `clear`.
    #[access(custom, "permission tag")]
    write setInheritanceData(tag: Value, data: Value, clear: bool = false) -> Value;

    /// Returns the links that a tag inherits over, in order, or (reverse) those that lead to it.
    #[access(anonymous)]
    read getFullInheritance(
        tag: Value,
        event: Value = None,
        reverse: bool = false,
        **kwargs: toji_value::Map,
    ) -> Value;

    /// Returns the first event after a moment that changed a tag, or nil.
    #[access(anonymous)]
    #[python("tag_first_change_event")]
    read tagFirstChangeEvent(tag: Value, after: Value = None, inherit: bool = true) -> Value;

    /// Returns the last event before a moment that changed a tag, or nil.
    #[access(anonymous)]
    #[python("tag_last_change_event")]
    read tagLastChangeEvent(tag: Value, before: Value = None, inherit: bool = true) -> Value;

    /// Tells whether any of the tags (ids) changed after an event.
    #[access(anonymous)]
    #[python("tag_changed_since_event")]
    read tagChangedSinceEvent(event: Value, taglist: Value) -> Value;

    /// Tells whether a user may tag builds: access, whether force helps, and the reason.
    #[access(custom, "logged in, or another user given")]
    #[python("check_tag_access")]
    read checkTagAccess(tag_id: Value, user_id: Value = None) -> Value;

    /// Tells whether a package is listed in a tag and not blocked.
    #[access(anonymous)]
    read checkTagPackage(tag: Value, pkg: Value) -> bool;

    /// Copies a tag, now or at an event, to a new tag: options, packages, builds and groups.
    ///
    /// Inheritance and external repositories are not copied.
    #[access(permission, "tag")]
    write snapshotTag(
        src: Value, dst: Value, config: bool = true, pkgs: bool = true, builds: bool = true,
        groups: bool = true, latest_only: bool = true, inherit_builds: bool = true,
        event: Value = None, force: bool = false
    ) -> Value;

    /// Changes a tag until it has what another one has, or had at an event.
    #[access(permission, "tag")]
    write snapshotTagModify(
        src: Value, dst: Value, config: bool = true, pkgs: bool = true, builds: bool = true,
        groups: bool = true, latest_only: bool = true, inherit_builds: bool = true,
        event: Value = None, force: bool = false, remove: bool = false
    ) -> Value;
}
