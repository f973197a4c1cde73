//! The kinds of failures.

use serde::{Deserialize, Serialize};

/// What kind of failure it is; the names are fixed, other programs read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The arch lists leave nothing to build.
    Arch,
    /// A checksum or signature of a source is not the expected one.
    Checksum,
    /// A program that a script calls is not in the buildroot.
    Command,
    /// The compiler refused the source.
    Compiler,
    /// `configure`, CMake or Meson gave up.
    Configure,
    /// A program crashed.
    Crash,
    /// A package that is needed is nowhere.
    Dependency,
    /// There was no space left.
    Disk,
    /// The file list names what was not installed.
    Files,
    /// The linker found no symbol or library.
    Linker,
    /// The log grew too large.
    LogSize,
    /// A macro of the spec file.
    Macro,
    /// Memory was used up.
    Memory,
    /// The build wanted the network, which is not there.
    Network,
    /// A module of a language is not in the buildroot.
    Module,
    /// A patch does not apply.
    Patch,
    /// The task may not do that, or not with this package.
    Policy,
    /// Too many processes.
    Processes,
    /// A check of the finished packages.
    Quality,
    /// A command of a script failed.
    Script,
    /// Nothing was written for too long.
    Silence,
    /// A source or patch is not in the source package.
    Source,
    /// The source repository.
    Scm,
    /// The spec file cannot be read.
    Spec,
    /// Tests failed.
    Tests,
    /// It took too long.
    Time,
    /// Files were installed that no list names.
    Unpackaged,
    /// The needed packages exclude each other.
    Unsolvable,
    /// Anything else.
    Other,
}
