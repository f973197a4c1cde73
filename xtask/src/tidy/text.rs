//! Rules about a file as a whole: its size, its first line, what it may mention.

use std::sync::LazyLock;

use regex::Regex;

use super::Problem;
use super::source::Source;

/// Lines from which a file is reported.
const LONG: usize = 400;
/// Lines above which a file is refused.
const TOO_LONG: usize = 600;

/// Whether the file is long enough to be looked at.
pub(super) fn is_long(source: &Source) -> bool {
    source.is_product() && source.lines() > LONG
}

/// A product file above the limit does too much.
pub(super) fn size(source: &Source) -> Option<Problem> {
    let lines = source.lines();
    (source.is_product() && lines > TOO_LONG).then(|| {
        let message = format!(
            "{lines} lines; split it below {TOO_LONG}, or list it in xtask/tidy-allow.toml"
        );
        Problem::new(&source.path, 0, "size", message)
    })
}

/// Each file says in its first line what it is for.
pub(super) fn header(source: &Source) -> Option<Problem> {
    let first = source.text.lines().next().unwrap_or_default();
    let says_something = first.strip_prefix("//!").is_some_and(|s| s.trim().len() > 5);
    (!says_something)
        .then(|| Problem::new(&source.path, 1, "header", "open the file with one `//!` sentence"))
}

/// Directories that exist on one machine only.
static MACHINE_PATH: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = concat!(r#"(^|[\s"'(=:`])/"#, r"(root|home/[a-z][\w.-]*|Users/[\w.-]+|work)/");
    Regex::new(pattern).expect("a constant pattern is valid, as its test shows")
});

/// A path of the author's machine in a tracked file works nowhere else.
pub(super) fn machine_paths(path: &str, text: &str) -> Vec<Problem> {
    let hits = text.lines().enumerate().filter(|(_, l)| MACHINE_PATH.is_match(l));
    hits.map(|(i, _)| {
        Problem::new(path, i + 1, "machine-path", "a path that exists on one machine only")
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::{header, is_long, machine_paths, size};
    use crate::tidy::source::Source;

    fn of_lines(n: usize) -> Source {
        Source::new("crates/hub/src/a.rs", "//! What this is for.\n".repeat(n))
    }

    #[test]
    fn size_is_limited() {
        assert!(size(&of_lines(600)).is_none());
        assert!(size(&of_lines(601)).is_some());
        assert!(!is_long(&of_lines(400)));
        assert!(is_long(&of_lines(401)));
    }

    #[test]
    fn header_is_wanted() {
        assert!(header(&of_lines(1)).is_none());
        for text in ["fn main() {}\n", "//!\nfn main() {}\n", ""] {
            assert!(header(&Source::new("crates/hub/src/a.rs", text.into())).is_some(), "{text:?}");
        }
    }

    #[test]
    fn machine_paths_are_refused() {
        let root = "/root";
        assert_eq!(machine_paths("a", &format!("x\nlet a = \"{root}/x\";")).len(), 1);
        assert_eq!(machine_paths("a", &format!("see {}/jo/x", "/home")).len(), 1);
        assert!(
            machine_paths("a", "/mnt/koji/work/tasks {topdir}/work/cli-build /home/").is_empty()
        );
    }
}
