//! Builder hosts and the channels that they take tasks from.

use toji_api_macros::rpcs;
use toji_value::Value;

rpcs! {
    area host;

    /// Lists channels, all or those of a host.
    #[access(anonymous)]
    #[python("list_channels")]
    #[example(r#"[]"#)]
    read listChannels(hostID: Value = None, event: Value = None, enabled: Value = None) -> Value;

    /// Returns a channel, or nil.
    #[access(anonymous)]
    #[python("get_channel")]
    #[example(r#"["default"]"#)]
    read getChannel(channelInfo: Value, strict: bool = false) -> Value;

    /// Makes a channel and returns its id.
    #[access(admin)]
    #[python("add_channel")]
    write addChannel(channel_name: Value, description: Value = None) -> Value;

    /// Changes name, description and comment of a channel; tells whether anything changed.
    #[access(admin)]
    #[python("edit_channel")]
    write editChannel(channelInfo: Value, **kw: toji_value::Map) -> Value;

    /// Renames a channel.
    #[access(admin)]
    #[python("rename_channel")]
    write renameChannel(old: Value, new: Value) -> Value;

    /// Lets hosts take tasks of a channel.
    #[access(permission, "host")]
    write enableChannel(channelname: Value, comment: Value = None) -> Value;

    /// Keeps hosts from taking tasks of a channel.
    #[access(permission, "host")]
    write disableChannel(channelname: Value, comment: Value = None) -> Value;

    /// Makes a host with its user, listening to the channel `default`, and returns its id.
    #[access(permission, "host")]
    write addHost(
        hostname: Value,
        arches: Value,
        krb_principal: Value = None,
        force: bool = false,
    ) -> Value;

    /// Changes arches, capacity, description and comment of a host; tells whether anything changed.
    #[access(permission, "host")]
    #[python("edit_host")]
    write editHost(hostInfo: Value, **kw: toji_value::Map) -> Value;

    /// Returns a host, now or at an event, or nil.
    #[access(anonymous)]
    #[python("get_host")]
    read getHost(hostInfo: Value, strict: bool = false, event: Value = None) -> Value;

    /// Lists hosts.
    #[access(anonymous)]
    #[example(r#"[]"#)]
    read listHosts(
        arches: Value = None,
        channelID: Value = None,
        ready: Value = None,
        enabled: Value = None,
        userID: Value = None,
        queryOpts: Value = None,
    ) -> Value;

    /// Lets a host take tasks.
    #[access(permission, "host")]
    write enableHost(hostname: Value) -> Value;

    /// Keeps a host from taking tasks.
    #[access(permission, "host")]
    write disableHost(hostname: Value) -> Value;

    /// Lets a host take the tasks of a channel.
    #[access(permission, "host")]
    #[python("add_host_to_channel")]
    write addHostToChannel(
        hostname: Value,
        channel_name: Value,
        create: bool = false,
        force: bool = false,
    ) -> Value;

    /// Keeps a host from taking the tasks of a channel.
    #[access(permission, "host")]
    #[python("remove_host_from_channel")]
    write removeHostFromChannel(hostname: Value, channel_name: Value) -> Value;

    /// Returns when a host's session was last used, or nil.
    #[access(anonymous)]
    read getLastHostUpdate(hostID: Value, ts: bool = false) -> Value;

    /// Returns the canonical arches of all hosts.
    #[access(anonymous)]
    #[python("get_all_arches")]
    #[example(r#"[]"#)]
    read getAllArches() -> Value;

    /// Makes a task that restarts the hosts, and returns its id.
    #[access(permission, "host")]
    write restartHosts(priority: Value = 5, options: Value = None) -> Value;
}
