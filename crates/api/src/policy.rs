//! The hub policy.

use toji_api_macros::rpcs;
use toji_value::Value;

rpcs! {
    area policy;

    /// Evaluates a policy over given data and returns the action.
    #[access(anonymous)]
    #[python("eval_policy")]
    read evalPolicy(name: Value, data: Value) -> Value;

    /// Returns whether a policy allows, and the reason.
    #[access(host)]
    #[python("HostExports.checkPolicy")]
    read host.checkPolicy(
        name: Value,
        data: Value,
        default: Value = "deny",
        strict: bool = false,
    ) -> Value;

    /// Fails unless a policy allows.
    #[access(host)]
    #[python("HostExports.assertPolicy")]
    read host.assertPolicy(name: Value, data: Value, default: Value = "deny") -> Value;

    /// Evaluates a policy over given data and returns the action.
    #[access(host)]
    #[python("HostExports.evalPolicy")]
    read host.evalPolicy(name: Value, data: Value) -> Value;
}
