//! Why a build failed, in a packager's words: reads logs of any size once, and finds the step and the lines that matter.

mod explanation;
mod fault;
mod kind;
mod line;
mod rules;
mod scan;

pub use explanation::{Explanation, Line, explain};
pub use kind::Kind;
pub use scan::{Findings, Scanner};

/// Reads `data` as a log and as a fault, for a fuzzer: it must not panic, and what it gives is short and printable.
pub fn exercise(data: &[u8]) {
    let mut scanner = Scanner::new();
    let (head, tail) = data.split_at(data.len() / 3);
    let (middle, tail) = tail.split_at(tail.len() / 2);
    scanner.feed(head);
    scanner.skip(middle);
    scanner.feed(tail);
    let fault = String::from_utf8_lossy(head);
    let made = explain(&fault, vec![("build.log".to_owned(), scanner.finish())]);
    for line in made.text().lines().chain(made.summary().lines()) {
        assert!(line.chars().count() < 1000 && !line.chars().any(char::is_control), "{line:?}");
    }
}
