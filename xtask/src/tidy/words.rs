//! Rules about words that only some places may use.

use std::sync::LazyLock;

use regex::Regex;

use super::Problem;
use super::source::Source;

/// Statements, recognised by their first two keywords as this project writes them: in capitals.
static SQL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?s)\b(SELECT\b.*\bFROM|INSERT\s+INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|CREATE\s+(TABLE|INDEX)|ALTER\s+TABLE)\b",
    )
});
/// Ways round the type `Sql`, which is made only of what the program says.
static SQL_TEXT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\bSql::unchecked\b|\.leak\(\)|\bBox::leak\b|\.(batch|batch_execute|execute_batch|simple_query)\(",
    )
});
static UNSAFE: LazyLock<Regex> = LazyLock::new(|| pattern(r"\bunsafe\b"));
static UNWRAP: LazyLock<Regex> = LazyLock::new(|| pattern(r"\.unwrap\(\)"));
static UNFINISHED: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b(todo|unimplemented)!"));
static MARK: LazyLock<Regex> =
    LazyLock::new(|| pattern(&format!(r"\b({}|{}|{})\b", "TO\x44O", "FI\x58ME", "XX\x58")));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern is valid, as the tests show")
}

/// All SQL of the system is in `db`.
pub(super) fn sql(source: &Source) -> Vec<Problem> {
    if matches!(source.member(), "db" | "xtask") {
        return Vec::new();
    }
    let hits = source.product_strings().filter(|(_, s)| SQL.is_match(s));
    hits.map(|(n, _)| Problem::new(&source.path, n, "sql", "SQL belongs into the db crate"))
        .collect()
}

/// A statement's text is of the type `Sql`, so that nothing a caller sent can get into it; places where it is made
/// otherwise, or where statements without values are run, are exceptions by name.
pub(super) fn sql_text(source: &Source) -> Vec<Problem> {
    let in_db = source.member() == "db";
    let hits = source.product_code().filter(|(_, l)| SQL_TEXT.is_match(l));
    let hits = hits.filter(|(_, l)| in_db || l.contains("Sql::unchecked"));
    let what = "the text of a statement is put together with `sql![…]`";
    hits.map(|(n, _)| Problem::new(&source.path, n, "sql-text", what)).collect()
}

/// Only `sandbox`, `solve` and `gssapi` may talk to the system without the compiler's help.
pub(super) fn unsafe_code(source: &Source) -> Vec<Problem> {
    if matches!(source.member(), "sandbox" | "solve" | "gssapi") {
        return Vec::new();
    }
    let lines = source.split.code.lines().enumerate().filter(|(_, l)| UNSAFE.is_match(l));
    lines
        .map(|(i, _)| {
            Problem::new(
                &source.path,
                i + 1,
                "unsafe",
                "only sandbox, solve and gssapi may do this",
            )
        })
        .collect()
}

/// A panic takes the whole process, with everybody's builds.
pub(super) fn unwrap(source: &Source) -> Vec<Problem> {
    let hits = source.product_code().filter(|(_, l)| UNWRAP.is_match(l));
    hits.map(|(n, _)| {
        Problem::new(&source.path, n, "unwrap", "return an error, or `expect` with a proof")
    })
    .collect()
}

/// Nothing half done is merged.
pub(super) fn unfinished(source: &Source) -> Vec<Problem> {
    let code = source.product_code().filter(|(_, l)| UNFINISHED.is_match(l)).map(|(n, _)| n);
    let marks = source.split.comments.iter().filter(|(_, c)| MARK.is_match(c)).map(|(n, _)| *n);
    let lines = code.chain(marks);
    lines
        .map(|n| Problem::new(&source.path, n, "unfinished", "finish it, or write an issue"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{sql, sql_text, unfinished, unsafe_code, unwrap};
    use crate::tidy::source::Source;

    fn source(path: &str, text: &str) -> Source {
        Source::new(path, text.into())
    }

    #[test]
    fn sql_lives_in_db() {
        let text = "let q = \"SELECT id\n FROM tag\";\nlet p = \"please SELECT one\";";
        assert_eq!(sql(&source("crates/hub/src/a.rs", text)).len(), 1);
        assert!(sql(&source("crates/db/src/a.rs", text)).is_empty());
        assert!(sql(&source("crates/hub/tests/a.rs", text)).is_empty());
        assert_eq!(sql(&source("crates/hub/src/a.rs", "f(\"DELETE FROM task\")")).len(), 1);
    }

    #[test]
    fn the_text_of_statements_is_made_in_one_way() {
        for line in [
            "Sql::unchecked(text)",
            "tx.batch(text).await",
            "client.batch_execute(&text)",
            "name.to_owned().leak()",
            "Box::leak(text.into())",
        ] {
            assert_eq!(sql_text(&source("crates/db/src/a.rs", line)).len(), 1, "{line}");
            assert!(sql_text(&source("crates/db/tests/a.rs", line)).is_empty());
        }
        assert_eq!(sql_text(&source("crates/hub/src/a.rs", "Sql::unchecked(text)")).len(), 1);
        assert!(sql_text(&source("crates/hub/src/a.rs", "Box::leak(x)")).is_empty());
        assert!(sql_text(&source("crates/db/src/a.rs", "tx.query(sql![a, b], &[])")).is_empty());
    }

    #[test]
    fn unsafe_code_lives_in_the_sandbox() {
        let text = "fn a() { unsafe { b() } } // unsafe\nlet s = \"unsafe\";";
        assert_eq!(unsafe_code(&source("crates/hub/src/a.rs", text)).len(), 1);
        assert!(unsafe_code(&source("crates/sandbox/src/a.rs", text)).is_empty());
    }

    #[test]
    fn unwrap_is_for_tests() {
        assert_eq!(unwrap(&source("crates/hub/src/a.rs", "a.unwrap();\nb.unwrap_or(1);")).len(), 1);
        assert!(
            unwrap(&source("crates/hub/src/a.rs", "#[cfg(test)]\nmod tests {\na.unwrap();\n}"))
                .is_empty()
        );
        assert!(unwrap(&source("crates/hub/src/a.rs", "/// a.unwrap()\nfn b() {}")).is_empty());
    }

    #[test]
    fn unfinished_work_is_refused() {
        let mark = "TO\x44O";
        assert_eq!(
            unfinished(&source("crates/hub/src/a.rs", &format!("// {mark}: later"))).len(),
            1
        );
        assert_eq!(unfinished(&source("crates/hub/src/a.rs", "fn a() { todo!() }")).len(), 1);
        assert!(unfinished(&source("crates/hub/src/a.rs", "// all done")).is_empty());
    }
}
