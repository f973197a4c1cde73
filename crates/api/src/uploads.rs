//! Uploads that go straight to an object store. None of these calls is in Koji.

use toji_api_macros::rpcs;
use toji_value::Value;

rpcs! {
    area uploads;

    /// Asks to bring a file of `size` bytes below the hub's work directory straight to an object store. If that can be, `direct`
    /// is true, and one request with `method`, `url` and `headers` brings a file with this SHA-256 and no other, once, until
    /// `expire_ts`; `uploads.finish` is told the `ticket` then. Otherwise `direct` is false, for this `reason`, and the file is
    /// uploaded as ever. Without `sha256` it is only told whether it can be. Who may write where is the same as for any
    /// upload. Not in Koji.
    #[access(login)]
    write uploads.begin(
        path: String, name: String, size: i64, sha256: Option<String> = None, volume: Option<String> = None,
        overwrite: bool = false
    ) -> Value;

    /// Takes over what has come with a ticket: reads it, compares it with what was announced, and makes it an upload like any
    /// other; doing that again changes nothing. What is something else is removed, and refused. Not in Koji.
    #[access(login)]
    write uploads.finish(
        path: String, name: String, ticket: String, size: i64, sha256: String, overwrite: bool = false
    ) -> Value;
}
