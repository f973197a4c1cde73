//! The PostgreSQL functions that statements use, for SQLite.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use regex::{Regex, RegexBuilder};
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, Result};

use crate::Time;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The present moment in microseconds.
#[expect(clippy::disallowed_methods, reason = "the database's clock, as a server has its own")]
pub(super) fn clock() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| d.as_micros() as i64)
}

/// Makes the functions known to a connection; `now` is the start of its transaction.
pub(super) fn register(conn: &Connection, now: &Arc<AtomicI64>) -> Result<()> {
    let fixed = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    let start = now.clone();
    conn.create_scalar_function("now", 0, FunctionFlags::SQLITE_UTF8, move |_| {
        Ok(Time(start.load(Ordering::Relaxed)).to_stored())
    })?;
    let start = now.clone();
    conn.create_scalar_function("toji_ago", 1, FunctionFlags::SQLITE_UTF8, move |ctx| {
        let seconds: f64 = ctx.get(0)?;
        let at = Time(start.load(Ordering::Relaxed)).epoch() - seconds;
        Time::from_epoch(at).map(Time::to_stored).map_err(user)
    })?;
    conn.create_scalar_function("clock_timestamp", 0, FunctionFlags::SQLITE_UTF8, |_| {
        Ok(Time(clock()).to_stored())
    })?;
    conn.create_scalar_function("toji_time", 1, fixed, |ctx| {
        time(ctx, 0).map(|t| t.map(Time::to_stored))
    })?;
    conn.create_scalar_function("date_part", 2, fixed, date_part)?;
    // SQLite's own LIKE ignores ASCII case and has no default escape; PostgreSQL's is the backslash.
    conn.create_scalar_function("like", 2, fixed, |ctx| like(ctx, false))?;
    conn.create_scalar_function("like", 3, fixed, |ctx| like(ctx, false))?;
    conn.create_scalar_function("match", 2, fixed, |ctx| like(ctx, true))?;
    conn.create_scalar_function("match", 3, fixed, |ctx| like(ctx, true))?;
    conn.create_scalar_function("regexp", 2, fixed, |ctx| pattern_test(ctx, |p| Ok(Regex::new(p)?)))
}

fn user(error: impl Into<BoxError>) -> Error {
    Error::UserFunctionError(error.into())
}

/// A moment from stored text, ISO text or seconds.
fn time(ctx: &Context<'_>, index: usize) -> Result<Option<Time>> {
    Ok(match ctx.get_raw(index) {
        ValueRef::Null => None,
        ValueRef::Integer(i) => Some(Time::from_epoch(i as f64).map_err(user)?),
        ValueRef::Real(f) => Some(Time::from_epoch(f).map_err(user)?),
        ValueRef::Text(t) => {
            Some(Time::parse(std::str::from_utf8(t).map_err(user)?).map_err(user)?)
        }
        ValueRef::Blob(_) => return Err(user("a timestamp was expected")),
    })
}

fn date_part(ctx: &Context<'_>) -> Result<Option<f64>> {
    let field: String = ctx.get(0)?;
    if field != "epoch" {
        return Err(user(format!("date_part('{field}') is not available")));
    }
    Ok(time(ctx, 1)?.map(Time::epoch))
}

/// `like(pattern, text [, escape])`.
fn like(ctx: &Context<'_>, ignore_case: bool) -> Result<Option<bool>> {
    let escape: Option<String> = if ctx.len() > 2 { ctx.get(2)? } else { Some("\\".into()) };
    let escape = escape.and_then(|e| e.chars().next());
    pattern_test(ctx, |p| like_regex(p, escape, ignore_case))
}

/// Tests the text (argument 1) with the pattern (argument 0), which is compiled once for each statement.
fn pattern_test(
    ctx: &Context<'_>,
    compile: impl Fn(&str) -> Result<Regex, BoxError>,
) -> Result<Option<bool>> {
    if ctx.get_raw(0) == ValueRef::Null || ctx.get_raw(1) == ValueRef::Null {
        return Ok(None);
    }
    let regex = ctx.get_or_create_aux(0, |v: ValueRef<'_>| compile(v.as_str()?))?;
    Ok(Some(match ctx.get_raw(1) {
        ValueRef::Text(t) => regex.is_match(std::str::from_utf8(t).map_err(user)?),
        ValueRef::Integer(i) => regex.is_match(&i.to_string()),
        _ => return Err(user("text was expected")),
    }))
}

/// A LIKE pattern as an anchored regular expression.
fn like_regex(pattern: &str, escape: Option<char>, ignore_case: bool) -> Result<Regex, BoxError> {
    let mut text = String::from("^");
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            c if Some(c) == escape => {
                let literal =
                    chars.next().ok_or("LIKE pattern must not end with escape character")?;
                text.push_str(&regex::escape(literal.encode_utf8(&mut [0; 4])));
            }
            '%' => text.push_str(".*"),
            '_' => text.push('.'),
            c => text.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    text.push('$');
    Ok(RegexBuilder::new(&text).case_insensitive(ignore_case).dot_matches_new_line(true).build()?)
}
