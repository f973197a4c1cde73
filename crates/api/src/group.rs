//! Groups of packages in tags (comps).

use toji_api_macros::rpcs;
use toji_value::Value;

rpcs! {
    area group;

    /// Adds a group to a tag, or changes it.
    #[access(permission, "tag")]
    #[python("grplist_add")]
    write groupListAdd(
        taginfo: Value,
        grpinfo: Value,
        block: bool = false,
        force: bool = false,
        **opts: toji_value::Map,
    ) -> Value;

    /// Removes a group from a tag.
    #[access(permission, "tag")]
    #[python("grplist_remove")]
    write groupListRemove(taginfo: Value, grpinfo: Value, force: bool = false) -> Value;

    /// Blocks a group in a tag.
    #[access(permission, "tag")]
    #[python("grplist_block")]
    write groupListBlock(taginfo: Value, grpinfo: Value) -> Value;

    /// Removes a tag's block of a group.
    #[access(permission, "tag")]
    #[python("grplist_unblock")]
    write groupListUnblock(taginfo: Value, grpinfo: Value) -> Value;

    /// Adds a package to a group in a tag, or changes its entry.
    #[access(permission, "tag")]
    #[python("grp_pkg_add")]
    write groupPackageListAdd(
        taginfo: Value,
        grpinfo: Value,
        pkg_name: Value,
        block: bool = false,
        force: bool = false,
        **opts: toji_value::Map,
    ) -> Value;

    /// Removes a package from a group in a tag.
    #[access(permission, "tag")]
    #[python("grp_pkg_remove")]
    write groupPackageListRemove(taginfo: Value, grpinfo: Value, pkg_name: Value) -> Value;

    /// Blocks a package in a group in a tag.
    #[access(permission, "tag")]
    #[python("grp_pkg_block")]
    write groupPackageListBlock(taginfo: Value, grpinfo: Value, pkg_name: Value) -> Value;

    /// Removes a tag's block of a package in a group.
    #[access(permission, "tag")]
    #[python("grp_pkg_unblock")]
    write groupPackageListUnblock(taginfo: Value, grpinfo: Value, pkg_name: Value) -> Value;

    /// Lets a group in a tag require another one.
    #[access(permission, "tag")]
    #[python("grp_req_add")]
    write groupReqListAdd(
        taginfo: Value,
        grpinfo: Value,
        reqinfo: Value,
        block: bool = false,
        force: bool = false,
        **opts: toji_value::Map,
    ) -> Value;

    /// Removes a requirement of a group in a tag.
    #[access(permission, "tag")]
    #[python("grp_req_remove")]
    write groupReqListRemove(
        taginfo: Value,
        grpinfo: Value,
        reqinfo: Value,
        force: Value = None,
    ) -> Value;

    /// Blocks a requirement of a group in a tag.
    #[access(permission, "tag")]
    #[python("grp_req_block")]
    write groupReqListBlock(taginfo: Value, grpinfo: Value, reqinfo: Value) -> Value;

    /// Removes a tag's block of a requirement of a group.
    #[access(permission, "tag")]
    #[python("grp_req_unblock")]
    write groupReqListUnblock(taginfo: Value, grpinfo: Value, reqinfo: Value) -> Value;

    /// Returns the groups of a tag with packages and requirements.
    #[access(anonymous)]
    #[python("readTagGroups")]
    #[example(r#"[1]"#)]
    read getTagGroups(
        tag: Value,
        event: Value = None,
        inherit: bool = true,
        incl_pkgs: bool = true,
        incl_reqs: bool = true,
        incl_blocked: bool = false,
    ) -> Value;
}
