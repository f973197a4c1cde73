//! RPMs: looking them up, listing, and what their headers say.

use toji_api_macros::rpcs;
use toji_value::Value;

rpcs! {
    area rpm;

    /// Returns an RPM by number, by name-version-release.arch, or by a struct with these parts.
    #[access(anonymous)]
    #[python("get_rpm")]
    #[example("[7]")]
    read getRPM(rpminfo: Value, strict: bool = false, multi: bool = false) -> Value;

    /// Returns the RPMs of a build.
    #[access(anonymous)]
    #[example("[2]")]
    read listBuildRPMs(build: Value) -> Value;

    /// Returns RPMs by build, buildroot, image, host and arch.
    #[access(anonymous)]
    #[python("list_rpms")]
    #[example("[2]")]
    read listRPMs(
        buildID: Option<i64> = None, buildrootID: Option<i64> = None, imageID: Option<i64> = None,
        componentBuildrootID: Option<i64> = None, hostID: Option<i64> = None, arches: Value = None,
        queryOpts: Value = None, draft: Option<bool> = None
    ) -> Value;

    /// Returns header fields by name, of an RPM or of a file that a task made.
    #[access(anonymous)]
    #[example(r#"[7, null, null, ["name"]]"#)]
    read getRPMHeaders(
        rpmID: Value = None, taskID: Value = None, filepath: Value = None, headers: Value = None,
        strict: bool = false
    ) -> Value;

    /// Returns what an RPM needs, offers and so on, of one type or all.
    #[access(anonymous)]
    #[example("[7]")]
    read getRPMDeps(
        rpmID: Value, depType: Option<i64> = None, queryOpts: Value = None, strict: bool = false
    ) -> Value;

    /// Returns the files in an RPM.
    #[access(anonymous)]
    #[example("[7]")]
    read listRPMFiles(rpmID: Value, queryOpts: Value = None) -> Value;

    /// Returns one file in an RPM; an empty struct if it is not there.
    #[access(anonymous)]
    #[example(r#"[7, "/usr/bin/peer-pkg001"]"#)]
    read getRPMFile(rpmID: Value, filename: String, strict: bool = false) -> Value;

    /// Returns the change log of a build's source package, or of a file that a task made.
    #[access(anonymous)]
    #[example("[2]")]
    read getChangelogEntries(
        buildID: Value = None, taskID: Option<i64> = None, filepath: Option<String> = None,
        author: Option<String> = None, before: Value = None, after: Value = None,
        queryOpts: Value = None, strict: bool = false
    ) -> Value;

    /// Returns signatures by RPM and key: what a signature is filed under, the long id (16 digits) or the fingerprint of the
    /// key that made it. `signatures.list` tells more.
    #[access(anonymous)]
    #[python("query_rpm_sigs")]
    #[example("[7]")]
    read queryRPMSigs(
        rpm_id: Value = None, sigkey: Option<String> = None, queryOpts: Value = None
    ) -> Value;

    /// Returns checksums of an RPM's copies by key and type; missing ones are computed and kept.
    #[access(anonymous)]
    #[example(r#"[7, ["md5"], true]"#)]
    write getRPMChecksums(
        rpm_id: Value, checksum_types: Value = None, cacheonly: bool = false
    ) -> Value;

    /// Stores a signature header of an RPM; `data` is the header in base64.
    ///
    /// The signature is filed under the last eight digits of its key's id (under all sixteen, or the fingerprint, where
    /// another key has these), or under `sigkey` if that is given (a name of its own, as for packages with several
    /// signatures).
    #[access(permission, "sign")]
    write addRPMSig(an_rpm: Value, data: Value, named sigkey: Option<String> = None) -> Value;

    /// Deletes the signature of a key from an RPM, or all of them, with the signed copies.
    ///
    /// Signatures are meant to stay: this is for repairs.
    #[access(admin)]
    write deleteRPMSig(
        rpminfo: Value, sigkey: Option<String> = None, all_sigs: bool = false
    ) -> Value;

    /// Files a signature of an RPM under another key or name, with its signed copy.
    #[access(admin)]
    #[python("RootExports.renameRPMSig")]
    write renameRPMSig(rpminfo: Value, oldkey: String, newkey: String) -> Value;

    /// Writes the copy of an RPM that carries the signature of a key.
    #[access(permission, "sign")]
    write writeSignedRPM(an_rpm: Value, sigkey: String, force: bool = false) -> Value;

    /// Writes the copy of an RPM that carries the signature of a key, for a builder.
    #[access(host)]
    #[python("HostExports.writeSignedRPM")]
    write host.writeSignedRPM(an_rpm: Value, sigkey: String, force: bool = false) -> Value;
}
