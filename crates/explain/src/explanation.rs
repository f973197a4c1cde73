//! The explanation of a failure, as data and as text.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::fault::{known, named_logs};
use crate::kind::Kind;
use crate::line::printable;
use crate::rules::NOTABLE;
use crate::scan::{Findings, Found, Kept};

/// Decisive lines that are shown.
const MOST: usize = 8;
/// Lines of other sorts that are shown beside them.
const OTHERS: usize = 3;
/// Below this score the end of the log tells more than a match.
const WEAK: u8 = 40;
/// Lines that the fault itself gets.
const IN_FAULT: usize = 4;

/// Why a task failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// What kind of failure it is.
    pub kind: Kind,
    /// Where it failed: a section of the spec file (`%build`), `spec file`, `source package`, `buildroot`, `checkout`.
    #[serde(default)]
    pub step: Option<String>,
    /// The log that tells it.
    #[serde(default)]
    pub log: Option<String>,
    /// The failure in a sentence.
    pub headline: String,
    /// What to do about it; may be empty.
    #[serde(default)]
    pub advice: String,
    /// The lines of the log that matter, in their order.
    #[serde(default)]
    pub lines: Vec<Line>,
}

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Its number, from 1.
    pub number: u64,
    /// Its text: printable, and cut if it is long.
    pub text: String,
    /// Whether it is the reason, not its surroundings.
    pub decisive: bool,
}

/// Explains a fault by the logs of its task, each with its name.
pub fn explain(fault: &str, logs: Vec<(String, Findings)>) -> Explanation {
    let known = known(fault);
    let first = printable(fault.lines().next().unwrap_or_default().as_bytes());
    let named = named_logs(fault);
    let chosen = logs.iter().max_by_key(|(name, found)| {
        let usable = found.best().is_some() || !found.tail.is_empty();
        (usable && named.contains(&name.as_str()), found.score, std::cmp::Reverse(name))
    });
    // A log that the fault does not name matters only if it tells something.
    let matters = |(name, found): &&(String, Findings)| {
        found.score >= WEAK || named.contains(&name.as_str()) && !found.tail.is_empty()
    };
    let Some((name, found)) = chosen.filter(matters) else {
        let (kind, advice) = known.map_or((Kind::Other, String::new()), |k| (k.kind, k.advice));
        return Explanation { kind, step: None, log: None, headline: first, advice, lines: vec![] };
    };
    let step = found.step.clone().or_else(|| step_of(name));
    let log = Some(name.clone());
    let by_limit = known.as_ref().filter(|known| known.limit);
    let strong = found.best().filter(|_| found.score >= WEAK);
    let (kind, says, advice, lines) = match (by_limit, strong) {
        (Some(known), _) => {
            let lines = tail(&found.tail, 6);
            (known.kind, known.says.clone(), known.advice.clone(), lines)
        }
        (None, Some(best)) => {
            let (says, advice) = best.words();
            (best.kind(), says, advice, around(best, found.found()))
        }
        (None, None) => {
            let said = beside(fault, &found.tail);
            let (kind, advice) = known.map_or((Kind::Other, String::new()), |k| (k.kind, k.advice));
            (kind, said, advice, tail(&found.tail, found.tail.len()))
        }
    };
    let place = step.as_deref().map_or_else(|| "the task failed".to_owned(), failed);
    Explanation { kind, step, log, headline: format!("{place}: {says}"), advice, lines }
}

/// What to say where no line of a log is known as a reason: not again what stands in the fault above.
fn beside(fault: &str, last: &[Kept]) -> String {
    let text = fault.lines().next().unwrap_or_default();
    let text = text.split("; see ").next().unwrap_or(text);
    if !text.contains(" exited with status ") {
        let own = text.strip_prefix("error building package (").and_then(|t| t.split_once("), "));
        return printable(own.map_or(text, |(_, own)| own).as_bytes());
    }
    // A shell that prints what it does has said what it did last.
    let traced = last.iter().rev().map(Kept::text).find_map(|line| {
        let command = line.trim_start_matches('+');
        (command.len() < line.len()).then(|| command.trim().to_owned())
    });
    match traced.filter(|command| !command.is_empty()) {
        Some(command) => format!("its last command was '{command}'"),
        None => "no line of the log is known as a reason; it ends with these".to_owned(),
    }
}

/// That a step failed, in words.
fn failed(step: &str) -> String {
    match step {
        "buildroot" => "the buildroot could not be filled".to_owned(),
        "checkout" => "the sources could not be checked out".to_owned(),
        "source package" => "the source package could not be made".to_owned(),
        "spec file" => "the spec file could not be used".to_owned(),
        "unpacking" => "the source package could not be unpacked".to_owned(),
        step => format!("{step} failed"),
    }
}

/// What is done while a log is written that names no steps itself.
fn step_of(log: &str) -> Option<String> {
    let step = match log {
        "root.log" | "mock_output.log" => "buildroot",
        "checkout.log" | "checkout-for-srpm.log" => "checkout",
        _ => return None,
    };
    Some(step.to_owned())
}

/// The reason, its like, what surrounds it, and a few notable lines of other sorts.
fn around(best: &Found, all: &[Found]) -> Vec<Line> {
    let mut lines: Vec<Line> = best.before.iter().map(|kept| line(kept, false)).collect();
    let alike = all.iter().filter(|found| found.kind() == best.kind());
    for found in alike.filter(|found| found.line.number >= best.line.number).take(MOST) {
        lines.push(line(&found.line, true));
        lines.extend(found.after.iter().map(|kept| line(kept, best.rule == found.rule)));
    }
    let mut kinds = vec![best.kind()];
    for found in all.iter().filter(|found| found.rank() >= NOTABLE) {
        if !kinds.contains(&found.kind()) && kinds.len() <= OTHERS {
            kinds.push(found.kind());
            lines.push(line(&found.line, false));
        }
    }
    lines.retain(|line| !line.text.is_empty());
    lines.sort_by_key(|line| (line.number, !line.decisive));
    lines.dedup_by_key(|line| line.number);
    lines
}

fn tail(kept: &[Kept], most: usize) -> Vec<Line> {
    let mut lines: Vec<Line> = kept.iter().map(|kept| line(kept, true)).collect();
    lines.retain(|line| !line.text.is_empty());
    lines.split_off(lines.len().saturating_sub(most))
}

fn line(kept: &Kept, decisive: bool) -> Line {
    Line { number: kept.number, text: kept.text(), decisive }
}

impl Explanation {
    /// The explanation as a page of text, with the lines marked that are the reason.
    pub fn text(&self) -> String {
        let mut out = format!("{}\n", self.headline);
        if let Some(log) = &self.log {
            let _ = writeln!(out, "\n{log}:");
            let wide = self.lines.last().map_or(1, |line| line.number.to_string().len());
            for line in &self.lines {
                let mark = if line.decisive { '>' } else { ' ' };
                let _ = writeln!(out, "{mark} {:wide$}  {}", line.number, line.text);
            }
        }
        if !self.advice.is_empty() {
            let _ = write!(out, "\n{}\n", self.advice);
        }
        out
    }

    /// A few lines to add to a fault: the sentence, and the decisive lines with log and number.
    pub fn summary(&self) -> String {
        let mut out = self.headline.clone();
        if let Some(log) = &self.log {
            for line in self.lines.iter().filter(|line| line.decisive).take(IN_FAULT) {
                let _ = write!(out, "\n{log}:{}: {}", line.number, line.text);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scanner;

    fn made(fault: &str, logs: &[(&str, &str)]) -> Explanation {
        let read = |text: &str| {
            let mut scanner = Scanner::new();
            scanner.feed(text.as_bytes());
            scanner.finish()
        };
        explain(fault, logs.iter().map(|(name, text)| ((*name).to_owned(), read(text))).collect())
    }

    const EXIT: &str = "error building package (arch x86_64), rpmbuild exited with status 1; see build.log for more information";

    #[test]
    fn the_reason_stands_in_its_surroundings() {
        let log = "$ rpmbuild -bb a.spec\nExecuting(%build): /bin/sh\n+ gcc a.c\na.c: In function 'main':\na.c:3:5: error: expected ';'\n    3 | x\nerror: Bad exit status from /var/tmp/rpm-tmp.x (%build)\n";
        let made = made(EXIT, &[("root.log", "installed\n"), ("build.log", log)]);
        assert_eq!((made.kind, made.step.as_deref()), (Kind::Compiler, Some("%build")));
        assert_eq!(made.headline, "%build failed: a.c does not compile, line 3: expected ';'");
        let decisive = made.lines.iter().find(|line| line.decisive).expect("a line");
        assert_eq!((decisive.number, decisive.text.as_str()), (5, "a.c:3:5: error: expected ';'"));
        assert!(made.text().contains("> 5  a.c:3:5"), "{}", made.text());
        assert!(made.summary().contains("\nbuild.log:5: a.c:3:5: error"), "{}", made.summary());
        let json = serde_json::to_string(&made).expect("json");
        assert_eq!(serde_json::from_str::<Explanation>(&json).expect("json"), made);
    }

    #[test]
    fn limits_are_the_reason_whatever_a_log_says() {
        let fault = "error building package (arch x86_64), rpmbuild ran longer than allowed; see build.log for more information";
        let made =
            made(fault, &[("build.log", "Executing(%check): x\nx.c:1:1: error: no\nwaiting\n")]);
        assert_eq!(made.kind, Kind::Time);
        assert_eq!(made.headline, "%check failed: it ran longer than the builder allows");
        assert_eq!(made.lines.last().map(|line| line.text.as_str()), Some("waiting"));
    }

    #[test]
    fn without_a_match_the_end_is_shown() {
        let one = made(
            EXIT,
            &[(
                "build.log",
                "Executing(%build): x\n+ exit 3\nerror: Bad exit status from /x (%build)\n\nRPM build errors:\n",
            )],
        );
        assert_eq!(one.kind, Kind::Other);
        assert!(one.lines.iter().any(|line| line.text == "+ exit 3"), "{one:?}");
        assert_eq!(one.headline, "%build failed: its last command was 'exit 3'");
        let quiet = made(EXIT, &[("build.log", "Executing(%build): x\nready\n")]);
        assert_eq!(
            quiet.headline,
            "%build failed: no line of the log is known as a reason; it ends with these"
        );
        let grew = EXIT.replace("rpmbuild exited with status 1", "the wall fell");
        let other = made(&grew, &[("build.log", "Executing(%build): x\nready\n")]);
        assert_eq!(other.headline, "%build failed: the wall fell");
        let bare = made("No matching arches were found", &[]);
        assert_eq!(
            (bare.kind, bare.headline.as_str()),
            (Kind::Arch, "No matching arches were found")
        );
        assert!(bare.advice.contains("ExclusiveArch"));
    }
}
