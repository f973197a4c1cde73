//! How builders come to their credentials, upload, and give tasks back that they could not do; not in Koji.

use toji_api_macros::rpcs;
use toji_value::Value;

rpcs! {
    area builder;

    /// Makes a token with which one new builder enrols within `expires` seconds, for these arches and channels.
    ///
    /// With a name the token is good for that host alone, also for one that exists: it begins anew then. Returns the
    /// `token`, which is shown only here, its `id` and `expire_ts`. Not in Koji.
    #[access(permission, "host")]
    #[python("Builders.createToken")]
    write createBuilderToken(
        arches: Value, channels: Value = None, expires: i64 = 3600, capacity: Option<f64> = None,
        name: Option<String> = None,
    ) -> Value;

    /// Lists the tokens for new builders, used ones included, the newest first. Not in Koji.
    #[access(permission, "host")]
    #[python("Builders.listTokens")]
    #[example("[]")]
    read listBuilderTokens() -> Value;

    /// Takes back a token that nobody has used; tells whether there was one. Not in Koji.
    #[access(permission, "host")]
    #[python("Builders.dropToken")]
    write dropBuilderToken(id: i64) -> bool;

    /// Makes a host with a token and returns its `name`, `host_id` and first `credential`, with `expire_ts` and
    /// `lifetime` in seconds. The credential is the host's password. Not in Koji.
    #[access(custom, "whoever shows a token that is still good")]
    #[python("HostExports.enrol")]
    write host.enrol(token: String, name: Value) -> Value;

    /// Gives the calling host a new credential; a day after its first use the older ones end. Not in Koji.
    #[access(host)]
    #[python("HostExports.renewCredential")]
    write host.renewCredential() -> Value;

    /// Ends the sessions and credentials of a host at once, blocks its logins, and frees its tasks, whose numbers are
    /// returned; with `remove` it is disabled and leaves all channels. Not in Koji.
    #[access(permission, "host")]
    #[python("Builders.revoke")]
    write revokeBuilder(hostInfo: Value, remove: bool = false) -> Vec<i64>;

    /// Gives a task back because something of the builder failed and not what it builds; tells whether it will be
    /// tried again. After too many times the task fails. Not in Koji.
    #[access(host)]
    #[python("HostExports.returnTask")]
    write host.returnTask(task_id: i64, reason: String) -> bool;

    /// Returns a `token` with which the files of a task are uploaded below its `path`, at most `max_bytes` in all,
    /// until `expire_ts`. Not in Koji.
    #[access(host)]
    #[python("HostExports.uploadToken")]
    write host.uploadToken(task_id: i64) -> Value;
}
