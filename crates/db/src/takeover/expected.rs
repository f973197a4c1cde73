//! What the database of a Koji hub looks like, by this project's own schema files.

use super::catalog::{self, Object};
use crate::db::Engine;
use crate::dialect::schema_text;
use crate::migrate::{FILES, KOJI};
use crate::{Result, Tx};

/// What a version of Koji brought, from the oldest that can be taken over on.
///
/// A database is of a version when it has all of that version and of those before it.
pub(super) const GROWN: [(&str, &[&str]); 3] = [
    (
        "1.34",
        &[
            "table scheduler_task_runs",
            "table scheduler_host_data",
            "table scheduler_sys_data",
            "table scheduler_task_refusals",
            "table scheduler_log_messages",
            "column build.draft",
            "column build.promotion_time",
            "column build.promoter",
            "column rpminfo.draft",
        ],
    ),
    (
        "1.35",
        &[
            "table repo_queue",
            "table external_repo_data",
            "column repo.creation_time",
            "column repo.state_time",
            "column repo.begin_event",
            "column repo.end_event",
            "column repo.opts",
            "column repo.custom_opts",
        ],
    ),
    (
        "1.36",
        &[
            "column rpminfo.sigmd5",
            "column rpminfo.sha1header",
            "column rpminfo.sha256header",
            "column rpminfo.sha3_256header",
        ],
    ),
];

/// The version before the first of [`GROWN`].
pub(super) const OLDEST: &str = "1.33";

/// A type of archive that came with 1.36: without its columns, the database is of that version too.
pub(super) const ARCHIVE_TYPE: &str = "erofs";

/// The objects that the schema files make; made for a moment in a schema of their own.
pub(super) async fn objects(tx: &mut Tx) -> Result<Vec<Object>> {
    let point = tx.savepoint().await?;
    let mut text = "CREATE SCHEMA toji_expected; SET LOCAL search_path = toji_expected;".to_owned();
    for file in FILES.iter().filter(|f| f.number < KOJI) {
        text += &schema_text(Engine::Postgres, file.text);
    }
    let made = match tx.batch(text).await {
        Ok(()) => catalog::read(tx).await,
        Err(error) => Err(error),
    };
    tx.rollback_to(point).await?;
    tx.release(point).await?;
    made
}

/// The statements of the files that a Koji hub knows nothing of.
pub(super) fn own_statements() -> Vec<String> {
    statements(FILES.iter().filter(|f| f.number > KOJI).map(|f| f.text))
}

/// The statements that make Koji's tables and indexes.
pub(super) fn koji_statements() -> Vec<String> {
    statements(FILES.iter().filter(|f| f.number < KOJI).map(|f| f.text))
}

fn statements<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<String> {
    texts.flat_map(|text| split(&schema_text(Engine::Postgres, text))).collect()
}

/// Takes a script apart; a semicolon within quotes does not end a statement.
fn split(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let (mut statement, mut quoted) = (String::new(), false);
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("--"));
    for c in lines.flat_map(|line| line.chars().chain(['\n'])) {
        quoted ^= c == '\'';
        if c == ';' && !quoted {
            out.push(std::mem::take(&mut statement).trim().to_owned());
        } else {
            statement.push(c);
        }
    }
    out.retain(|s| !s.is_empty());
    out
}

/// The name and table of the index that a statement makes.
pub(super) fn index_of(statement: &str) -> Option<(&str, &str)> {
    let words: Vec<&str> = statement.split_whitespace().collect();
    let at = words.iter().position(|w| *w == "INDEX").filter(|at| *at <= 2)?;
    let on = words.iter().position(|w| *w == "ON")?;
    (words.first() == Some(&"CREATE")).then_some((*words.get(at + 1)?, *words.get(on + 1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_scripts_apart() {
        let text =
            "-- a; b\nCREATE TABLE a (\n  x TEXT DEFAULT ';'\n);\nCREATE INDEX i ON a (x);\n";
        assert_eq!(
            split(text),
            ["CREATE TABLE a (\n  x TEXT DEFAULT ';'\n)", "CREATE INDEX i ON a (x)"]
        );
        assert_eq!(index_of("CREATE INDEX i ON a (x)"), Some(("i", "a")));
        assert_eq!(index_of("CREATE UNIQUE INDEX j\n    ON b (x) WHERE y"), Some(("j", "b")));
        assert_eq!(index_of("CREATE TABLE index (x)"), None);
    }

    #[test]
    fn every_statement_is_known() {
        for statement in own_statements().iter().chain(&koji_statements()) {
            let known = ["CREATE ", "INSERT INTO ", "ALTER TABLE "];
            assert!(known.iter().any(|k| statement.starts_with(k)), "{statement}");
        }
    }
}
