//! Compilers, linkers, configuration, modules of languages, commands of scripts.

use super::{Rule, rule};
use crate::kind::Kind;

const REQUIRE: &str = "Add what provides it to BuildRequires.";

pub(super) static RULES: &[Rule] = &[
    rule(
        Kind::Dependency,
        79,
        r"^\[ERROR\] (.*(?:could not be resolved|Could not find artifact).*?)(?: -> \[Help \d+\])?$",
        "Maven says: {1}",
        "Import the artifact, or build it, and tag it into the build tag or what that inherits from.",
    ),
    rule(
        Kind::Other,
        58,
        r"^\[ERROR\] +(\S.*?)(?: -> \[Help \d+\])?$",
        "Maven says: {1}",
        "The lines above it tell which goal of which project it was.",
    )
    .and(2),
    rule(
        Kind::Dependency,
        79,
        r"^(\S+?):(\d+)(?::\d+)?: fatal error: (\S+): No such file or directory",
        "{1} includes {3}, which is in no package of the buildroot",
        "Add the -devel package with that header to BuildRequires (dnf provides '*/include/HEADER' finds it), or correct the include path.",
    ),
    rule(
        Kind::Compiler,
        70,
        r"^(\S+?):(\d+)(?::\d+)?: (?:fatal |internal compiler )?error: (.*)",
        "{1} does not compile, line {2}: {3}",
        "Later errors are often consequences of the first one.",
    )
    .and(3),
    rule(
        Kind::Compiler,
        68,
        r"^(\S+\.(?:go|java|rs|vala|cs|hs|ml|kt|scala)):(\d+)[:.](?:\d+)?[:-]?\s+(.*)",
        "{1} does not compile, line {2}: {3}",
        "Later errors are often consequences of the first one.",
    )
    .and(2),
    rule(
        Kind::Compiler,
        64,
        r"^error\[E\d+\]: (.*)|^error: could not compile `(.*)`.*",
        "the source does not compile: {0}",
        "Later errors are often consequences of the first one.",
    )
    .and(3),
    rule(
        Kind::Linker,
        72,
        r"cannot find (?:-l)?(\S+?)(?:: No such file or directory)?$",
        "the linker finds no library {1}",
        "Add the -devel package of the library to BuildRequires (dnf provides '*/libNAME.so' finds it), or correct the search path.",
    ),
    rule(
        Kind::Linker,
        71,
        r"undefined reference to [`'‘]?(.*?)['’]?$|undefined symbol: (\S+)",
        "the linker finds no definition: {0}",
        "A library is missing on the linker's command line, or comes before what needs it, or is of another version.",
    ),
    rule(
        Kind::Linker,
        71,
        r"multiple definition of [`'‘](.*?)['’]|DSO missing from command line|relocation \S+ against .* can not be used when making",
        "the objects cannot be linked: {0}",
        "Look at the flags and the order of libraries on the linker's command line.",
    ),
    rule(
        Kind::Linker,
        52,
        r"^collect2: error: ld returned \d+ exit status|^(?:\S*/)?ld(?:\.\w+)?: (.*)",
        "linking failed: {0}",
        "The lines above tell which symbol or library is missing.",
    ),
    rule(
        Kind::Configure,
        78,
        r#"Could not find a package configuration file provided by "([^"]+)""#,
        "CMake finds no package {1}",
        "Add cmake(NAME) or the -devel package to BuildRequires.",
    ),
    rule(
        Kind::Configure,
        77,
        r"Could NOT find (\S+)",
        "CMake does not find {1}",
        "Add its -devel package to BuildRequires.",
    ),
    rule(
        Kind::Configure,
        74,
        r"^CMake Error(?: at (\S+))?.*",
        "CMake gave up: {0}",
        "The lines that follow say why.",
    )
    .and_indented(),
    rule(
        Kind::Configure,
        76,
        r"^configure: error: (.*)",
        "configure gave up: {1}",
        "Often a package is missing in BuildRequires; config.log in the build directory has the details.",
    )
    .and(3),
    rule(
        Kind::Configure,
        76,
        r"^(?:\S*/)?meson\.build:(\d+):\d+: ERROR: (.*)|^ERROR: (Dependency .* not found.*|Program .* not found.*)",
        "Meson gave up: {0}",
        "Often a package is missing in BuildRequires; pkgconfig(NAME) names what Meson looks for.",
    ),
    rule(
        Kind::Configure,
        75,
        r"^(?:-- )?\s*No package '([^']+)' found|^Package '?([^' ]+)'? was not found in the pkg-config search path|^Package '[^']+', required by '[^']+', not found",
        "pkg-config does not find a package: {0}",
        "Add pkgconfig(NAME) to BuildRequires.",
    ),
    rule(
        Kind::Configure,
        76,
        r"possibly undefined macro: (\S+)|^(?:\S*/)?(?:autoreconf|aclocal|automake|autoconf|libtoolize)\S*: error: (.*)|^\S*configure\.(?:ac|in)(?::\d+)?: error: (.*)",
        "the configure script cannot be made: {0}",
        "The package with the missing m4 macro (autoconf-archive, gettext-devel, libtool, pkgconf, …) belongs to BuildRequires.",
    ),
    rule(
        Kind::Command,
        77,
        r#"Can't exec "([^"]+)": No such file or directory|^WARNING: '([^']+)' is missing on your system"#,
        "a program is not in the buildroot: {0}",
        REQUIRE,
    ),
    rule(
        Kind::Module,
        73,
        r"(?:ModuleNotFoundError: No module named|ImportError: No module named) '?([\w.]+)'?",
        "the Python module {1} is not in the buildroot",
        "Add python3dist(NAME), or the package of the module, to BuildRequires.",
    ),
    rule(
        Kind::Module,
        62,
        r"^(?:E\s+)?ImportError: (.*)",
        "a Python module cannot be imported: {1}",
        "The module is of another version than the code expects, or a library that it needs is missing in BuildRequires.",
    ),
    rule(
        Kind::Module,
        74,
        r"(?:No matching distribution found for|Could not find a version that satisfies the requirement|DistributionNotFound:|PackageNotFoundError:) (.*)",
        "the Python distribution {1} is not in the buildroot",
        "Add python3dist(NAME) to BuildRequires; nothing can be downloaded in a build.",
    ),
    rule(
        Kind::Module,
        74,
        r"Can't locate (\S+\.pm) in @INC",
        "the Perl module {1} is not in the buildroot",
        "Add perl(NAME), with :: for each slash, to BuildRequires.",
    ),
    rule(
        Kind::Module,
        73,
        r"cannot load such file -- (\S+)|[Cc]annot find module '([^']+)'|no required module provides package (\S+)|error: no matching package (?:named )?`([^`]+)` found",
        "a module is not in the buildroot: {0}",
        REQUIRE,
    ),
    rule(
        Kind::Compiler,
        66,
        r"^(?:SyntaxError|IndentationError|TabError): (.*)|^syntax error at (\S+) line (\d+).*|^(\S+): line \d+: syntax error.*",
        "the source has a syntax error: {0}",
        "The lines above name the file and the line.",
    ),
    rule(
        Kind::Script,
        66,
        r"^make(?:\[\d+\])?: \*\*\* No rule to make target [`'‘](.*?)['’]",
        "make knows no way to make {1}",
        "The file is missing in the source, or the target has another name.",
    ),
    rule(
        Kind::Script,
        50,
        r"^make(?:\[\d+\])?: \*\*\* (.*)|^ninja: error: (.*)|^FAILED: (\S+).*",
        "a command of the build failed: {0}",
        "The lines above tell which command it was and what it said.",
    ),
    rule(
        Kind::Command,
        60,
        r"(?:^|[:/ ])([\w.+-]+): (?:command )?not found$|^make(?:\[\d+\])?: (\S+): No such file or directory$|^/usr/bin/env: [‘'`]?(\S+?)['’]?: No such file",
        "a program is not in the buildroot: {0}",
        "Add the package with the program (dnf provides '*/bin/NAME' finds it) to BuildRequires.",
    ),
    rule(
        Kind::Script,
        53,
        r"^(?:\S*/)?(cp|mv|install|ln|rm|mkdir|chmod|chown|cat|sed|find|tar|touch|patch|gzip|cd): (?:\S+ )*(?:cannot|can't|missing|invalid|failed|couldn't|No such).*",
        "a command of the script failed: {0}",
        "The path does not exist at this point, or has another name in this version.",
    ),
    rule(
        Kind::Script,
        54,
        r"^\S.*: (?:Permission denied|Read-only file system|Operation not permitted)$",
        "the build wanted to write where it may not, or to do what only root does: {0}",
        "Builds write only below their build directory and %{buildroot}, and never as root.",
    ),
];
