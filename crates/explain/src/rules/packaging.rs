//! Spec files, their sources and patches, file lists, checks of finished packages.

use super::{Rule, rule};
use crate::kind::Kind;

pub(super) static RULES: &[Rule] = &[
    rule(
        Kind::Macro,
        93,
        r"^error: .*(?:[Tt]oo many levels of recursion|[Mm]acro %\S+ (?:failed to expand|has )|[Uu]nknown option \S+ in|[Uu]nterminated (?:[({]|opts|body)|[Ii]llegal name|[Ff]ailed to expand)",
        "a macro of the spec file is wrong: {0}",
        "Look at the macro's definition and at the line that uses it; rpmspec -P FILE.spec shows what the spec file becomes.",
    )
    .and(2),
    rule(
        Kind::Macro,
        92,
        r"rpm-tmp\.\w+: (?:line )?(\d+): (?:.*: )?(?:fg: no job control|fg: .*no such job|.*no such job|%\w+: (?:command )?not found)",
        "a macro that the spec file uses does not exist, so that its name was run as a command",
        "Find the %name in the script above; either it is misspelt or the package with the macro is missing in BuildRequires.",
    ),
    rule(
        Kind::Arch,
        94,
        r"^error: Architecture is (?:not included|excluded): (\S+)",
        "the spec file does not allow the arch {1}",
        "Look at ExclusiveArch, ExcludeArch and BuildArch in the spec file.",
    ),
    rule(
        Kind::Source,
        93,
        r"^error: Bad (?:source|file|patch): (\S+?):? (?:No such file|.*)",
        "{1} is named in the spec file and is not there",
        "Add the file to the repository or the lookaside cache, or correct the Source or Patch line.",
    ),
    rule(
        Kind::Source,
        90,
        r"^(?:tar|gzip|bzip2|xz|unzip|gpgv2?|cat|/usr/bin/\S+|/bin/\S+): (\S*/SOURCES/\S+?): .*(?:No such file|[Cc]annot open)",
        "the source {1} is not there",
        "Add the file to the source package with a Source line.",
    ),
    rule(
        Kind::Source,
        84,
        r"rpm-tmp\.\w+: (?:line )?\d+: cd: (?:can't cd to )?(\S+?):?(?: No such file or directory)?$",
        "the directory {1} does not exist after unpacking",
        "The archive unpacks to another directory: give its name with %setup -n or %autosetup -n.",
    ),
    rule(
        Kind::Spec,
        91,
        r"^error: line (\d+): (.*)",
        "line {1} of the spec file is wrong: {2}",
        "Correct that line; rpmspec --parse FILE.spec and rpmlint find such mistakes before a build.",
    )
    .and(1),
    rule(
        Kind::Spec,
        90,
        r"^error: (?:\S+\.spec: )?(?:(?:\S+) field must be present|[Uu]nclosed %if|parse error|syntax error|bad %if|.*:\s*bad %|No %description|Package has no %description|Package already exists|Too many names|[Ii]llegal char|Unable to parse|query of specfile|Invalid version|.*[Uu]nable to open .*\.spec|Duplicate .* entries in package|.*%else without %if|.*%endif without %if).*",
        "the spec file cannot be read: {0}",
        "Correct the spec file; rpmspec --parse FILE.spec and rpmlint find such mistakes before a build.",
    )
    .and(2),
    rule(
        Kind::Unpackaged,
        92,
        r"^error: Installed \(but unpackaged\) file\(s\) found:",
        "files were installed that no %files section names",
        "Name them in %files, or remove them at the end of %install.",
    )
    .and_indented(),
    rule(
        Kind::Files,
        92,
        r"^error: (?:File|Directory) not found(?: by glob)?: \S*/BUILDROOT/[^/\s]+(/\S*)",
        "%files names {1}, which was not installed",
        "Correct the path in %files, or see why %install did not put the file there.",
    ),
    rule(
        Kind::Files,
        91,
        r"^error: (?:(?:File|Directory|Path) (?:not found|must begin with|is not)|Could not open %files file|File listed twice|Bad exit status from .*%files|Unable to read).*",
        "the %files list is wrong: {0}",
        "Compare %files with what %install puts below %{buildroot}.",
    ),
    rule(
        Kind::Quality,
        91,
        r"^error: Empty %files file (\S+)",
        "no debugging information was found for the -debugsource or -debuginfo package",
        "Compile with %{optflags} (that is -g) and install unstripped files, or set %global debug_package %{nil} if nothing is compiled.",
    ),
    rule(
        Kind::Quality,
        91,
        r"^error: Arch dependent binaries in noarch package",
        "compiled files are in a package that says BuildArch: noarch",
        "Remove BuildArch: noarch, or do not install the compiled files.",
    )
    .and_indented(),
    rule(
        Kind::Quality,
        90,
        r"^ERROR\s+(\d{4}): file '([^']+)' contains (.*)",
        "the run path of {2} is not allowed: it contains {3}",
        "Build without rpath (often --disable-rpath), or remove it with chrpath or patchelf in %install.",
    ),
    rule(
        Kind::Quality,
        89,
        r"^(?:Found '([^']*(?:BUILDROOT|buildroot)[^']*)' in installed files; aborting|\*\*\* ERROR: (?:No build ID note found in|ambiguous python shebang in|same build ID in nonidentical files!|No hard links?).*|.*(?:ERROR|error): (?:ambiguous python shebang|mangling shebang).*)",
        "a check of the installed files failed: {0}",
        "The checks run after %install; what they complain about must be changed in %install or in the build's options.",
    )
    .and(2),
    rule(
        Kind::Patch,
        89,
        r"^(?:Hunk #(\d+) FAILED at .*|error: patch failed: (\S+)|error: (\S+): patch does not apply)",
        "a patch does not apply to this source",
        "Make the patch anew for this version; the lines above name the patch and the file.",
    )
    .and(2),
    rule(
        Kind::Patch,
        88,
        r"^(?:\d+ out of \d+ hunks? (?:FAILED|ignored).*|patch: \*\*\*\* .*|can't find file to patch at input line.*|Reversed \(or previously applied\) patch detected!.*|error: corrupt patch at .*|error: No patch number.*)",
        "a patch does not apply to this source: {0}",
        "Make the patch anew for this version, or give the right -p number.",
    )
    .and(3),
    rule(
        Kind::Checksum,
        90,
        r"^(?:md5|sha\d+|b2)sum: WARNING: (\d+) (?:of \d+ )?computed checksums? did NOT match|^sha\d+sum: .*no properly formatted.*",
        "a source is not the file that its checksum was made of",
        "The line above names the file. Fetch it again and compare it with upstream before you change the checksum.",
    ),
    rule(
        Kind::Checksum,
        90,
        r"^(?:gpgv2?|gpg): (?:BAD signature|Can't check signature).*|[Cc]hecksum mismatch|[Hh]ash mismatch|HASH MISMATCH|does not match (?:the )?expected (?:checksum|hash)|[Dd]igest mismatch|invalid hash of",
        "a source is not what its checksum or signature says: {0}",
        "Fetch the file again and compare it with upstream before you change the checksum.",
    ),
];
