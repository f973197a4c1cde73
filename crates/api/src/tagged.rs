//! What is tagged: listings of builds and RPMs of a tag.

use toji_api_macros::rpcs;
use toji_value::Value;

rpcs! {
    area tagged;

    /// Returns the builds in a tag, newest tagging first.
    ///
    /// `inherit` follows the inheritance; `latest` true keeps one build for each package, a number
    /// that many. `prefix`, `package`, `owner`, `type` and `draft` restrict the listing.
    #[access(anonymous)]
    read listTagged(
        tag: Value, event: Value = None, inherit: bool = false, prefix: Value = None,
        latest: Value = false, package: Value = None, owner: Value = None,
        type: Option<String> = None, strict: bool = true, extra: bool = false,
        draft: Option<bool> = None,
    ) -> Value;

    /// Returns the RPMs in a tag and their builds, as a list of two lists.
    #[access(anonymous)]
    read listTaggedRPMS(
        tag: Value, event: Value = None, inherit: bool = false, latest: Value = false,
        package: Value = None, arch: Value = None, rpmsigs: bool = false,
        owner: Value = None, type: Option<String> = None, strict: bool = true,
        extra: bool = true, draft: Option<bool> = None,
    ) -> Value;

    /// Returns the latest build of each package in a tag and what it inherits from.
    #[access(anonymous)]
    read getLatestBuilds(
        tag: Value, event: Value = None, package: Value = None,
        type: Option<String> = None, draft: Option<bool> = None,
    ) -> Value;

    /// Returns the RPMs of the latest builds in a tag, and the builds, as a list of two lists.
    #[access(anonymous)]
    read getLatestRPMS(
        tag: Value, package: Value = None, arch: Value = None, event: Value = None,
        rpmsigs: bool = false, type: Option<String> = None, draft: Option<bool> = None,
    ) -> Value;
}
