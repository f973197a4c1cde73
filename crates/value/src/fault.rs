//! The fault: how a call fails, with Koji's codes.

/// Koji's fault codes (`koji/__init__.py`, the exception classes).
pub mod code {
    /// An error that the hub did not expect.
    pub const UNEXPECTED: i32 = 1;
    /// GenericError.
    pub const GENERIC: i32 = 1000;
    /// LockError.
    pub const LOCK: i32 = 1001;
    /// AuthError.
    pub const AUTH: i32 = 1002;
    /// TagError.
    pub const TAG: i32 = 1003;
    /// ActionNotAllowed.
    pub const ACTION_NOT_ALLOWED: i32 = 1004;
    /// BuildError.
    pub const BUILD: i32 = 1005;
    /// AuthLockError.
    pub const AUTH_LOCK: i32 = 1006;
    /// AuthExpired.
    pub const AUTH_EXPIRED: i32 = 1007;
    /// SequenceError.
    pub const SEQUENCE: i32 = 1008;
    /// RetryError.
    pub const RETRY: i32 = 1009;
    /// PreBuildError.
    pub const PRE_BUILD: i32 = 1010;
    /// PostBuildError.
    pub const POST_BUILD: i32 = 1011;
    /// BuildrootError.
    pub const BUILDROOT: i32 = 1012;
    /// FunctionDeprecated.
    pub const DEPRECATED: i32 = 1013;
    /// ServerOffline.
    pub const OFFLINE: i32 = 1014;
    /// PluginError.
    pub const PLUGIN: i32 = 1016;
    /// CallbackError.
    pub const CALLBACK: i32 = 1017;
    /// ParameterError.
    pub const PARAMETER: i32 = 1019;
    /// ImportError.
    pub const IMPORT: i32 = 1020;
    /// ConfigurationError.
    pub const CONFIGURATION: i32 = 1021;
    /// GSSAPIAuthError.
    pub const GSSAPI: i32 = 1023;
    /// NameValidationError.
    pub const NAME_VALIDATION: i32 = 1024;
}

/// A failed call: Koji's fault code and a text for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// One of [`code`].
    pub code: i32,
    /// What the caller reads.
    pub message: String,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident = $code:ident;)*) => {
        impl Fault {
            $( $(#[$doc])* pub fn $name(message: impl Into<String>) -> Self {
                Fault { code: code::$code, message: message.into() }
            } )*
        }
    };
}

constructors! {
    /// An error that the hub did not expect; the text must not tell internals.
    unexpected = UNEXPECTED;
    /// Anything that has no class of its own.
    generic = GENERIC;
    /// A lock that is held by somebody else.
    lock = LOCK;
    /// Wrong credentials or no session.
    auth = AUTH;
    /// A tag or a tagging that is not right.
    tag = TAG;
    /// The caller may not do this.
    not_allowed = ACTION_NOT_ALLOWED;
    /// A build that is not right.
    build = BUILD;
    /// The user is locked by an exclusive session.
    auth_lock = AUTH_LOCK;
    /// The session has expired.
    auth_expired = AUTH_EXPIRED;
    /// A call number below one that was seen.
    sequence = SEQUENCE;
    /// A call that was done already and cannot be answered again.
    retry = RETRY;
    /// A build that failed before it began.
    pre_build = PRE_BUILD;
    /// A buildroot that is not right.
    buildroot = BUILDROOT;
    /// The hub is in maintenance.
    offline = OFFLINE;
    /// A parameter is missing, unknown or of a wrong type.
    parameter = PARAMETER;
    /// An import that is not right.
    import = IMPORT;
    /// A configuration that is not right.
    configuration = CONFIGURATION;
    /// A name that breaks the naming rules.
    name_validation = NAME_VALIDATION;
}

impl Fault {
    /// The name of the class that Koji's clients raise for the code.
    pub fn class(&self) -> &'static str {
        match self.code {
            code::LOCK => "LockError",
            code::AUTH => "AuthError",
            code::TAG => "TagError",
            code::ACTION_NOT_ALLOWED => "ActionNotAllowed",
            code::BUILD => "BuildError",
            code::AUTH_LOCK => "AuthLockError",
            code::AUTH_EXPIRED => "AuthExpired",
            code::SEQUENCE => "SequenceError",
            code::RETRY => "RetryError",
            code::PRE_BUILD => "PreBuildError",
            code::POST_BUILD => "PostBuildError",
            code::BUILDROOT => "BuildrootError",
            code::DEPRECATED => "FunctionDeprecated",
            code::OFFLINE => "ServerOffline",
            code::PLUGIN => "PluginError",
            code::CALLBACK => "CallbackError",
            code::PARAMETER => "ParameterError",
            code::IMPORT => "ImportError",
            code::CONFIGURATION => "ConfigurationError",
            code::GSSAPI => "GSSAPIAuthError",
            code::NAME_VALIDATION => "NameValidationError",
            code::GENERIC => "GenericError",
            _ => "Fault",
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (fault {})", self.message, self.code)
    }
}

impl std::error::Error for Fault {}
