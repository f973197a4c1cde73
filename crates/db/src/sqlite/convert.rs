//! Parameters, rows and errors between SQLite and the rest.

use std::sync::Arc;

use rusqlite::types::{Value as Sql, ValueRef};
use rusqlite::{Connection, ErrorCode, Statement, ffi};
use toji_value::Value;

use crate::dialect::Plan;
use crate::row::{Columns, Kind};
use crate::{Error, Param, Result, Row, Time};

/// What is handed to SQLite for the parameters.
pub(super) fn bind_all(params: &[Param]) -> Vec<Sql> {
    params.iter().map(bind).collect()
}

fn bind(param: &Param) -> Sql {
    match param {
        Param::Null => Sql::Null,
        Param::Bool(b) => Sql::Integer((*b).into()),
        Param::Int(i) => Sql::Integer(*i),
        Param::Float(f) => Sql::Real(*f),
        Param::Text(s) => Sql::Text(s.clone()),
        Param::Bytes(b) => Sql::Blob(b.clone()),
        Param::Time(t) => Sql::Text(t.to_stored()),
        Param::Json(v) => Sql::Text(v.to_json().to_string()),
        Param::Ints(list) => Sql::Text(serde_json::json!(list).to_string()),
        // Texts can always be written.
        Param::Texts(list) => Sql::Text(serde_json::to_string(list).unwrap_or_default()),
    }
}

pub(super) fn query(conn: &Connection, plan: &Plan, params: Vec<Sql>) -> Result<Vec<Row>> {
    let mut stmt = prepare(conn, plan, params)?;
    let columns = columns(plan, &stmt);
    let mut out = Vec::new();
    let mut rows = stmt.raw_query();
    while let Some(row) = rows.next().map_err(error)? {
        let mut values = Vec::with_capacity(columns.kinds.len());
        for (i, kind) in columns.kinds.iter().enumerate() {
            values.push(decode(row.get_ref(i).map_err(error)?, *kind)?);
        }
        out.push(Row { columns: columns.clone(), values });
    }
    Ok(out)
}

pub(super) fn execute(conn: &Connection, plan: &Plan, params: Vec<Sql>) -> Result<u64> {
    let mut stmt = prepare(conn, plan, params)?;
    if stmt.column_count() == 0 {
        return stmt.raw_execute().map(|n| n as u64).map_err(error);
    }
    let mut rows = stmt.raw_query();
    let mut count = 0;
    while rows.next().map_err(error)?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// Adds the rows of a CSV text to a table, reading each field as its column's type.
pub(super) fn copy_csv(conn: &Connection, table: &str, columns: &str, csv: &[u8]) -> Result<u64> {
    let probe = conn.prepare(&format!("SELECT {columns} FROM {table} LIMIT 0")).map_err(error)?;
    let kinds = describe(&probe).kinds.clone();
    let places = vec!["?"; kinds.len()].join(", ");
    let mut insert = conn
        .prepare(&format!("INSERT INTO {table} ({columns}) VALUES ({places})"))
        .map_err(error)?;
    let mut count = 0;
    for record in crate::load::records(csv).skip(1) {
        let record = record?;
        if record.len() != kinds.len() {
            return Err(Error::Type(format!("{table}: {} fields in row {count}", record.len())));
        }
        for (i, (field, kind)) in record.into_iter().zip(&kinds).enumerate() {
            insert.raw_bind_parameter(i + 1, csv_value(field, *kind)?).map_err(error)?;
        }
        insert.raw_execute().map_err(error)?;
        count += 1;
    }
    Ok(count)
}

fn csv_value(field: Option<String>, kind: Kind) -> Result<Sql> {
    let Some(text) = field else { return Ok(Sql::Null) };
    Ok(match kind {
        Kind::Bool => Sql::Integer((text == "t").into()),
        Kind::Time => Sql::Text(Time::parse(&text)?.to_stored()),
        // Numbers: the column's affinity turns the text into one.
        _ => Sql::Text(text),
    })
}

fn prepare<'c>(
    conn: &'c Connection,
    plan: &Plan,
    params: Vec<Sql>,
) -> Result<rusqlite::CachedStatement<'c>> {
    let mut stmt = conn.prepare_cached(&plan.sql).map_err(error)?;
    if stmt.parameter_count() != params.len() {
        let (want, got) = (stmt.parameter_count(), params.len());
        return Err(Error::Statement(format!(
            "{want} parameters wanted, {got} given: {}",
            plan.sql
        )));
    }
    for (i, param) in params.into_iter().enumerate() {
        stmt.raw_bind_parameter(i + 1, param).map_err(error)?;
    }
    Ok(stmt)
}

fn columns(plan: &Plan, stmt: &Statement<'_>) -> Arc<Columns> {
    let known = plan.columns.get_or_init(|| describe(stmt));
    // A changed schema can change what `*` stands for.
    if known.names.len() == stmt.column_count() { known.clone() } else { describe(stmt) }
}

fn describe(stmt: &Statement<'_>) -> Arc<Columns> {
    let columns: Vec<_> = stmt.columns().collect();
    Columns::new(columns.iter().map(|c| (c.name(), declared(c.decl_type()))))
}

fn declared(name: Option<&str>) -> Kind {
    match name {
        Some("BOOLEAN") => Kind::Bool,
        Some("TIMESTAMPTZ_TEXT") => Kind::Time,
        Some("JSONB_TEXT" | "JSON_TEXT") => Kind::Json,
        _ => Kind::Plain,
    }
}

fn decode(value: ValueRef<'_>, kind: Kind) -> Result<Value> {
    Ok(match (value, kind) {
        (ValueRef::Null, _) => Value::Nil,
        (ValueRef::Integer(i), Kind::Bool) => Value::Bool(i != 0),
        (ValueRef::Integer(i), _) => Value::Int(i),
        (ValueRef::Real(f), _) => Value::Double(f),
        (ValueRef::Text(t), Kind::Json) => {
            let json =
                serde_json::from_slice(t).map_err(|e| Error::Type(format!("stored JSON: {e}")))?;
            Value::from_json(json)
        }
        (ValueRef::Text(t), Kind::Time) => Value::Str(short_time(text(t)?)),
        (ValueRef::Text(t), _) => Value::Str(text(t)?.to_owned()),
        (ValueRef::Blob(b), _) => Value::Bytes(b.to_vec()),
    })
}

fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|e| Error::Type(format!("stored text: {e}")))
}

/// The stored time without a fraction that is zero.
fn short_time(stored: &str) -> String {
    match stored.strip_suffix(".000000+00:00") {
        Some(whole) => format!("{whole}+00:00"),
        None => stored.to_owned(),
    }
}

/// Tells SQLite's errors apart.
pub(crate) fn error(error: rusqlite::Error) -> Error {
    let (failure, message) = match error {
        rusqlite::Error::SqliteFailure(failure, message) => (failure, message),
        rusqlite::Error::SqlInputError { msg, .. } => return Error::Statement(msg),
        other => return Error::Other(other.to_string()),
    };
    let message = message.unwrap_or_default();
    let named = || message.split_once(": ").map_or(message.as_str(), |(_, name)| name).to_owned();
    match (failure.code, failure.extended_code) {
        (
            _,
            ffi::SQLITE_CONSTRAINT_UNIQUE
            | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
            | ffi::SQLITE_CONSTRAINT_ROWID,
        ) => Error::Unique { constraint: named() },
        (_, ffi::SQLITE_CONSTRAINT_FOREIGNKEY | ffi::SQLITE_CONSTRAINT_TRIGGER) => {
            Error::ForeignKey { constraint: String::new() }
        }
        (_, ffi::SQLITE_CONSTRAINT_CHECK) => Error::Check { constraint: named() },
        (_, ffi::SQLITE_CONSTRAINT_NOTNULL) => {
            Error::NotNull { column: named().rsplit('.').next().unwrap_or_default().to_owned() }
        }
        (_, ffi::SQLITE_CONSTRAINT_FUNCTION) => Error::Type(message),
        (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => Error::Busy,
        (ErrorCode::OperationInterrupted, _) => Error::Cancelled,
        (ErrorCode::TypeMismatch, _) => Error::Type(message),
        // A statement that was prepared fails with this code only over its values.
        (ErrorCode::Unknown, _) => Error::Type(message),
        _ => Error::Other(format!("{failure}: {message}")),
    }
}
