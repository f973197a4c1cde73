//! Volumes, build types, archive types and content generators.

use toji_api_macros::rpcs;
use toji_value::Value;

rpcs! {
    area catalog;

    /// Lists volumes.
    #[access(anonymous)]
    #[python("list_volumes")]
    #[example(r#"[]"#)]
    read listVolumes() -> Value;

    /// Returns a volume, or nil.
    #[access(anonymous)]
    #[example(r#"["DEFAULT"]"#)]
    read getVolume(volume: Value, strict: bool = false) -> Value;

    /// Makes a volume whose directory is there already.
    #[access(admin)]
    #[python("add_volume")]
    write addVolume(name: Value, strict: bool = true) -> Value;

    /// Removes a volume that no build is on.
    #[access(admin)]
    #[python("remove_volume")]
    write removeVolume(volume: Value) -> Value;

    /// Lists build types.
    #[access(anonymous)]
    #[python("list_btypes")]
    #[example(r#"[]"#)]
    read listBTypes(query: Value = None, queryOpts: Value = None) -> Value;

    /// Makes a build type.
    #[access(admin)]
    #[python("add_btype")]
    write addBType(name: Value) -> Value;

    /// Lists archive types.
    #[access(anonymous)]
    #[python("get_archive_types")]
    #[example(r#"[]"#)]
    read getArchiveTypes() -> Value;

    /// Returns an archive type by file name, name or id, or nil.
    #[access(anonymous)]
    #[python("get_archive_type")]
    read getArchiveType(
        filename: Value = None,
        type_name: Value = None,
        type_id: Value = None,
        strict: bool = false,
    ) -> Value;

    /// Makes an archive type.
    #[access(admin)]
    #[python("add_archive_type")]
    write addArchiveType(
        name: Value,
        description: Value,
        extensions: Value,
        compression_type: Value = None,
    ) -> Value;

    /// Returns content generators, each with its id and users.
    #[access(anonymous)]
    #[python("list_cgs")]
    #[example(r#"[]"#)]
    read listCGs() -> Value;

    /// Lets a user act as a content generator, which is made if asked for.
    #[access(admin)]
    #[python("grant_cg_access")]
    write grantCGAccess(user: Value, cg: Value, create: bool = false) -> Value;

    /// Keeps a user from acting as a content generator.
    #[access(admin)]
    #[python("revoke_cg_access")]
    write revokeCGAccess(user: Value, cg: Value) -> Value;

    /// Tells whether Maven is enabled.
    #[access(anonymous)]
    #[example(r#"[]"#)]
    read mavenEnabled() -> bool;

    /// Tells whether Windows builds are enabled.
    #[access(anonymous)]
    #[example(r#"[]"#)]
    read winEnabled() -> bool;
}
