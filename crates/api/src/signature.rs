//! Who has signed RPMs: keys by long id and fingerprint. None of these calls is in Koji.

use toji_api_macros::rpcs;
use toji_value::Value;

rpcs! {
    area signature;

    /// Lists signatures by RPM and key, each with its `rpm_id`, `sigkey` (what it is filed under), `sighash`, `slot` (the tag
    /// that it is in), `version`, `algorithm` and `hash` (numbers of OpenPGP), `created`, `key_id` (long) and `fingerprint`, as
    /// the signature itself names them. `key` is a label, the last eight digits of an id, a long id or a fingerprint. Of kinds
    /// that are not known, and of headers that were not looked at yet, most is nothing. Not in Koji.
    #[access(anonymous)]
    #[example("[7]")]
    read signatures.list(rpm: Value = None, key: Option<String> = None, queryOpts: Value = None) -> Value;

    /// Looks at signature headers of which long ids and fingerprints are not known yet, because another hub has imported
    /// them: up to `limit` after the RPM and label `after`. Returns how many were `read`, the labels and RPMs of those that
    /// are `missing` or no signature headers, and `after` for the next call; that is nothing at the end. Not in Koji.
    #[access(admin)]
    write signatures.index(after: Value = None, limit: i64 = 500) -> Value;

    /// Verifies the stored signatures of an RPM with the keys that are known, all or those of a `key` (as in
    /// `signatures.list`): each with its `sigkey`, `slot`, `key_id`, `fingerprint`, the `key` and its `name`, and the `state`:
    /// `good`, `bad`, `refused` (of a known key, but weak or made when that was not valid), `nokey`, `unknown` (a kind that
    /// cannot be verified) or `missing` (the header is not there), with the `reason`. Not in Koji.
    #[access(login)]
    read signatures.verify(rpm: Value, key: Option<String> = None) -> Vec<Value>;

    /// Adds a public key, armored or in base64, or puts it in the place of an older state of it, and returns what `keys.list`
    /// tells of it. With the option `VerifySignatures` only what such keys have signed is accepted. Not in Koji.
    #[access(admin)]
    write keys.add(data: Value) -> Value;

    /// Lists the public keys, all or those that eight or sixteen digits of an id or a fingerprint name: `fingerprint`, `name`,
    /// `added`, `added_by`, and the keys of it that may sign as `parts` (`fingerprint`, `key_id`, `algorithm`); with
    /// `data` the key itself in armor. Not in Koji.
    #[access(anonymous)]
    #[example("[]")]
    read keys.list(key: Option<String> = None, data: bool = false) -> Vec<Value>;

    /// Removes the public key with this fingerprint; what it has signed stays. Not in Koji.
    #[access(admin)]
    write keys.remove(fingerprint: String) -> Value;
}
