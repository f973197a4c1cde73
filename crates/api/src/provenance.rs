//! Statements about builds: signed provenance, bills of materials, and the keys.

use toji_api_macros::rpcs;
use toji_value::Value;

rpcs! {
    area provenance;

    /// Returns the signed provenance of a build: `path` below the published files, `size`, `sha256`, `keyid`, and the
    /// envelope as `content` if it is not too large; nothing before it is written. Not in Koji.
    #[access(anonymous)]
    #[example("[2]")]
    read provenance.get(build: Value, strict: bool = false) -> Value;

    /// Returns the bill of materials of a build, an SPDX document, as `provenance.get` returns the provenance. Not in Koji.
    #[access(anonymous)]
    #[example("[2]")]
    read provenance.sbom(build: Value, strict: bool = false) -> Value;

    /// Returns the public keys that have signed provenance, the one that was taken up last first: `keyid`, `pem`,
    /// `created` and `used`. Not in Koji.
    #[access(anonymous)]
    #[example("[]")]
    read provenance.keys() -> Vec<Value>;

    /// Submits the task that builds a finished build again, from its source package and its lockfiles, and compares the
    /// packages; returns its number. The build stays as it is. Not in Koji.
    #[access(login)]
    write rebuildCompare(
        build: Value, opts: Value = None, priority: Option<i64> = None, channel: Value = None
    ) -> i64;

    /// Has the provenance of a build written anew, with the key of now. Not in Koji.
    #[access(admin)]
    write provenance.renew(build: Value) -> Value;
}
