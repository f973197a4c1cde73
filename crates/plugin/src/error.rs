//! Why a plugin could not be loaded, or failed.

use std::path::PathBuf;
use std::time::Duration;

use toji_value::Fault;

/// What goes wrong with plugins.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No folder of the plugin path has it.
    #[error("plugin {name}: not found in {path}")]
    NotFound {
        /// Name of the plugin.
        name: String,
        /// The folders that were searched.
        path: String,
    },
    /// A Python module of Koji's, which only Koji's own hub can load.
    #[error("plugin {name}: {file} is a Python module for Koji's hub; it cannot be loaded here")]
    Python {
        /// Name of the plugin.
        name: String,
        /// The module.
        file: PathBuf,
    },
    /// A file that cannot be read or a program that cannot be started.
    #[error("plugin {name}: {source}")]
    Io {
        /// Name of the plugin.
        name: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// What the plugin says of itself makes no sense.
    #[error("plugin {name}: {text}")]
    Manifest {
        /// Name of the plugin.
        name: String,
        /// What is wrong.
        text: String,
    },
    /// A settings file that does not follow the format.
    #[error("line {0}: neither [section] nor name = value")]
    Settings(usize),
    /// It took too long.
    #[error("took longer than {0:?}")]
    TooSlow(Duration),
    /// It used too much: operations, memory, or text.
    #[error("{0}")]
    Limit(String),
    /// It failed with words of its own, or of its interpreter.
    #[error("{0}")]
    Failed(String),
    /// It failed with a fault, its own or that of a call it made.
    #[error("{}", .0.message)]
    Fault(Fault),
    /// A program broke the protocol or ended.
    #[error("{0}")]
    Protocol(String),
}

impl Error {
    /// The fault for the caller of an added call.
    pub fn into_fault(self) -> Fault {
        match self {
            Error::Fault(fault) => fault,
            other => Fault { code: toji_value::code::PLUGIN, message: other.to_string() },
        }
    }
}
