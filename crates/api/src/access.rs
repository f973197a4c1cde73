//! Who may use a call.

/// The access rule of a call; the dispatcher checks it before the handler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody, logged in or not.
    Anonymous,
    /// Every logged-in user.
    Login,
    /// Users with this permission; administrators have all.
    Permission(&'static str),
    /// Logged-in users who own what the call is about, by the rule in these words; the handler looks.
    Owner(&'static str),
    /// Builders.
    Host,
    /// Users with the permission `admin`.
    Admin,
    /// The handler decides by the rule in these words.
    Custom(&'static str),
}
