//! Dependencies: what a package provides, requires and so on.

use crate::{Header, tag};

/// The bits of a dependency's flags that this crate names.
pub mod sense {
    /// Lower than.
    pub const LESS: u32 = 1 << 1;
    /// Greater than.
    pub const GREATER: u32 = 1 << 2;
    /// Equal to.
    pub const EQUAL: u32 = 1 << 3;
    /// Needed before installation (legacy).
    pub const PREREQ: u32 = 1 << 6;
    /// Needed by the `%pre` script.
    pub const SCRIPT_PRE: u32 = 1 << 9;
    /// Needed by the `%post` script.
    pub const SCRIPT_POST: u32 = 1 << 10;
    /// A weak requirement of an old distribution's RPM.
    pub const MISSINGOK: u32 = 1 << 19;
    /// A feature of RPM itself.
    pub const RPMLIB: u32 = 1 << 24;
    /// Strong form of a weak dependency of an old distribution's RPM.
    pub const STRONG: u32 = 1 << 27;

    /// The comparison as repository metadata writes it: `EQ`, `LT`, `LE`, `GT`, `GE`.
    pub fn word(flags: u32) -> Option<&'static str> {
        Some(match flags & 0xf {
            LESS => "LT",
            GREATER => "GT",
            EQUAL => "EQ",
            0xa => "LE",
            0xc => "GE",
            _ => return None,
        })
    }

    /// The comparison as spec files write it: `=`, `<` and so on; empty without a version.
    pub fn operator(flags: u32) -> &'static str {
        match flags & 0xe {
            LESS => "<",
            GREATER => ">",
            EQUAL => "=",
            0xa => "<=",
            0xc => ">=",
            _ => "",
        }
    }
}

/// The kinds of dependencies a header holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DepKind {
    /// Offers.
    Provides,
    /// Needs.
    Requires,
    /// Cannot live with.
    Conflicts,
    /// Replaces.
    Obsoletes,
    /// Weak need, forwards.
    Recommends,
    /// Weak hint, forwards.
    Suggests,
    /// Weak need, backwards.
    Supplements,
    /// Weak hint, backwards.
    Enhances,
    /// Weak forward dependencies of an old distribution's RPM.
    OldSuggests,
    /// Weak backward dependencies of an old distribution's RPM.
    OldEnhances,
}

impl DepKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::Provides,
        Self::Requires,
        Self::Conflicts,
        Self::Obsoletes,
        Self::Recommends,
        Self::Suggests,
        Self::Supplements,
        Self::Enhances,
        Self::OldSuggests,
        Self::OldEnhances,
    ];

    /// The tags of names, flags and versions.
    pub(crate) fn tags(self) -> [u32; 3] {
        use tag::*;
        match self {
            Self::Provides => [PROVIDENAME, PROVIDEFLAGS, PROVIDEVERSION],
            Self::Requires => [REQUIRENAME, REQUIREFLAGS, REQUIREVERSION],
            Self::Conflicts => [CONFLICTNAME, CONFLICTFLAGS, CONFLICTVERSION],
            Self::Obsoletes => [OBSOLETENAME, OBSOLETEFLAGS, OBSOLETEVERSION],
            Self::Recommends => [RECOMMENDNAME, RECOMMENDFLAGS, RECOMMENDVERSION],
            Self::Suggests => [SUGGESTNAME, SUGGESTFLAGS, SUGGESTVERSION],
            Self::Supplements => [SUPPLEMENTNAME, SUPPLEMENTFLAGS, SUPPLEMENTVERSION],
            Self::Enhances => [ENHANCENAME, ENHANCEFLAGS, ENHANCEVERSION],
            Self::OldSuggests => [OLDSUGGESTSNAME, OLDSUGGESTSFLAGS, OLDSUGGESTSVERSION],
            Self::OldEnhances => [OLDENHANCESNAME, OLDENHANCESFLAGS, OLDENHANCESVERSION],
        }
    }
}

/// One dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dep<'a> {
    /// A package, capability, path or rich expression.
    pub name: &'a [u8],
    /// See [`sense`].
    pub flags: u32,
    /// `[epoch:]version[-release]`; empty without one.
    pub version: &'a [u8],
}

impl Dep<'_> {
    /// True if a script run at installation needs it.
    pub fn is_pre(&self) -> bool {
        self.flags & (sense::PREREQ | sense::SCRIPT_PRE | sense::SCRIPT_POST) != 0
    }

    /// The dependency as RPM prints it, such as `glibc >= 2.34`.
    pub fn text(&self) -> String {
        let name = String::from_utf8_lossy(self.name);
        match sense::operator(self.flags) {
            "" => name.into_owned(),
            operator => {
                let version = String::from_utf8_lossy(self.version);
                format!("{name} {operator} {version}")
            }
        }
    }
}

impl Header {
    /// The dependencies of a kind, in the order of the header; missing flags are 0.
    pub fn deps(&self, kind: DepKind) -> impl Iterator<Item = Dep<'_>> {
        let [names, flags, versions] = kind.tags();
        let flags = self.ints(flags).map(|f| f as u32);
        let versions = self.strs(versions);
        self.strs(names)
            .zip(flags.chain(std::iter::repeat(0)))
            .zip(versions.chain(std::iter::repeat(&b""[..])))
            .map(|((name, flags), version)| Dep { name, flags, version })
    }
}
