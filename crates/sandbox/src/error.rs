//! What can go wrong around a sandbox, apart from the command's own failure.

use std::{io, path::PathBuf};

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure to prepare or supervise a sandbox; a command that fails is an [`crate::Outcome`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program which the sandbox is made with is not installed.
    #[error("find the program {program}: install the package that carries it ({package})")]
    Program {
        /// Name of the executable.
        program: &'static str,
        /// Usual package name on Debian and Fedora.
        package: &'static str,
    },
    /// A file operation failed.
    #[error("{what} {path:?}")]
    File {
        /// The operation, as a verb.
        what: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The kernel or a security policy refuses the isolation.
    #[error("set up the sandbox: {reason}{}", hint(.reason))]
    Setup {
        /// What the tools said.
        reason: String,
    },
    /// Packages could not be installed into the layer.
    #[error("install the packages of the buildroot: {reason}")]
    Layer {
        /// What rpm said.
        reason: String,
    },
    /// A path given to the builder cannot be used.
    #[error("use {path:?} in a sandbox: {reason}")]
    Path {
        /// The path in question.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// The process could not be started or watched.
    #[error("run {program}")]
    Process {
        /// The first word of the command line.
        program: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The receiver of the output failed, for example because the disk is full.
    #[error("write the command's output")]
    Sink(#[source] io::Error),
    /// Processes of the sandbox are still there although it was killed.
    #[error("end all processes of the sandbox within {0} seconds")]
    Survivors(u64),
}

impl Error {
    pub(crate) fn file(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }

    pub(crate) fn wait(source: io::Error) -> Self {
        Self::Process { program: "a command and wait for its end".into(), source }
    }
}

/// Advice for the refusals that are met in practice.
fn hint(reason: &str) -> &'static str {
    let has = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    if has(&["unshare", "user namespace", "uid map", "clone"]) {
        "; unprivileged user namespaces seem to be disabled here \
         (see the sysctls user.max_user_namespaces, kernel.unprivileged_userns_clone, \
         kernel.apparmor_restrict_unprivileged_userns, or the container's seccomp profile)"
    } else if has(&["overlay"]) {
        "; overlayfs in a user namespace needs Linux 5.11 or later and the overlay module"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_namespaces_come_with_advice() {
        let error =
            Error::Setup { reason: "unshare: unshare failed: Operation not permitted".into() };
        assert!(error.to_string().contains("user.max_user_namespaces"));
        let error = Error::Setup { reason: "cannot mount overlay".into() };
        assert!(error.to_string().contains("5.11"));
    }
}
