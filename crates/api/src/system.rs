//! Calls about the hub itself.

use toji_api_macros::rpcs;
use toji_value::Value;

rpcs! {
    area system;

    /// Returns every call with its parameters, defaults and documentation.
    #[access(anonymous)]
    #[python("HandlerRegistry.list_api")]
    #[example("[]")]
    read _listapi() -> Value;

    /// Returns the names of all calls.
    #[access(anonymous)]
    #[python("HandlerRegistry.system_listMethods")]
    #[example("[]")]
    read system.listMethods() -> Value;

    /// Returns a call's parameters and documentation as text.
    #[access(anonymous)]
    #[python("HandlerRegistry.system_methodHelp")]
    #[example(r#"["getBuild"]"#)]
    read system.methodHelp(method: String) -> String;

    /// Says that signatures in the sense of XML-RPC introspection are not offered.
    #[access(anonymous)]
    #[python("HandlerRegistry.system_methodSignature")]
    #[example(r#"["getBuild"]"#)]
    read system.methodSignature(method: Value) -> String;

    /// Returns a greeting; a client checks its connection with it.
    #[access(anonymous)]
    #[example(r#"["a", 1]"#)]
    read hello(*args: Vec<Value>) -> String;

    /// Returns its arguments.
    #[access(anonymous)]
    #[example(r#"["a", 1]"#)]
    read echo(*args: Vec<Value>) -> Value;

    /// Fails with a generic error, for the testing of clients.
    #[access(anonymous)]
    read error() -> Value;

    /// Fails with a fault of the code 2, for the testing of clients.
    #[access(anonymous)]
    read fault() -> Value;

    /// Returns the version of the API, 1.
    #[access(anonymous)]
    #[example("[]")]
    read getAPIVersion() -> i64;

    /// Returns the version of Koji whose behaviour the hub follows.
    #[access(anonymous)]
    #[example("[]")]
    read getKojiVersion() -> String;

    /// Returns the options of the hub as text, or as a struct.
    #[access(admin)]
    read showOpts(as_string: bool = true) -> Value;

    /// Returns the newest event before a moment (seconds since 1970), or the newest of all.
    #[access(anonymous)]
    #[example("[]")]
    read getLastEvent(before: Value = None, strict: toji_value::Truth = true) -> Value;

    /// Returns the moment of an event.
    #[access(anonymous)]
    #[example("[1]")]
    read getEvent(id: i64, strict: toji_value::Truth = true) -> Value;

    /// Runs a listing call and returns the number of its results.
    #[access(anonymous)]
    #[example(r#"["listTags"]"#)]
    read count(methodName: String, *args: Vec<Value>, **kw: toji_value::Map) -> i64;

    /// Runs a listing call and filters its results by `filterOpts` (offset, limit, order).
    #[access(anonymous)]
    read filterResults(methodName: String, *args: Vec<Value>, **kw: toji_value::Map) -> Value;

    /// Returns the number of results of a listing call and the filtered results.
    #[access(anonymous)]
    read countAndFilterResults(methodName: String, *args: Vec<Value>, **kw: toji_value::Map) -> Value;
}
