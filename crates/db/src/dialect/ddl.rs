//! The schema text for an engine: sections, the version columns, and column types.

use crate::db::Engine;

/// The columns of an event-versioned table, for the marker `--:versioned KEYS`.
const VERSIONED: &str = "    create_event INTEGER NOT NULL REFERENCES events(id)%DEFAULT%,
    revoke_event INTEGER REFERENCES events(id),
    creator_id INTEGER NOT NULL REFERENCES users(id),
    revoker_id INTEGER REFERENCES users(id),
    active BOOLEAN DEFAULT TRUE CHECK (active),
    CONSTRAINT active_revoke_sane CHECK (
        (active IS NULL AND revoke_event IS NOT NULL AND revoker_id IS NOT NULL)
        OR (active IS NOT NULL AND revoke_event IS NULL AND revoker_id IS NULL)),
    PRIMARY KEY (create_event, %KEYS%)";

/// The text of a schema file as `engine` runs it.
///
/// Markers, each on its own line: `--:postgres`, `--:sqlite` and `--:end` enclose text for one engine,
/// `--:versioned a, b` stands for the version columns with the primary key `(create_event, a, b)`.
/// On SQLite `SERIAL PRIMARY KEY`, `TIMESTAMPTZ`, `JSONB`, `JSON`, `BYTEA`, `VARCHAR(n)` and
/// function defaults are rewritten.
pub(crate) fn schema_text(engine: Engine, text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut section = None;
    for line in text.lines() {
        match line.trim().split_once(' ').unwrap_or((line.trim(), "")) {
            ("--:postgres", _) => section = Some(Engine::Postgres),
            ("--:sqlite", _) => section = Some(Engine::Sqlite),
            ("--:end", _) => section = None,
            _ if section.is_some_and(|s| s != engine) => {}
            ("--:versioned", keys) => versioned(engine, keys, &mut out),
            _ if section.is_some() || engine == Engine::Postgres => push(&mut out, line),
            _ => push(&mut out, &sqlite_line(line)),
        }
    }
    out
}

fn push(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}

fn versioned(engine: Engine, keys: &str, out: &mut String) {
    let (keys, comma) = keys.strip_suffix(',').map_or((keys, ""), |k| (k, ","));
    let default = match engine {
        Engine::Postgres => " DEFAULT get_event()",
        Engine::Sqlite => "",
    };
    let text = VERSIONED.replace("%DEFAULT%", default).replace("%KEYS%", keys);
    push(out, &(text + comma));
}

/// One line of a table with SQLite's types. The type's name stays in the declaration, from which
/// results get their types; `TEXT` in it keeps SQLite from turning digits into numbers.
fn sqlite_line(line: &str) -> String {
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let column = words.iter().find(|w| !w.is_empty()).cloned().unwrap_or_default();
    for word in &mut words {
        let (body, comma) = word.strip_suffix(',').map_or((word.as_str(), ""), |w| (w, ","));
        let size = body.strip_prefix("VARCHAR(").and_then(|n| n.strip_suffix(')'));
        let new = match body {
            "TIMESTAMPTZ" => "TIMESTAMPTZ_TEXT".into(),
            "JSONB" => "JSONB_TEXT".into(),
            "JSON" => "JSON_TEXT".into(),
            "BYTEA" => "BLOB".into(),
            "NOW()" | "clock_timestamp()" => format!("({body})"),
            _ => match size {
                Some(n) => format!("{body} CHECK (length({column}) <= {n})"),
                None => continue,
            },
        };
        *word = new + comma;
    }
    let mut out = words.join(" ");
    for serial in ["BIGSERIAL", "SERIAL"] {
        out = out
            .replace(&format!("{serial} NOT NULL PRIMARY KEY"), &format!("{serial} PRIMARY KEY"));
        out = out.replace(&format!("{serial} PRIMARY KEY"), "INTEGER PRIMARY KEY AUTOINCREMENT");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_types() {
        let text = "CREATE TABLE t (\n  id SERIAL PRIMARY KEY,\n  at TIMESTAMPTZ NOT NULL DEFAULT NOW(),\n  \
                    name VARCHAR(5) NOT NULL,\n--:versioned id,\n--:postgres\npg\n--:end\n  UNIQUE (id)\n);";
        let out = schema_text(Engine::Sqlite, text);
        assert!(out.contains("id INTEGER PRIMARY KEY AUTOINCREMENT,"), "{out}");
        assert!(out.contains("at TIMESTAMPTZ_TEXT NOT NULL DEFAULT (NOW()),"), "{out}");
        assert!(out.contains("name VARCHAR(5) CHECK (length(name) <= 5) NOT NULL,"), "{out}");
        assert!(out.contains("PRIMARY KEY (create_event, id),\n"), "{out}");
        assert!(!out.contains("pg") && !out.contains("get_event"), "{out}");
        assert!(schema_text(Engine::Postgres, text).contains("DEFAULT get_event()"));
    }
}
