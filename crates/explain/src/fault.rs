//! Failures that the fault itself explains: limits that ended a command, and what no log tells.

use crate::kind::Kind;

/// What a part of a fault's text means.
struct Meaning {
    part: &'static str,
    kind: Kind,
    /// What it means; the fault itself if empty.
    says: &'static str,
    advice: &'static str,
    /// Whether a limit ended the command, so that no line of a log is the reason.
    limit: bool,
}

const fn limit(
    part: &'static str,
    kind: Kind,
    says: &'static str,
    advice: &'static str,
) -> Meaning {
    Meaning { part, kind, says, advice, limit: true }
}

const fn said(part: &'static str, kind: Kind, advice: &'static str) -> Meaning {
    Meaning { part, kind, says: "", advice, limit: false }
}

static MEANINGS: &[Meaning] = &[
    limit(
        "ran longer than allowed",
        Kind::Time,
        "it ran longer than the builder allows",
        "The last lines show what it was doing. A test that waits for ever is often the reason.",
    ),
    limit(
        "wrote no output for longer than allowed",
        Kind::Silence,
        "it wrote nothing for longer than the builder allows",
        "The last lines show what it was doing when it fell silent: a program that waits for input or for another one.",
    ),
    limit(
        "wrote more output than allowed",
        Kind::LogSize,
        "it wrote a larger log than the builder allows",
        "The last lines show what is repeated; make the build or its tests less talkative.",
    ),
    limit(
        "used more memory than allowed",
        Kind::Memory,
        "it used more memory than the builder allows",
        "Build with fewer processes at a time (%limit_build, or %global _smp_ncpus_max 2), or ask for a builder with more memory.",
    ),
    limit(
        "used more disk space than allowed",
        Kind::Disk,
        "it filled more of the disk than the builder allows",
        "The build wrote more than its share; if it needs so much, ask for a builder with a larger one.",
    ),
    limit(
        "made more files than allowed",
        Kind::Disk,
        "it made more files than the builder allows",
        "If the build needs so many, ask for a builder that allows it.",
    ),
    limit(
        "started more processes than allowed",
        Kind::Processes,
        "it started more processes than the builder allows",
        "Build with fewer processes at a time.",
    ),
    limit(
        "was ended by signal 9",
        Kind::Memory,
        "it was killed, as the kernel does when memory is used up",
        "Build with fewer processes at a time, or ask for a builder with more memory.",
    ),
    said(
        "No matching arches were found",
        Kind::Arch,
        "ExclusiveArch, ExcludeArch and BuildArch of the spec file leave none of the build tag's arches; koji taginfo shows those.",
    ),
    said(
        "not in list for tag",
        Kind::Policy,
        "A release engineer adds it: koji add-pkg --owner USER TAG PACKAGE.",
    ),
    said(
        "is blocked for tag",
        Kind::Policy,
        "The package was retired from this tag: koji unblock-pkg TAG PACKAGE takes it back.",
    ),
    said(
        "is not in the list of allowed SCMs",
        Kind::Scm,
        "Builders fetch sources only from the places that their administrator lists in allowed_scms.",
    ),
    said(
        "Build already exists",
        Kind::Policy,
        "Raise Version or Release in the spec file: a name is used once.",
    ),
    said("unknown build target", Kind::Policy, "koji list-targets shows those that there are."),
    said("policy violation", Kind::Policy, "The hub's policy does not allow this."),
    said("No spec file found", Kind::Scm, "The commit or directory has no spec file."),
    said("SRPM file missing", Kind::Source, "The upload is gone; submit the build again."),
    said(
        "No matching package to install",
        Kind::Dependency,
        "Correct the name in BuildRequires, or build and tag what is missing.",
    ),
    said(
        "is not allowed to be set in spec file",
        Kind::Spec,
        "The build system sets it; remove the line.",
    ),
    said(
        "No arches for tag",
        Kind::Arch,
        "A release engineer sets them: koji edit-tag --arches ARCHES TAG.",
    ),
];

/// What is known from a fault alone.
pub(crate) struct Known {
    pub(crate) kind: Kind,
    pub(crate) says: String,
    pub(crate) advice: String,
    pub(crate) limit: bool,
}

/// What a fault means by itself.
pub(crate) fn known(fault: &str) -> Option<Known> {
    let first = fault.lines().next().unwrap_or_default();
    MEANINGS.iter().find(|meaning| first.contains(meaning.part)).map(|meaning| Known {
        kind: meaning.kind,
        says: meaning.says.to_owned(),
        advice: meaning.advice.to_owned(),
        limit: meaning.limit,
    })
}

/// The logs that a fault says to look at.
pub(crate) fn named_logs(fault: &str) -> Vec<&str> {
    let rest = fault.lines().next().and_then(|line| line.rsplit_once("; see "));
    let words = rest.map_or("", |(_, rest)| rest).split_whitespace();
    words.filter(|word| word.ends_with(".log")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_name_limits_and_logs() {
        let fault = "error building package (arch noarch), rpmbuild ran longer than allowed; see build.log for more information";
        assert!(known(fault).is_some_and(|known| known.limit && known.kind == Kind::Time));
        assert_eq!(named_logs(fault), ["build.log"]);
        let mock = "mock exited with status 1; see build.log or root.log for more information";
        assert_eq!(named_logs(mock), ["build.log", "root.log"]);
        assert!(named_logs("x; see the manual").is_empty());
        assert!(known("something else").is_none());
    }
}
