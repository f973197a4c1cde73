//! One Rust file, split into its views, with its test modules marked.

use super::lexer::{Split, split};

/// A Rust file of the workspace.
pub(crate) struct Source {
    /// Path from the workspace's directory.
    pub(crate) path: String,
    pub(super) text: String,
    pub(super) split: Split,
    /// First and last line of each `#[cfg(test)] mod … { … }`.
    tests: Vec<(usize, usize)>,
}

impl Source {
    pub(super) fn new(path: &str, text: String) -> Self {
        let split = split(&text);
        let tests = test_modules(&split.code);
        Self { path: path.to_owned(), text, split, tests }
    }

    /// Number of lines of the whole file.
    pub(crate) fn lines(&self) -> usize {
        self.text.lines().count()
    }

    /// The workspace member the file belongs to, by its directory's name.
    pub(super) fn member(&self) -> &str {
        let path = self.path.strip_prefix("crates/").unwrap_or(&self.path);
        path.split('/').next().unwrap_or(path)
    }

    /// Whether the file is part of what users run: neither tests nor tools of the developers.
    pub(super) fn is_product(&self) -> bool {
        let in_tests = ["/tests/", "/benches/", "/examples/"].iter().any(|d| self.path.contains(d));
        self.path.starts_with("crates/")
            && !in_tests
            && !self.path.ends_with("/tests.rs")
            && self.member() != "testkit"
    }

    /// Whether `line` (from 1) lies in a test module.
    pub(super) fn is_test_line(&self, line: usize) -> bool {
        self.tests.iter().any(|(first, last)| (*first..=*last).contains(&line))
    }

    /// Number (from 1) and text of each line of code that is product code.
    pub(super) fn product_code(&self) -> impl Iterator<Item = (usize, &str)> {
        let product = self.is_product();
        let lines = self.split.code.lines().enumerate().map(|(i, l)| (i + 1, l));
        lines.filter(move |(n, _)| product && !self.is_test_line(*n))
    }

    /// Number (from 1) and text of each string literal in product code.
    pub(super) fn product_strings(&self) -> impl Iterator<Item = (usize, &str)> {
        let product = self.is_product();
        let strings = self.split.strings.iter().map(|(n, s)| (*n, s.as_str()));
        strings.filter(move |(n, _)| product && !self.is_test_line(*n))
    }
}

/// Finds `#[cfg(test)]` modules by their braces; `code` has no literals or comments.
fn test_modules(code: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = code[from..].find("#[cfg(test)]").map(|i| i + from) {
        let end = item_end(code, start);
        found.push((line_of(code, start), line_of(code, end)));
        from = end.max(start + 1);
    }
    found
}

/// Where the item at `start` ends: at the brace that closes it, or at a semicolon before any brace.
fn item_end(code: &str, start: usize) -> usize {
    let mut depth = 0;
    for (i, c) in code[start..].char_indices() {
        match c {
            ';' if depth == 0 => return start + i,
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return start + i;
                }
            }
            _ => {}
        }
    }
    code.len()
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::Source;

    #[test]
    fn test_modules_are_not_product_code() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { x.unwrap() }\n}\nfn c() {}\n#[cfg(test)]\nmod other;\nfn d() {}\n";
        let source = Source::new("crates/hub/src/a.rs", text.into());
        let lines: Vec<_> = source.product_code().map(|(n, _)| n).collect();
        assert_eq!(lines, [1, 6, 9]);
    }

    #[test]
    fn tests_and_testkit_are_not_product() {
        for (path, product) in [
            ("crates/hub/src/a.rs", true),
            ("crates/hub/tests/it/a.rs", false),
            ("crates/hub/src/tag/tests.rs", false),
            ("crates/testkit/src/lib.rs", false),
            ("xtask/src/main.rs", false),
        ] {
            assert_eq!(Source::new(path, String::new()).is_product(), product, "{path}");
        }
    }
}
