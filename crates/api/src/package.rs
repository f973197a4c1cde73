//! Packages, and the package lists of tags.

use toji_api_macros::rpcs;
use toji_value::Value;

rpcs! {
    area package;

    /// Adds a package to a tag's list, or changes its entry.
    #[access(custom, "logged in; policy package_list")]
    #[python("pkglist_add")]
    write packageListAdd(
        taginfo: Value,
        pkginfo: Value,
        owner: Value = None,
        block: Value = None,
        extra_arches: Value = None,
        force: bool = false,
        update: bool = false,
    ) -> Value;

    /// Removes a package from a tag's list.
    #[access(custom, "logged in; policy package_list")]
    #[python("pkglist_remove")]
    write packageListRemove(taginfo: Value, pkginfo: Value, force: bool = false) -> Value;

    /// Blocks a package in a tag.
    #[access(custom, "logged in; policy package_list")]
    #[python("pkglist_block")]
    write packageListBlock(taginfo: Value, pkginfo: Value, force: bool = false) -> Value;

    /// Unblocks a package in a tag.
    #[access(custom, "logged in; policy package_list")]
    #[python("pkglist_unblock")]
    write packageListUnblock(taginfo: Value, pkginfo: Value, force: bool = false) -> Value;

    /// Sets the owner of a package in a tag.
    #[access(custom, "logged in; policy package_list")]
    #[python("pkglist_setowner")]
    write packageListSetOwner(
        taginfo: Value,
        pkginfo: Value,
        owner: Value,
        force: bool = false,
    ) -> Value;

    /// Sets the extra arches of a package in a tag.
    #[access(custom, "logged in; policy package_list")]
    #[python("pkglist_setarches")]
    write packageListSetArches(
        taginfo: Value,
        pkginfo: Value,
        arches: Value,
        force: bool = false,
    ) -> Value;

    /// Lists packages, or the package lists of tags.
    #[access(anonymous)]
    #[example(r#"[]"#)]
    read listPackages(
        tagID: Value = None,
        userID: Value = None,
        pkgID: Value = None,
        prefix: Value = None,
        inherited: bool = false,
        with_dups: bool = false,
        event: Value = None,
        queryOpts: Value = None,
        with_owners: bool = true,
        with_blocked: bool = true,
    ) -> Value;

    /// Lists packages by the start of their name.
    #[access(anonymous)]
    #[example(r#"[]"#)]
    read listPackagesSimple(prefix: Value = None, queryOpts: Value = None) -> Value;

    /// Returns a package (id and name), or nil.
    #[access(anonymous)]
    #[python("lookup_package")]
    read getPackage(info: Value, strict: bool = false, create: bool = false) -> Value;

    /// Returns a package's id, or nil.
    #[access(anonymous)]
    read getPackageID(name: Value, strict: bool = false) -> Value;

    /// Returns what a tag (or one it inherits from) says of a package, or nil.
    #[access(anonymous)]
    read getPackageConfig(tag: Value, pkg: Value, event: Value = None) -> Value;
}
