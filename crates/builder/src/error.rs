//! Why the daemon cannot go on.

use std::path::PathBuf;

/// The daemon could not start or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The hub refused a call that the daemon cannot do without.
    #[error("use the hub")]
    Hub(#[from] toji_client::Error),
    /// The hub's answer is not one for a builder.
    #[error("use the hub: {0} answered {1}")]
    Answer(&'static str, String),
    /// An option of the configuration.
    #[error("use the configuration: {name} {what}")]
    Option {
        /// Which one.
        name: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Commands cannot be isolated here.
    #[error("isolate builds on this machine")]
    Sandbox(#[from] toji_sandbox::Error),
    /// A build cannot be done again.
    #[error("do the build again: {0}")]
    Again(String),
    /// A plugin that cannot be loaded.
    #[error("use the plugins")]
    Plugin(#[from] toji_plugin::Error),
    /// The work directory or a file of the configuration.
    #[error("use {path}")]
    Work {
        /// Where it is.
        path: PathBuf,
        /// Why it cannot be used.
        #[source]
        source: std::io::Error,
    },
}
