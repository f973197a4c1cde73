//! Reads a log once, whatever its size, and keeps what may explain a failure.

use std::collections::VecDeque;

use crate::kind::Kind;
use crate::line::{KEPT, Lines, printable};
use crate::rules::{DECISIVE, RULES};

/// Matches of one rule that are kept in a step.
const MOST: usize = 8;
/// Lines before a match that are kept.
const BEFORE: usize = 3;
/// Lines that are kept for a failure that nothing matches.
const TAIL: usize = 12;
/// A match that is so near to the end of its step counts more.
const NEAR: u64 = 6;
/// How much more.
const BONUS: u8 = 15;

/// A line of a log.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) number: u64,
    text: Box<[u8]>,
}

impl Kept {
    fn new(number: u64, line: &[u8]) -> Self {
        Kept { number, text: line[..line.len().min(KEPT)].into() }
    }

    pub(crate) fn text(&self) -> String {
        printable(&self.text)
    }
}

/// A line that matched a rule.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) rule: usize,
    pub(crate) line: Kept,
    pub(crate) before: Vec<Kept>,
    pub(crate) after: Vec<Kept>,
    /// How many more of the lines that follow belong to it.
    want: u8,
}

impl Found {
    pub(crate) fn rank(&self) -> u8 {
        RULES.list[self.rule].rank
    }

    pub(crate) fn kind(&self) -> Kind {
        RULES.list[self.rule].kind
    }

    /// What it means and what to do about it.
    pub(crate) fn words(&self) -> (String, String) {
        RULES.words(self.rule, &self.line.text)
    }
}

/// Reads a log; chunks may end anywhere.
#[derive(Default)]
pub struct Scanner {
    lines: Lines,
    view: View,
}

impl Scanner {
    /// Begins with an empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next chunk.
    pub fn feed(&mut self, chunk: &[u8]) {
        let view = &mut self.view;
        self.lines.feed(chunk, |number, line| view.see(number, line));
    }

    /// Passes over a chunk of a log that is too large to be read: its lines are counted, no more.
    pub fn skip(&mut self, chunk: &[u8]) {
        self.lines.skip(chunk);
        self.view.recent.clear();
    }

    /// What was found.
    pub fn finish(mut self) -> Findings {
        let view = &mut self.view;
        self.lines.finish(|number, line| view.see(number, line));
        self.view.finish()
    }
}

/// What is known of a log so far.
#[derive(Default)]
struct View {
    recent: VecDeque<Kept>,
    step: Option<String>,
    /// Matches in the present step.
    found: Vec<Found>,
    /// Where rpm says that the step failed.
    failed: Option<u64>,
    last: u64,
}

impl View {
    fn see(&mut self, number: u64, line: &[u8]) {
        self.last = number;
        self.follow(number, line);
        if self.failed.is_none() {
            self.look(number, line);
        }
        if self.recent.len() == TAIL {
            self.recent.pop_front();
        }
        self.recent.push_back(Kept::new(number, line));
    }

    fn look(&mut self, number: u64, line: &[u8]) {
        if let Some(step) = step_of(line) {
            // What went before did not end the build.
            self.found.clear();
            self.recent.clear();
            self.step = Some(step);
            return;
        }
        if let Some(step) = failed_step(line) {
            self.step = Some(step);
            self.failed = Some(number);
            return;
        }
        let Some(rule) = RULES.of(line) else { return };
        if self.found.iter().filter(|found| found.rule == rule).count() >= MOST {
            return;
        }
        let skip = self.recent.len().saturating_sub(BEFORE);
        let before = self.recent.iter().skip(skip).cloned().collect();
        let want = RULES.list[rule].follow;
        self.found.push(Found {
            rule,
            line: Kept::new(number, line),
            before,
            after: Vec::new(),
            want,
        });
    }

    /// Gives a line to the matches that it belongs to.
    fn follow(&mut self, number: u64, line: &[u8]) {
        for found in self.found.iter_mut().rev().take(MOST).filter(|found| found.want > 0) {
            found.want -= 1;
            if RULES.list[found.rule].indented
                && !line.is_empty()
                && !line.starts_with(b" ")
                && !line.starts_with(b"\t")
            {
                found.want = 0;
                continue;
            }
            found.after.push(Kept::new(number, line));
        }
    }

    fn finish(self) -> Findings {
        let View { recent, step, found, failed, last } = self;
        let end = failed.unwrap_or(last);
        let score = |found: &Found| {
            let rank = RULES.list[found.rule].rank;
            let near = rank < DECISIVE && end.saturating_sub(found.line.number) <= NEAR;
            rank + if near { BONUS } else { 0 }
        };
        // Among equals the first: what follows is often its consequence.
        let best = found.iter().map(score).max();
        let best = found.iter().position(|one| Some(score(one)) == best);
        let score = best.map_or(0, |at| score(&found[at]));
        // A summary near the end stands for what it sums up.
        let best = best.and_then(|at| {
            let alike =
                || found.iter().enumerate().filter(|(_, one)| one.kind() == found[at].kind());
            let rank = alike().map(|(_, one)| one.rank()).max();
            alike().find(|(_, one)| Some(one.rank()) == rank).map(|(at, _)| at)
        });
        let tail = recent.into_iter().filter(|kept| kept.number <= end).collect();
        Findings { step, best, score, found, tail }
    }
}

/// What a log tells of a failure.
#[derive(Debug, Default)]
pub struct Findings {
    pub(crate) step: Option<String>,
    /// Which match is the reason.
    best: Option<usize>,
    /// How sure that is.
    pub(crate) score: u8,
    found: Vec<Found>,
    /// The last lines before the end.
    pub(crate) tail: Vec<Kept>,
}

impl Findings {
    /// The match that is the reason.
    pub(crate) fn best(&self) -> Option<&Found> {
        self.found.get(self.best?)
    }

    /// Matches in the failed step, in their order.
    pub(crate) fn found(&self) -> &[Found] {
        &self.found
    }
}

/// The step that a line begins: a section of the spec file, or what rpmbuild was called for.
fn step_of(line: &[u8]) -> Option<String> {
    if let Some(rest) = line.strip_prefix(b"Executing(%") {
        let end = memchr::memchr(b')', rest)?;
        return Some(format!("%{}", printable(&rest[..end.min(40)])));
    }
    if line.starts_with(b"Processing files: ") {
        return Some("%files".to_owned());
    }
    if line.starts_with(b"$ rpm -i ") {
        return Some("unpacking".to_owned());
    }
    // As this builder writes it, and as mock does.
    let called = line.strip_prefix(b"$ ").or_else(|| {
        let said = line.starts_with(b"Executing command: ") || line.starts_with(b"ENTER ");
        said.then_some(line)
    })?;
    let at = memchr::memmem::find(called, b"rpmbuild -b")?;
    match called.get(at + b"rpmbuild -b".len()) {
        Some(b's') => Some("source package".to_owned()),
        Some(b'r' | b'd') => Some("%generate_buildrequires".to_owned()),
        _ => Some("spec file".to_owned()),
    }
}

/// The step that failed, as rpmbuild tells it at the end.
fn failed_step(line: &[u8]) -> Option<String> {
    let rest = line.strip_prefix(b"error: Bad exit status from ")?;
    let from = memchr::memmem::find(rest, b" (%")?;
    let name = rest[from + 2..].split(|byte| *byte == b')').next()?;
    Some(printable(&name[..name.len().min(40)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Findings {
        let mut scanner = Scanner::new();
        scanner.feed(text.as_bytes());
        scanner.finish()
    }

    #[test]
    fn what_an_earlier_step_said_is_not_the_reason() {
        let log = "$ rpmbuild -bb x.spec\nExecuting(%build): /bin/sh\nfoo.c:1:1: error: tried in vain\n\
                   Executing(%install): /bin/sh\ncp: cannot stat 'x': No such file or directory\n\
                   error: Bad exit status from /var/tmp/rpm-tmp.a (%install)\n\nRPM build errors:\n    foo.c:1:2: error: x\n";
        let found = read(log);
        assert_eq!(found.step.as_deref(), Some("%install"));
        assert_eq!(found.best().map(|found| found.line.number), Some(5));
        assert_eq!(found.found().len(), 1);
    }

    #[test]
    fn the_end_of_a_step_counts_more() {
        let quiet = "all is well\n".repeat(20);
        let log = format!(
            "Executing(%check): x\nFAIL: one\n{quiet}sh: 1: frob: not found\nerror: Bad exit status from /var/tmp/rpm-tmp.a (%check)\n"
        );
        assert_eq!(read(&log).best().map(Found::kind), Some(Kind::Command));
        let log =
            format!("Executing(%build): x\nfoo.c:3:5: error: no\n{quiet}make: *** [x] Error 1\n");
        assert_eq!(read(&log).best().map(Found::kind), Some(Kind::Compiler));
    }

    #[test]
    fn a_summary_stands_for_what_it_sums_up() {
        let quiet = "all is well\n".repeat(20);
        let log =
            format!("Executing(%check): x\nFAIL: test_sum (t.T)\n{quiet}FAILED (failures=1)\n");
        let found = read(&log);
        assert_eq!(found.best().map(|found| found.line.number), Some(2));
    }

    #[test]
    fn a_list_ends_with_its_last_indented_line() {
        let log = "error: Installed (but unpackaged) file(s) found:\n   /usr/bin/a\n   /usr/bin/b\n\n\nRPM build errors:\n";
        let found = read(log);
        let best = found.best().expect("a reason");
        let texts: Vec<String> =
            best.after.iter().map(Kept::text).filter(|t| !t.is_empty()).collect();
        assert_eq!(texts, ["   /usr/bin/a", "   /usr/bin/b"]);
    }

    #[test]
    fn a_flood_is_bounded() {
        let mut scanner = Scanner::new();
        let flood = "x.c:1:1: error: again and again\n".repeat(1000);
        for _ in 0..20 {
            scanner.feed(flood.as_bytes());
        }
        scanner.skip(flood.as_bytes());
        scanner.feed(b"end");
        let found = scanner.finish();
        assert_eq!(found.found().len(), MOST);
        assert_eq!(found.tail.last().map(|kept| kept.number), Some(21_001));
    }
}
