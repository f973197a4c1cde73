//! The dated list of exceptions: each names a rule, a file and a reason.

use std::path::Path;

use serde::Deserialize;

use super::{Problem, read};

const FILE: &str = "xtask/tidy-allow.toml";

/// One exception.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exception {
    rule: String,
    path: String,
    /// The day it was granted, as `2026-11-22`.
    since: String,
    reason: String,
}

#[derive(Default, Deserialize)]
struct List {
    #[serde(default)]
    allow: Vec<Exception>,
}

/// The exceptions in `text`.
fn read_list(text: &str) -> anyhow::Result<Vec<Exception>> {
    Ok(toml::from_str::<List>(text)?.allow)
}

/// The exceptions of the tree at `root`.
pub(super) fn read_all(root: &Path) -> anyhow::Result<Vec<Exception>> {
    read_list(&read(&root.join(FILE))?)
}

/// Takes the excepted problems out, and adds one for each exception that is incomplete or no longer needed.
pub(super) fn apply(problems: Vec<Problem>, exceptions: &[Exception]) -> Vec<Problem> {
    let mut left = Vec::new();
    let mut used = vec![false; exceptions.len()];
    for problem in problems {
        match exceptions.iter().position(|e| e.rule == problem.rule && e.path == problem.path) {
            Some(i) => used[i] = true,
            None => left.push(problem),
        }
    }
    for (exception, used) in exceptions.iter().zip(used) {
        let what = format!("the exception of {} for {}", exception.path, exception.rule);
        if !used {
            left.push(Problem::new(FILE, 0, "exception", format!("{what} is not needed any more")));
        }
        if exception.reason.trim().len() < 10 || exception.since.len() != 10 {
            left.push(Problem::new(
                FILE,
                0,
                "exception",
                format!("{what} needs a date and a reason"),
            ));
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::{apply, read_list};
    use crate::tidy::Problem;

    const LIST: &str = "[[allow]]\nrule = \"size\"\npath = \"a.rs\"\nsince = \"2026-11-22\"\nreason = \"one table that is read as a whole\"\n";

    #[test]
    fn an_exception_takes_its_problem_out_and_no_other() {
        let list = read_list(LIST).unwrap();
        let problems =
            vec![Problem::new("a.rs", 0, "size", "x"), Problem::new("b.rs", 0, "size", "x")];
        let left = apply(problems, &list);
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].path, "b.rs");
    }

    #[test]
    fn an_exception_that_is_not_needed_is_a_problem() {
        assert_eq!(apply(Vec::new(), &read_list(LIST).unwrap()).len(), 1);
    }

    #[test]
    fn a_reason_is_wanted() {
        let list = read_list(&LIST.replace("one table that is read as a whole", "")).unwrap();
        assert_eq!(apply(vec![Problem::new("a.rs", 0, "size", "x")], &list).len(), 1);
    }
}
