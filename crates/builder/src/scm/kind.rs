//! The kinds of source repositories, and the schemes of their URLs.

/// A kind of source repository, as policies know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Cvs,
    CvsSsh,
    Git,
    GitSsh,
    Hg,
    HgSsh,
    Svn,
    SvnSsh,
}

/// Koji's schemes, those of Mercurial, and those of repositories on the builder itself, in the order of their names.
const SCHEMES: [(&str, Kind); 17] = [
    ("cvs", Kind::Cvs),
    ("cvs+ssh", Kind::CvsSsh),
    ("git", Kind::Git),
    ("git+file", Kind::Git),
    ("git+http", Kind::Git),
    ("git+https", Kind::Git),
    ("git+rsync", Kind::Git),
    ("git+ssh", Kind::GitSsh),
    ("hg+file", Kind::Hg),
    ("hg+http", Kind::Hg),
    ("hg+https", Kind::Hg),
    ("hg+ssh", Kind::HgSsh),
    ("svn", Kind::Svn),
    ("svn+file", Kind::Svn),
    ("svn+http", Kind::Svn),
    ("svn+https", Kind::Svn),
    ("svn+ssh", Kind::SvnSsh),
];

/// All schemes with what follows them.
pub(super) fn schemes() -> Vec<String> {
    SCHEMES.iter().map(|(scheme, _)| format!("{scheme}://")).collect()
}

impl Kind {
    /// What a scheme stands for.
    pub(super) fn of(scheme: &str) -> Option<Kind> {
        SCHEMES.iter().find(|(known, _)| *known == scheme).map(|(_, kind)| *kind)
    }

    /// The name that policies see as `scm_type`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Cvs => "CVS",
            Kind::CvsSsh => "CVS+SSH",
            Kind::Git => "GIT",
            Kind::GitSsh => "GIT+SSH",
            Kind::Hg => "HG",
            Kind::HgSsh => "HG+SSH",
            Kind::Svn => "SVN",
            Kind::SvnSsh => "SVN+SSH",
        }
    }

    /// The program that checks out.
    pub(super) fn program(self) -> &'static str {
        match self {
            Kind::Cvs | Kind::CvsSsh => "cvs",
            Kind::Git | Kind::GitSsh => "git",
            Kind::Hg | Kind::HgSsh => "hg",
            Kind::Svn | Kind::SvnSsh => "svn",
        }
    }

    /// Whether the URL must name a user.
    pub(super) fn needs_user(self) -> bool {
        matches!(self, Kind::CvsSsh | Kind::GitSsh | Kind::HgSsh | Kind::SvnSsh)
    }
}
