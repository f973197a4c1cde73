//! One statement text for both engines: what SQLite needs written differently is rewritten here.

mod ddl;
mod token;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use crate::db::Engine;
use crate::row::Columns;
use token::{Token, tokens};

pub(crate) use ddl::schema_text;

/// A statement as an engine gets it, kept for each text.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The engine's text.
    pub(crate) sql: String,
    /// Whether it changes or locks rows (on SQLite: needs the writer).
    pub(crate) writes: bool,
    /// Whether it means something else outside of a transaction (PostgreSQL).
    pub(crate) transactional: bool,
    /// Values of the first run, for measurements.
    #[cfg(debug_assertions)]
    pub(crate) sample: OnceLock<Vec<crate::Param>>,
    /// Result columns, known after the first run.
    pub(crate) columns: OnceLock<Arc<Columns>>,
}

/// Plans by statement text.
#[derive(Debug)]
pub(crate) struct Plans {
    engine: Engine,
    known: RwLock<HashMap<Box<str>, Arc<Plan>>>,
}

/// Texts are stable, so this is never reached by design; it bounds a defect.
const MAX_PLANS: usize = 8192;

impl Plans {
    pub(crate) fn new(engine: Engine) -> Plans {
        Plans { engine, known: RwLock::default() }
    }

    /// The plan for `sql`.
    pub(crate) fn plan(&self, sql: &str) -> Arc<Plan> {
        if let Some(plan) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(sql) {
            return plan.clone();
        }
        let plan = Arc::new(make_plan(self.engine, sql));
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_PLANS {
            tracing::warn!("more than {MAX_PLANS} statement texts: some text is not stable");
            known.clear();
        }
        known.insert(sql.into(), plan.clone());
        plan
    }

    /// All texts that were run, with the values of the first run.
    #[cfg(debug_assertions)]
    pub(crate) fn samples(&self) -> Vec<(String, Vec<crate::Param>)> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let run = known.iter().filter_map(|(text, plan)| {
            plan.sample.get().map(|values| (text.to_string(), values.clone()))
        });
        run.collect()
    }

    /// Forgets result columns, after the schema changed.
    pub(crate) fn clear(&self) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn make_plan(engine: Engine, sql: &str) -> Plan {
    let tokens = tokens(sql);
    let writes = writes(&tokens);
    let transactional = writes || tokens.iter().any(binds_transaction);
    let sql = match engine {
        Engine::Postgres => sql.to_owned(),
        Engine::Sqlite => rewrite(&tokens).join(" "),
    };
    Plan {
        sql,
        writes,
        transactional,
        #[cfg(debug_assertions)]
        sample: OnceLock::new(),
        columns: OnceLock::new(),
    }
}

/// What follows FOR in a locking clause: `FOR NO KEY UPDATE` among them.
const LOCKS: [&str; 3] = ["UPDATE", "SHARE", "NO"];

fn writes(tokens: &[Token<'_>]) -> bool {
    const DML: [&str; 3] = ["INSERT", "UPDATE", "DELETE"];
    match tokens.first() {
        Some(t) if t.is_word("WITH") => tokens.iter().any(|t| DML.iter().any(|w| t.is_word(w))),
        Some(t) if t.is_word("SELECT") || t.is_word("VALUES") => tokens
            .windows(2)
            .any(|w| w[0].is_word("FOR") && LOCKS.iter().any(|lock| w[1].is_word(lock))),
        Some(_) => true,
        None => false,
    }
}

/// Whether a function's result or effect lasts for the transaction.
fn binds_transaction(token: &Token<'_>) -> bool {
    const NAMES: [&str; 4] = ["NOW", "TOJI_AGO", "CURRENT_TIMESTAMP", "SET_CONFIG"];
    match token {
        Token::Word(word) => {
            word.starts_with("pg_advisory")
                || word.starts_with("pg_try_advisory")
                || NAMES.iter().any(|n| token.is_word(n))
        }
        _ => false,
    }
}

/// SQLite's pieces of a statement.
fn rewrite(tokens: &[Token<'_>]) -> Vec<String> {
    let mut out: Vec<String> = Vec::with_capacity(tokens.len() + 8);
    let mut at = 0;
    while at < tokens.len() {
        at += rewrite_one(&tokens[at..], &mut out);
    }
    out
}

/// Rewrites what `rest` begins with; returns how many tokens that took.
fn rewrite_one(rest: &[Token<'_>], out: &mut Vec<String>) -> usize {
    let word = |i: usize, w: &str| rest.get(i).is_some_and(|t| t.is_word(w));
    let op = |i: usize, o: &str| rest.get(i).is_some_and(|t| t.is_op(o));
    match &rest[0] {
        Token::Param(n) => out.push(format!("?{n}")),
        Token::Op("=") if word(1, "ANY") && op(2, "(") => return list_test("IN", rest, out),
        Token::Op("<>" | "!=") if word(1, "ALL") && op(2, "(") => {
            return list_test("NOT IN", rest, out);
        }
        Token::Op("~") => out.push("REGEXP".into()),
        Token::Op("~*") => out.push("REGEXP '(?i)' ||".into()),
        Token::Op("!~") => out.push("NOT REGEXP".into()),
        Token::Op("!~*") => out.push("NOT REGEXP '(?i)' ||".into()),
        Token::Op("::") => return 1 + cast(&rest[1..], out),
        Token::Word(_) if word(0, "ILIKE") => out.push("MATCH".into()),
        Token::Word(_) if word(0, "FOR") && LOCKS.iter().any(|lock| word(1, lock)) => {
            return row_lock(rest);
        }
        Token::Word(_) if word(0, "ORDER") && word(1, "BY") => return order_by(rest, out),
        Token::Word(name) if op(1, "(") => out.push(function(name).into()),
        Token::Word(text) | Token::Quoted(text) | Token::Op(text) => out.push((*text).into()),
    }
    1
}

/// Functions that SQLite has under another name.
fn function(name: &str) -> &str {
    const NAMES: [(&str, &str); 6] = [
        ("GREATEST", "max"),
        ("LEAST", "min"),
        ("ARRAY_AGG", "json_group_array"),
        ("BOOL_OR", "max"),
        ("BOOL_AND", "min"),
        ("JSONB_AGG", "json_group_array"),
    ];
    NAMES.iter().find(|(from, _)| from.eq_ignore_ascii_case(name)).map_or(name, |(_, to)| to)
}

/// `= ANY(list)` and `<> ALL(list)`: the list is one JSON parameter, or a subquery.
fn list_test(test: &str, rest: &[Token<'_>], out: &mut Vec<String>) -> usize {
    let end = closing(rest, 2);
    let inner = &rest[3..end.min(rest.len())];
    let text = rewrite(inner).join(" ");
    out.push(match inner.first() {
        Some(t) if t.is_word("SELECT") => format!("{test} ({text})"),
        _ => format!("{test} (SELECT value FROM json_each({text}))"),
    });
    end + 1
}

/// Position of the parenthesis that closes the one at `open`.
fn closing(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0;
    for (i, token) in tokens.iter().enumerate().skip(open) {
        if token.is_op("(") {
            depth += 1;
        } else if token.is_op(")") {
            depth -= 1;
            if depth == 0 {
                return i;
            }
        }
    }
    tokens.len()
}

/// A `::type` cast of what was written last; returns the tokens of the type.
fn cast(kind: &[Token<'_>], out: &mut Vec<String>) -> usize {
    let Some(Token::Word(name)) = kind.first() else { return 0 };
    let mut used = 1;
    if name.eq_ignore_ascii_case("double") {
        used += 1;
    }
    if kind.get(used).is_some_and(|t| t.is_op("(")) {
        used = closing(kind, used) + 1;
    }
    if kind.get(used).is_some_and(|t| t.is_op("[")) {
        return used + 2;
    }
    let name = name.to_ascii_lowercase();
    let start = operand_start(out);
    let bound = out.len() - start == 1 && out[start].starts_with('?');
    let (before, after) = match name.as_str() {
        "timestamptz" => ("toji_time(", ")"),
        "text" | "varchar" => ("CAST(", " AS TEXT)"),
        "int" | "integer" | "int4" | "int8" | "bigint" | "smallint" if !bound => {
            ("CAST(", " AS INTEGER)")
        }
        "float" | "float8" | "double" | "real" if !bound => ("CAST(", " AS REAL)"),
        _ => return used,
    };
    let operand = out.split_off(start).join(" ");
    out.push(format!("{before}{operand}{after}"));
    used
}

/// Where the operand that ends `out` starts: a name, literal, parameter, call or parenthesis.
fn operand_start(out: &[String]) -> usize {
    let mut start = out.len().saturating_sub(1);
    if out.last().is_some_and(|t| t == ")") {
        let mut depth = 0;
        for (i, piece) in out.iter().enumerate().rev() {
            depth += i32::from(piece == ")") - i32::from(piece == "(");
            if depth == 0 {
                start = i;
                break;
            }
        }
        let called = start > 0 && out[start - 1].chars().all(|c| c.is_alphanumeric() || c == '_');
        start -= usize::from(called);
    }
    while start >= 2 && out[start - 1] == "." {
        start -= 2;
    }
    start
}

/// `FOR [NO KEY] UPDATE [OF t] [NOWAIT | SKIP LOCKED]`: on SQLite the single writer is the lock.
fn row_lock(rest: &[Token<'_>]) -> usize {
    let mut used = if rest.get(1).is_some_and(|t| t.is_word("NO")) { 4 } else { 2 };
    loop {
        match rest.get(used) {
            Some(t) if t.is_word("OF") || t.is_word("SKIP") => used += 2,
            Some(t) if t.is_word("NOWAIT") => used += 1,
            _ => return used,
        }
    }
}

/// `ORDER BY`: PostgreSQL sorts NULL as the greatest value, SQLite as the least.
fn order_by(rest: &[Token<'_>], out: &mut Vec<String>) -> usize {
    const ENDS: [&str; 8] =
        ["LIMIT", "OFFSET", "FOR", "ROWS", "RANGE", "UNION", "RETURNING", "FETCH"];
    out.push("ORDER BY".into());
    let (mut depth, mut at, mut start) = (0, 2, 2);
    loop {
        let token = rest.get(at);
        let ended =
            token.is_none_or(|t| depth == 0 && (t.is_op(")") || ENDS.iter().any(|w| t.is_word(w))));
        if ended || depth == 0 && token.is_some_and(|t| t.is_op(",")) {
            order_term(&rest[start..at], out);
            if ended {
                return at;
            }
            out.push(",".into());
            start = at + 1;
        }
        depth += token.map_or(0, |t| i32::from(t.is_op("(")) - i32::from(t.is_op(")")));
        at += 1;
    }
}

fn order_term(term: &[Token<'_>], out: &mut Vec<String>) {
    out.extend(rewrite(term));
    if !term.iter().any(|t| t.is_word("NULLS")) {
        let descending = term.last().is_some_and(|t| t.is_word("DESC"));
        out.push(if descending { "NULLS FIRST" } else { "NULLS LAST" }.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sqlite(sql: &str) -> String {
        make_plan(Engine::Sqlite, sql).sql
    }

    #[test]
    fn rewrites() {
        for (given, want) in [
            (
                "SELECT a FROM t WHERE id = ANY($1)",
                "SELECT a FROM t WHERE id IN (SELECT value FROM json_each(?1))",
            ),
            ("x <> ALL($2::int[])", "x NOT IN (SELECT value FROM json_each(?2))"),
            ("x = ANY(SELECT y FROM z)", "x IN (SELECT y FROM z)"),
            ("n ILIKE $1 AND n !~* 'x'", "n MATCH ?1 AND n NOT REGEXP '(?i)' || 'x'"),
            (
                "a.id::TEXT || f(a, (b))::text",
                "CAST(a . id AS TEXT) || CAST(f ( a , ( b ) ) AS TEXT)",
            ),
            ("$1::int + x::int", "?1 + CAST(x AS INTEGER)"),
            ("t < $1::timestamptz", "t < toji_time(?1)"),
            ("SELECT 1 FROM l FOR UPDATE SKIP LOCKED", "SELECT 1 FROM l"),
            (
                "SELECT 1 FROM l ORDER BY a FOR NO KEY UPDATE",
                "SELECT 1 FROM l ORDER BY a NULLS LAST",
            ),
            (
                "SELECT a FROM t ORDER BY a, f(b, c) DESC, d NULLS FIRST LIMIT $1",
                "SELECT a FROM t ORDER BY a NULLS LAST , f ( b , c ) DESC NULLS FIRST , d NULLS FIRST LIMIT ?1",
            ),
            ("(SELECT x ORDER BY y) z", "( SELECT x ORDER BY y NULLS LAST ) z"),
            ("SELECT 'a::b $1' -- note\n, \"c d\"", "SELECT 'a::b $1' , \"c d\""),
            ("GREATEST(a, 1)", "max ( a , 1 )"),
        ] {
            assert_eq!(sqlite(given), want, "{given}");
        }
    }

    #[test]
    fn tells_writes() {
        for (sql, want) in [
            ("SELECT 1", false),
            ("WITH a AS (SELECT 1) SELECT * FROM a", false),
            ("WITH a AS (SELECT 1) INSERT INTO b SELECT * FROM a", true),
            (" /* x */ insert into t values (1)", true),
            ("SELECT 1 FROM t FOR UPDATE", true),
            ("SELECT 1 FROM t FOR NO KEY UPDATE", true),
            ("SELECT 'FOR UPDATE'", false),
        ] {
            assert_eq!(make_plan(Engine::Sqlite, sql).writes, want, "{sql}");
        }
    }
}
