//! What is around a build: packages of the buildroot, disk, memory, network, source repositories; and errors of any sort.

use super::{Rule, rule};
use crate::kind::Kind;

pub(super) static RULES: &[Rule] = &[
    rule(
        Kind::Dependency,
        94,
        r"(?:No matching package to install|No match for argument): '?([^']+?)'?$",
        "no package of the tag provides {1}",
        "Correct the name in BuildRequires, or build and tag what is missing; wait-repo tells when a repository has it.",
    ),
    rule(
        Kind::Dependency,
        93,
        r"nothing provides (.+?) needed by (.+)$",
        "nothing provides {1}, which {2} needs",
        "Build and tag what provides it, or rebuild the package that needs it.",
    ),
    rule(
        Kind::Dependency,
        92,
        r"^error: Failed (?:build )?dependencies:",
        "packages that are needed are not there",
        "Add them to the tag, or correct the names in BuildRequires.",
    )
    .and_indented(),
    rule(
        Kind::Unsolvable,
        91,
        r"conflicting requests|cannot install both (.*)|package (\S+) (?:conflicts with|obsoletes) (.*)|^\s*(?:- )?(\S+) conflicts with (\S+).*|none of the providers can be installed|file (\S+) (?:from install of \S+ )?conflicts (?:with|between).*",
        "packages exclude each other: {0}",
        "One of the BuildRequires, or of what they need, cannot be together with another one.",
    ),
    rule(
        Kind::Disk,
        90,
        r"No space left on device|Disk quota exceeded",
        "there was no space left: {0}",
        "The build wrote more than there is room for; if it needs so much, ask for a builder with a larger disk.",
    ),
    rule(
        Kind::Memory,
        88,
        r"Killed signal terminated program|virtual memory exhausted|[Cc]annot allocate memory|(?:^|: )[Oo]ut of memory\b|std::bad_alloc|fatal error: Killed|^MemoryError|java\.lang\.OutOfMemoryError|memory allocation of \d+ bytes failed|^Killed$",
        "memory was used up: {0}",
        "Build with fewer processes at a time (%limit_build, or %global _smp_ncpus_max 2), or ask for a builder with more memory.",
    ),
    rule(
        Kind::Network,
        82,
        r"Could not resolve (?:host|proxy)|Temporary failure in name resolution|Name or service not known|Network is unreachable|getaddrinfo (?:ENOTFOUND|EAI_AGAIN)|Failed to establish a new connection|dial tcp:|unable to resolve host address|failed to lookup address information|Could not connect to server",
        "the build wanted the network, which builds do not have: {0}",
        "Put what is downloaded into the source package, and switch off downloads and tests that need the network.",
    ),
    rule(
        Kind::Scm,
        86,
        r"^(?:fatal|error): (?:repository|Remote branch|couldn't find remote ref|could not read|pathspec|unable to access|reference is not a tree|ambiguous argument|Could not read from).*|^(?:warning: )?fatal: (.*)|^svn: E\d+: .*|^abort: .*|^cvs \[\S+ aborted\]: .*",
        "the sources could not be fetched: {0}",
        "Look at the address, the branch or commit, and whether it was pushed.",
    ),
    rule(
        Kind::Other,
        36,
        r"^(?:FATAL|ERROR|CRITICAL|[Ff]atal)\b.*|(?i)^(?:[\w./+-]+: )*(?:fatal )?error\b[: ].*",
        "{0}",
        "",
    ),
];
