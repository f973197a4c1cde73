//! Logins and sessions.

use toji_api_macros::rpcs;
use toji_value::{Map, Value};

rpcs! {
    area session;

    /// Logs in with user name and password and returns the session's id and key.
    #[access(anonymous)]
    write login(*args: Vec<Value>, **opts: Map) -> Value;

    /// Logs in with the identity that a trusted transport has verified.
    #[access(anonymous)]
    write sslLogin(*args: Vec<Value>, **opts: Map) -> Value;

    /// Ends the session, or another session of the same user.
    #[access(custom, "logged in")]
    #[python("logout")]
    write logout(session_id: Option<i64> = None) -> Value;

    /// Ends a subsession.
    #[access(custom, "logged in")]
    #[python("logoutChild")]
    write logoutChild(session_id: i64) -> Value;

    /// Makes a child of the session and returns its id and key.
    #[access(custom, "logged in")]
    #[python("subsession")]
    write subsession() -> Value;

    /// Makes this the only session of the user that may work.
    #[access(custom, "logged in; refused when another exclusive session exists, unless forced")]
    write exclusiveSession(*args: Vec<Value>, **opts: Map) -> Value;

    /// Gives up the exclusive use.
    #[access(custom, "logged in")]
    #[python("sharedSession")]
    write sharedSession() -> Value;

    /// Returns the session as text.
    #[access(anonymous)]
    #[example("[]")]
    read showSession() -> String;

    /// Returns the session as a struct, or all sessions of a user for an administrator.
    #[access(custom, "a user's own sessions; those of others for administrators")]
    #[example("[]")]
    read getSessionInfo(details: bool = false, user_id: Value = None) -> Value;

    /// Returns the logged-in user, or nil.
    #[access(anonymous)]
    #[example("[]")]
    read getLoggedInUser() -> Value;
}
