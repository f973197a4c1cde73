//! The answers that Koji's own policies give, as types.

use crate::outcome::Outcome;

/// Whether an access policy allows something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is allowed.
    pub allowed: bool,
    /// The text behind `allow` or `deny`, or why there is none.
    pub reason: String,
    /// The policy answered neither `allow` nor `deny`, which is worth a log line.
    pub invalid: bool,
}

impl Verdict {
    /// Reads an outcome as `allow [reason]` or `deny [reason]`; `default` decides when no rule matched.
    pub fn from_outcome(outcome: &Outcome, default: &str) -> Verdict {
        let (action, reason) = match outcome.action() {
            None => (default.to_owned(), "not covered by policy"),
            Some(text) => {
                let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
                (word.to_lowercase(), rest.trim_start())
            }
        };
        let invalid = !matches!(action.as_str(), "allow" | "deny");
        Verdict {
            allowed: action == "allow",
            reason: if invalid { "error in policy".to_owned() } else { reason.to_owned() },
            invalid,
        }
    }
}

/// The answer of the `channel` policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelAction {
    /// `use NAME`.
    Use(String),
    /// `req`: the channel that was asked for.
    Requested,
    /// `parent`: the channel of the parent task.
    Parent,
}

impl ChannelAction {
    /// Reads an action's text; `None` when it is not valid.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        match words.next()? {
            "use" => Some(Self::Use(words.next()?.to_owned())),
            "req" => Some(Self::Requested),
            "parent" => Some(Self::Parent),
            _ => None,
        }
    }
}

/// The answer of the `priority` policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PriorityAction {
    /// `stay`.
    Stay,
    /// `set N`.
    Set(i64),
    /// `adjust +N` or `adjust -N`.
    Adjust(i64),
}

impl PriorityAction {
    /// Reads an action's text; `None` when it is not valid.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        match words.next()? {
            "stay" => Some(Self::Stay),
            "set" => words.next()?.parse().ok().map(Self::Set),
            "adjust" => words.next()?.parse().ok().map(Self::Adjust),
            _ => None,
        }
    }

    /// The priority that follows from `priority`.
    pub fn apply(self, priority: i64) -> i64 {
        match self {
            Self::Stay => priority,
            Self::Set(n) => n,
            Self::Adjust(n) => priority.saturating_add(n),
        }
    }
}
