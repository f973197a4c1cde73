//! What somebody wants installed.

/// One wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// What `dnf install` takes: a name, name and version or arch, pattern, capability or path.
    Install {
        /// As written.
        spec: String,
        /// Left out if it cannot be had.
        optional: bool,
    },
    /// A requirement as in a spec file's BuildRequires: a capability with or without a version, a path, a rich dependency.
    Require(String),
    /// A package of a group; one that is nowhere is left out, as dnf does.
    Group {
        /// Name of the package.
        name: String,
        /// Only if this package is installed, too.
        with: Option<String>,
        /// Left out also if it cannot be installed.
        optional: bool,
    },
}

impl Want {
    /// What `dnf install SPEC` wants.
    pub fn install(spec: impl Into<String>) -> Self {
        Self::Install { spec: spec.into(), optional: false }
    }

    /// A plain package of a group.
    pub fn group(name: impl Into<String>) -> Self {
        Self::Group { name: name.into(), with: None, optional: false }
    }

    /// What was written.
    pub fn text(&self) -> &str {
        match self {
            Self::Install { spec, .. } => spec,
            Self::Require(text) => text,
            Self::Group { name, .. } => name,
        }
    }
}

/// A question: what has to be installed in an empty root.
#[derive(Debug, Clone, Default)]
pub struct Job {
    /// All of these.
    pub wants: Vec<Want>,
    /// Also what the packages recommend (dnf's `install_weak_deps`); buildroots do without.
    pub weak: bool,
    /// Only the newest version of what is wanted (dnf's `best`).
    pub best: bool,
    /// Patterns of packages that do not exist for this question (dnf's `excludepkgs`).
    pub exclude: Vec<String>,
    /// Longest time in seconds; [`crate::limits::SECONDS`] without one.
    pub seconds: Option<f32>,
}

impl Job {
    /// A question without weak dependencies and excludes.
    pub fn new(wants: Vec<Want>) -> Self {
        Self { wants, ..Self::default() }
    }

    /// The same question with weak dependencies.
    #[must_use]
    pub fn with_weak(self) -> Self {
        Self { weak: true, ..self }
    }
}
