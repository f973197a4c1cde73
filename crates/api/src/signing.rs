//! Work for signers, which hold the keys that the hub does not have. None of these calls is in Koji.

use toji_api_macros::rpcs;
use toji_value::Value;

rpcs! {
    area signing;

    /// Asks for signatures by a key (as in `keys.list`) on the RPMs of a build, or on those whose numbers or names `rpms`
    /// lists; returns the numbers of the jobs. What the key has signed, and what waits for it already, is left out. The policy
    /// `signing` decides; `label` is what the signatures are to be filed under. Not in Koji.
    #[access(custom, "the policy `signing`")]
    write signing.request(
        build: Value = None, key: Option<String> = None, rpms: Value = None, label: Option<String> = None
    ) -> Vec<i64>;

    /// Lists jobs by state (`free`, `taken`, `done`, `failed`, `canceled`), RPM and key, the newest first. Not in Koji.
    #[access(anonymous)]
    #[example(r#"["free"]"#)]
    read signing.list(
        state: Option<String> = None, rpm: Value = None, key: Option<String> = None, queryOpts: Value = None
    ) -> Value;

    /// Cancels a job that has not ended. Not in Koji.
    #[access(owner, "who has asked for it, and those with the permission `sign`")]
    write signing.cancel(id: i64) -> Value;

    /// Gives the caller up to `limit` jobs for keys that it has, named by their fingerprints, the oldest first: `id`, `turn`,
    /// `rpm_id`, `fingerprint`, `nvra`, `build`, `header_size`, `header_sha256`, and `expires`, when others may take
    /// them. Not in Koji.
    #[access(permission, "signer")]
    write signing.take(fingerprints: Vec<String>, limit: i64 = 1) -> Vec<Value>;

    /// Returns the main header of a job's RPM, which is what is signed, in base64. Not in Koji.
    #[access(permission, "signer")]
    read signing.header(id: i64, turn: i64) -> Value;

    /// Stores the signature of a job, one OpenPGP packet in base64, if it verifies with the key that was asked for, and
    /// returns what it is filed under. Not in Koji.
    #[access(permission, "signer")]
    write signing.submit(id: i64, turn: i64, signature: Value) -> String;

    /// Ends a job that the caller cannot do. Not in Koji.
    #[access(permission, "signer")]
    write signing.fail(id: i64, turn: i64, reason: String) -> Value;
}
