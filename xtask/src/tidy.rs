//! The house rules: each check gets the sources and returns what breaks it.

mod allow;
mod crates;
mod files;
mod lexer;
mod source;
mod text;
mod words;

use std::path::Path;

use anyhow::{Context, bail};

use source::Source;

/// One broken rule at one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    /// Path from the workspace's directory.
    pub(crate) path: String,
    /// Line, from 1; 0 stands for the whole file.
    pub(crate) line: usize,
    /// The rule's name, as in the list of exceptions.
    pub(crate) rule: &'static str,
    pub(crate) message: String,
}

impl Problem {
    fn new(path: &str, line: usize, rule: &'static str, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, rule, message: message.into() }
    }
}

/// Runs every check on the tree at `root`, prints the problems and fails if there are any.
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let tracked = files::tracked(root)?;
    let sources = files::rust_sources(root, &tracked)?;
    let mut problems = Vec::new();
    for source in &sources {
        problems.extend(check_source(source));
    }
    for path in &tracked {
        problems.extend(files::forbidden_name(path));
        if let Some(text) = files::read_text(root, path)? {
            problems.extend(text::machine_paths(path, &text));
        }
    }
    let edges = crates::Rules::read(root)?;
    problems.extend(crates::check(&crates::metadata(root)?, &edges, root));
    let exceptions = allow::read_all(root)?;
    let mut problems = allow::apply(problems, &exceptions);
    problems.sort();
    report(&sources, &problems)
}

fn check_source(source: &Source) -> Vec<Problem> {
    let mut problems = Vec::new();
    problems.extend(text::size(source));
    problems.extend(text::header(source));
    problems.extend(words::sql(source));
    problems.extend(words::sql_text(source));
    problems.extend(words::unsafe_code(source));
    problems.extend(words::unwrap(source));
    problems.extend(words::unfinished(source));
    problems
}

fn report(sources: &[Source], problems: &[Problem]) -> anyhow::Result<()> {
    for source in sources.iter().filter(|s| text::is_long(s)) {
        eprintln!("worth a look: {} has {} lines", source.path, source.lines());
    }
    for p in problems {
        eprintln!("{}:{}: [{}] {}", p.path, p.line, p.rule, p.message);
    }
    eprintln!("tidy: {} Rust files, {} problems", sources.len(), problems.len());
    if problems.is_empty() {
        return Ok(());
    }
    bail!("the house rules are broken in {} places", problems.len())
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))
}
