//! Test suites and crashes.

use super::{Rule, rule};
use crate::kind::Kind;

const ADVICE: &str = "Run this test alone, or look above for what it printed; what it needs may be missing in BuildRequires, or forbidden in a buildroot.";

pub(super) static RULES: &[Rule] = &[
    rule(Kind::Tests, 63, r"^FAILED (\S+::.*)", "the test {1} failed", ADVICE),
    rule(Kind::Tests, 62, r"^(?:FAIL|ERROR|XPASS): (\S.*)", "the test {1} failed", ADVICE),
    rule(Kind::Tests, 62, r"^\s*not ok \d+(?: -)? ?([^#]*)$", "the test {1} failed", ADVICE),
    rule(
        Kind::Tests,
        62,
        r"^\s*\d+/\d+ (?:(?:Test\s+)?#\d+: )?(.*?)\s+(?:\.*\s*)?(?:FAIL|TIMEOUT|ERROR|\*\*\*Failed|\*\*\*Timeout|\*\*\*Exception.*?|\*\*\*Not Run)\b",
        "the test {1} failed",
        ADVICE,
    ),
    rule(
        Kind::Tests,
        61,
        r"^\s*--- FAIL: (\S+)|^test (\S+) \.\.\. FAILED$|^\s*\d+ - (\S+) \((?:Failed|Timeout|SEGFAULT|Not Run|Subprocess aborted)\)",
        "a test failed: {0}",
        ADVICE,
    ),
    rule(
        Kind::Tests,
        61,
        r"^(\S+\.t)\s+\.+ (?:Dubious|Failed)|^(\S+\.t)\s+\(Wstat: [1-9]\d* .*Failed: \d+\)|^#\s+Failed test '?(.*?)'?$",
        "a test failed: {0}",
        ADVICE,
    ),
    rule(
        Kind::Tests,
        60,
        r"^Tests run: \d+, (?:Failures: [1-9]|Failures: 0, Errors: [1-9]).*|^FAILED \((?:failures|errors)=.*|^# FAIL: +[1-9].*|^The following tests FAILED:",
        "tests failed: {0}",
        ADVICE,
    ),
    rule(
        Kind::Tests,
        58,
        r"AssertionError|Assertion [`'‘]?.*['’]? failed",
        "a test or a check in the program failed: {0}",
        ADVICE,
    )
    .and(1),
    rule(
        Kind::Crash,
        56,
        r"(?:Segmentation fault|Illegal instruction|Bus error|Floating point exception|Aborted)(?: +\(core dumped\))?|stack smashing detected|AddressSanitizer: (\S+)",
        "a program crashed: {0}",
        "The lines above tell which one.",
    ),
    rule(
        Kind::Script,
        46,
        r"^((?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Exit)): (.*)",
        "a Python program ended with {1}: {2}",
        "The lines above tell where.",
    ),
];
