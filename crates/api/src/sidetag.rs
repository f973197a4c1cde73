//! Side tags: short-lived tags that users make for themselves.

use toji_api_macros::rpcs;
use toji_value::Value;

rpcs! {
    area sidetag;

    /// Makes a side tag of a tag with a target of its own, and returns its name and number.
    #[access(login)]
    #[python("createSideTag")]
    write createSideTag(
        basetag: Value, debuginfo: bool = false, suffix: Option<String> = None
    ) -> Value;

    /// Deletes a side tag and its target.
    #[access(owner, "the user of the side tag; administrators")]
    #[python("removeSideTag")]
    write removeSideTag(sidetag: Value) -> Value;

    /// Returns side tags by base tag and user.
    #[access(anonymous)]
    #[python("listSideTags")]
    #[example("[]")]
    read listSideTags(
        basetag: Value = None, user: Value = None, queryOpts: Value = None
    ) -> Value;

    /// Changes options of a side tag as far as its base tag allows it.
    #[access(owner, "the user of the side tag; administrators")]
    #[python("editSideTag")]
    write editSideTag(
        sidetag: Value, debuginfo: Value = None, rpm_macros: Value = None,
        remove_rpm_macros: Value = None, extra: Value = None, remove_extra: Value = None
    ) -> Value;
}
