//! The scriptlets of a package.

use crate::{Header, tag};

/// When a scriptlet runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of spec files")]
pub enum ScriptletKind {
    Pretrans,
    Pre,
    Post,
    Preun,
    Postun,
    Posttrans,
    Preuntrans,
    Postuntrans,
    Verifyscript,
}

/// One scriptlet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scriptlet<'a> {
    /// When it runs.
    pub kind: ScriptletKind,
    /// The interpreter and its arguments; empty for the default shell of old packages.
    pub program: Vec<&'a [u8]>,
    /// Its text; empty if the interpreter itself is all there is.
    pub body: &'a [u8],
}

const KINDS: &[(ScriptletKind, u32, u32)] = &[
    (ScriptletKind::Pretrans, tag::PRETRANS, tag::PRETRANSPROG),
    (ScriptletKind::Pre, tag::PREIN, tag::PREINPROG),
    (ScriptletKind::Post, tag::POSTIN, tag::POSTINPROG),
    (ScriptletKind::Preun, tag::PREUN, tag::PREUNPROG),
    (ScriptletKind::Postun, tag::POSTUN, tag::POSTUNPROG),
    (ScriptletKind::Posttrans, tag::POSTTRANS, tag::POSTTRANSPROG),
    (ScriptletKind::Preuntrans, tag::PREUNTRANS, tag::PREUNTRANSPROG),
    (ScriptletKind::Postuntrans, tag::POSTUNTRANS, tag::POSTUNTRANSPROG),
    (ScriptletKind::Verifyscript, tag::VERIFYSCRIPT, tag::VERIFYSCRIPTPROG),
];

impl Header {
    /// The scriptlets of the package itself, without triggers.
    pub fn scriptlets(&self) -> impl Iterator<Item = Scriptlet<'_>> {
        KINDS.iter().filter(|(_, body, program)| self.has(*body) || self.has(*program)).map(
            |(kind, body, program)| Scriptlet {
                kind: *kind,
                program: self.strs(*program).collect(),
                body: self.str(*body).unwrap_or_default(),
            },
        )
    }

    /// True if the package has triggers on other packages or on files.
    pub fn has_triggers(&self) -> bool {
        [tag::TRIGGERNAME, tag::FILETRIGGERSCRIPTS, tag::TRANSFILETRIGGERSCRIPTS]
            .iter()
            .any(|tag| self.has(*tag))
    }
}
