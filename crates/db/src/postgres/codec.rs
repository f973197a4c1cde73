//! Parameters, values and errors between PostgreSQL and the rest, by declared type.

use bytes::{BufMut, BytesMut};
use toji_value::Value;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, IsNull, Kind as TypeKind, ToSql, Type, to_sql_checked};

use crate::row::Kind;
use crate::{Error, Param, Result, Time};

type BoxError = Box<dyn std::error::Error + Sync + Send>;

/// Microseconds from 1970 to PostgreSQL's epoch, 2000-01-01.
const EPOCH: i64 = 946_684_800_000_000;

/// A parameter on its way to a statement.
#[derive(Debug)]
pub(super) struct Bound<'a>(pub(super) &'a Param);

/// The form in which the driver takes parameters.
pub(super) fn refs<'a>(bound: &'a [Bound<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    bound.iter().map(|b| b as &(dyn ToSql + Sync)).collect()
}

/// A parameter that does not fit the declared type.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Misfit(String);

impl ToSql for Bound<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        if *self.0 == Param::Null {
            return Ok(IsNull::Yes);
        }
        if let TypeKind::Array(member) = ty.kind() {
            return array(self.0, member, ty, out);
        }
        scalar(self.0, ty, out)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn misfit(param: &Param, ty: &Type) -> BoxError {
    let what = match param {
        Param::Int(i) => i.to_string(),
        Param::Float(f) => f.to_string(),
        Param::Text(s) => format!("{s:?}"),
        Param::Null => "nothing".into(),
        Param::Bool(b) => b.to_string(),
        Param::Bytes(_) => "binary data".into(),
        Param::Time(t) => t.to_text(),
        Param::Json(_) => "JSON".into(),
        Param::Ints(_) | Param::Texts(_) => "a list".into(),
    };
    Box::new(Misfit(format!("{what} for {}", ty.name())))
}

fn scalar(param: &Param, ty: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
    let no = || misfit(param, ty);
    match (param, ty) {
        (Param::Bool(b), &Type::BOOL) => out.put_u8((*b).into()),
        (Param::Int(i), &Type::INT2) => out.put_i16(i16::try_from(*i).map_err(|_| no())?),
        (Param::Int(i), &Type::INT4) => out.put_i32(i32::try_from(*i).map_err(|_| no())?),
        (Param::Int(i), &Type::INT8) => out.put_i64(*i),
        (Param::Int(i), &Type::OID) => out.put_u32(u32::try_from(*i).map_err(|_| no())?),
        (Param::Int(i), &Type::FLOAT8) => out.put_f64(*i as f64),
        (Param::Float(f), &Type::FLOAT8) => out.put_f64(*f),
        (Param::Float(f), &Type::FLOAT4) => out.put_f32(*f as f32),
        (
            Param::Int(_) | Param::Float(_) | Param::Text(_) | Param::Time(_),
            &Type::TIMESTAMPTZ | &Type::TIMESTAMP,
        ) => {
            out.put_i64(moment(param)?.0 - EPOCH);
        }
        (Param::Bytes(b), &Type::BYTEA) => out.put_slice(b),
        (Param::Json(v), &Type::JSONB) => {
            out.put_u8(1);
            out.put_slice(v.to_json().to_string().as_bytes());
        }
        (Param::Json(v), &Type::JSON | &Type::TEXT | &Type::VARCHAR) => {
            out.put_slice(v.to_json().to_string().as_bytes());
        }
        (Param::Text(s), &Type::JSONB) => {
            out.put_u8(1);
            out.put_slice(s.as_bytes());
        }
        (
            Param::Text(s),
            &Type::TEXT
            | &Type::VARCHAR
            | &Type::BPCHAR
            | &Type::NAME
            | &Type::UNKNOWN
            | &Type::JSON,
        ) => {
            if s.contains('\0') {
                return Err(no());
            }
            out.put_slice(s.as_bytes());
        }
        _ => return Err(no()),
    }
    Ok(IsNull::No)
}

fn moment(param: &Param) -> Result<Time, BoxError> {
    let time = match param {
        Param::Time(t) => Ok(*t),
        Param::Int(i) => Time::from_epoch(*i as f64),
        Param::Float(f) => Time::from_epoch(*f),
        Param::Text(s) => Time::parse(s),
        _ => Err(Error::Type("a timestamp was expected".into())),
    };
    time.map_err(|e| Box::new(Misfit(e.to_string())) as BoxError)
}

/// The binary form of a one-dimensional array.
fn array(param: &Param, member: &Type, ty: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
    let members: Vec<Param> = match param {
        Param::Ints(list) => list.iter().map(|i| Param::Int(*i)).collect(),
        Param::Texts(list) => list.iter().map(|s| Param::Text(s.clone())).collect(),
        _ => return Err(misfit(param, ty)),
    };
    out.put_i32(i32::from(!members.is_empty()));
    out.put_i32(0);
    out.put_u32(member.oid());
    if !members.is_empty() {
        out.put_i32(i32::try_from(members.len())?);
        out.put_i32(1);
    }
    for item in &members {
        let at = out.len();
        out.put_i32(0);
        scalar(item, member, out)?;
        let len = i32::try_from(out.len() - at - 4)?;
        out[at..at + 4].copy_from_slice(&len.to_be_bytes());
    }
    Ok(IsNull::No)
}

/// A value as it arrived.
pub(super) struct Cell(pub(super) Value);

impl<'a> FromSql<'a> for Cell {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, BoxError> {
        Ok(Cell(match *ty {
            Type::BOOL => Value::Bool(bool::from_sql(ty, raw)?),
            Type::INT2 => Value::Int(i16::from_sql(ty, raw)?.into()),
            Type::INT4 => Value::Int(i32::from_sql(ty, raw)?.into()),
            Type::INT8 => Value::Int(i64::from_sql(ty, raw)?),
            Type::OID => Value::Int(u32::from_sql(ty, raw)?.into()),
            Type::FLOAT4 => Value::Double(f32::from_sql(ty, raw)?.into()),
            Type::FLOAT8 => Value::Double(f64::from_sql(ty, raw)?),
            Type::NUMERIC => numeric(raw)?,
            Type::TIMESTAMPTZ | Type::TIMESTAMP => Value::Str(
                Time(i64::from_be_bytes(raw.try_into()?).saturating_add(EPOCH)).to_text(),
            ),
            Type::JSON => Value::from_json(serde_json::from_slice(raw)?),
            Type::JSONB => {
                Value::from_json(serde_json::from_slice(raw.get(1..).unwrap_or_default())?)
            }
            Type::BYTEA => Value::Bytes(raw.to_vec()),
            Type::VOID => Value::Nil,
            _ => match ty.kind() {
                TypeKind::Array(_) => {
                    let members = Vec::<Option<Cell>>::from_sql(ty, raw)?;
                    Value::Array(
                        members.into_iter().map(|c| c.map_or(Value::Nil, |c| c.0)).collect(),
                    )
                }
                _ => Value::Str(std::str::from_utf8(raw)?.to_owned()),
            },
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, BoxError> {
        Ok(Cell(Value::Nil))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A NUMERIC: whole numbers (sums) as integers, others (averages) as doubles.
fn numeric(raw: &[u8]) -> Result<Value, BoxError> {
    let half = |i: usize| -> Result<i16, BoxError> {
        Ok(i16::from_be_bytes(raw.get(i * 2..i * 2 + 2).ok_or("short numeric")?.try_into()?))
    };
    let (digits, weight, sign, scale) = (half(0)?, i32::from(half(1)?), half(2)?, half(3)?);
    let mut text = String::from(if sign == 0x4000 { "-" } else { "" });
    if sign & !0x4000 != 0 {
        return Ok(Value::Double(f64::NAN));
    }
    text.push('0');
    for place in (-(i32::from(scale) + 3) / 4..=weight.max(0)).rev() {
        let index = weight - place;
        let digit =
            if (0..i32::from(digits)).contains(&index) { half(4 + index as usize)? } else { 0 };
        if place == -1 {
            text.push('.');
        }
        text.push_str(&format!("{digit:04}"));
    }
    Ok(match text.parse() {
        Ok(whole) if scale == 0 => Value::Int(whole),
        _ => Value::Double(text.parse()?),
    })
}

/// Applies the type that an alias asks for.
pub(super) fn as_kind(value: Value, kind: Kind) -> Result<Value> {
    Ok(match (kind, value) {
        (Kind::Json, Value::Str(text)) => {
            let json = serde_json::from_str(&text)
                .map_err(|e| Error::Type(format!("stored JSON: {e}")))?;
            Value::from_json(json)
        }
        (Kind::Bool, Value::Int(i)) => Value::Bool(i != 0),
        (_, value) => value,
    })
}

/// Tells the server's errors apart.
pub(crate) fn error(error: tokio_postgres::Error) -> Error {
    use std::error::Error as _;
    if let Some(misfit) = error.source().and_then(|e| e.downcast_ref::<Misfit>()) {
        return Error::Type(misfit.0.clone());
    }
    let Some(db) = error.as_db_error() else {
        return if error.is_closed() || error.source().is_some_and(|e| e.is::<std::io::Error>()) {
            Error::Lost(with_cause(&error))
        } else {
            Error::Other(with_cause(&error))
        };
    };
    let constraint = || db.constraint().unwrap_or_default().to_owned();
    let code = db.code();
    match code.code() {
        _ if *code == SqlState::UNIQUE_VIOLATION => Error::Unique { constraint: constraint() },
        _ if *code == SqlState::FOREIGN_KEY_VIOLATION => {
            Error::ForeignKey { constraint: constraint() }
        }
        _ if *code == SqlState::CHECK_VIOLATION => Error::Check { constraint: constraint() },
        _ if *code == SqlState::NOT_NULL_VIOLATION => {
            Error::NotNull { column: db.column().unwrap_or_default().to_owned() }
        }
        "40001" | "40P01" => Error::Conflict,
        "55P03" | "53300" => Error::Busy,
        "57014" => Error::Cancelled,
        "25P02" => Error::Aborted,
        "22001" => Error::Check { constraint: db.message().to_owned() },
        "57P01" | "57P02" | "57P03" => Error::Lost(db.message().to_owned()),
        c if c.starts_with("08") => Error::Lost(db.message().to_owned()),
        c if c.starts_with("22") => Error::Type(db.message().to_owned()),
        c if c.starts_with("42") => Error::Statement(db.message().to_owned()),
        _ => Error::Other(db.message().to_owned()),
    }
}

/// What the driver says, and what it gives as the reason: why a certificate is refused, for example.
pub(super) fn with_cause(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
