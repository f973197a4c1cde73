//! The kinds of faults, which are the stock client's exceptions.

use toji_value::{Fault, code};

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $code:expr, $name:literal $(< $parent:ident)?;)*) => {
        /// What a fault is: one kind for each exception of the stock client.
        ///
        /// They form a tree, as the exceptions do: see [`FaultKind::is`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum FaultKind {
            $( $(#[$doc])* $kind, )*
            /// A code that the stock client has no exception for, such as 1: an error that the hub did not expect.
            Other(i32),
        }

        impl FaultKind {
            /// The kind of a fault code.
            pub const fn of(code: i32) -> FaultKind {
                $( if code == $code { return FaultKind::$kind; } )*
                FaultKind::Other(code)
            }

            /// The fault code.
            pub const fn code(self) -> i32 {
                match self {
                    $( FaultKind::$kind => $code, )*
                    FaultKind::Other(code) => code,
                }
            }

            /// The name of the stock client's exception; `Fault` for others.
            pub const fn name(self) -> &'static str {
                match self {
                    $( FaultKind::$kind => $name, )*
                    FaultKind::Other(_) => "Fault",
                }
            }

            /// The more general kind, if there is one.
            pub const fn parent(self) -> Option<FaultKind> {
                match self {
                    $( FaultKind::$kind => kinds!(@parent $($parent)?), )*
                    FaultKind::Other(_) => None,
                }
            }

            /// Every kind that has a name.
            pub const ALL: &'static [FaultKind] = &[$( FaultKind::$kind ),*];
        }
    };
    (@parent) => { None };
    (@parent $parent:ident) => { Some(FaultKind::$parent) };
}

kinds! {
    /// Anything that has no kind of its own.
    Generic = code::GENERIC, "GenericError";
    /// A lock that somebody else holds.
    Lock = code::LOCK, "LockError" < Generic;
    /// Wrong credentials, or no session.
    Auth = code::AUTH, "AuthError" < Generic;
    /// A build that cannot be tagged or untagged so.
    Tag = code::TAG, "TagError" < Generic;
    /// The session has no permission for this.
    ActionNotAllowed = code::ACTION_NOT_ALLOWED, "ActionNotAllowed" < Generic;
    /// A build that fails.
    Build = code::BUILD, "BuildError" < Generic;
    /// Somebody else's exclusive session.
    AuthLock = code::AUTH_LOCK, "AuthLockError" < Auth;
    /// The session has ended.
    AuthExpired = code::AUTH_EXPIRED, "AuthExpired" < Auth;
    /// A call number below one that was used.
    Sequence = code::SEQUENCE, "SequenceError" < Auth;
    /// A call that was run before with the same number: it is done, and its answer is lost.
    Retry = code::RETRY, "RetryError" < Auth;
    /// A build that fails before it begins.
    PreBuild = code::PRE_BUILD, "PreBuildError" < Build;
    /// A build that fails after the packages were made.
    PostBuild = code::POST_BUILD, "PostBuildError" < Build;
    /// A buildroot that cannot be made.
    Buildroot = code::BUILDROOT, "BuildrootError" < Build;
    /// A call that is no longer there.
    FunctionDeprecated = code::DEPRECATED, "FunctionDeprecated" < Generic;
    /// The hub is out of service for now.
    ServerOffline = code::OFFLINE, "ServerOffline" < Generic;
    /// A live CD that cannot be made.
    LiveCd = 1015, "LiveCDError" < Generic;
    /// A plugin that fails.
    Plugin = code::PLUGIN, "PluginError" < Generic;
    /// A callback of a plugin that fails.
    Callback = code::CALLBACK, "CallbackError" < Plugin;
    /// An appliance that cannot be made.
    Appliance = 1018, "ApplianceError" < Generic;
    /// Wrong arguments.
    Parameter = code::PARAMETER, "ParameterError" < Generic;
    /// A package or build that cannot be imported.
    Import = code::IMPORT, "ImportError" < Generic;
    /// A wrong configuration.
    Configuration = code::CONFIGURATION, "ConfigurationError" < Generic;
    /// Live media that cannot be made.
    LiveMedia = 1022, "LiveMediaError" < Generic;
    /// A login by Kerberos that failed.
    GssapiAuth = code::GSSAPI, "GSSAPIAuthError" < Auth;
    /// A name that is not allowed.
    NameValidation = code::NAME_VALIDATION, "NameValidationError" < Generic;
}

impl FaultKind {
    /// Whether this is `kind` or one below it.
    ///
    /// ```
    /// use toji_client::FaultKind;
    ///
    /// let kind = FaultKind::of(1007);
    /// assert_eq!(kind.name(), "AuthExpired");
    /// assert!(kind.is(FaultKind::Auth) && kind.is(FaultKind::Generic));
    /// ```
    pub fn is(self, kind: FaultKind) -> bool {
        let mut at = Some(self);
        while let Some(own) = at {
            if own == kind {
                return true;
            }
            at = own.parent();
        }
        false
    }
}

impl From<&Fault> for FaultKind {
    fn from(fault: &Fault) -> FaultKind {
        FaultKind::of(fault.code)
    }
}

#[cfg(test)]
mod tests {
    use super::FaultKind;

    #[test]
    fn kinds_form_a_tree() {
        assert!(FaultKind::of(1007).is(FaultKind::Auth));
        assert!(FaultKind::of(1007).is(FaultKind::Generic));
        assert!(!FaultKind::of(1002).is(FaultKind::AuthExpired));
        assert!(!FaultKind::of(1).is(FaultKind::Generic));
        assert_eq!(FaultKind::of(1).code(), 1);
        assert!(FaultKind::ALL.iter().all(|kind| FaultKind::of(kind.code()) == *kind));
    }
}
