//! The options that a caller may give to a listing call.

use toji_value::{Map, Value};

use crate::{Error, Result};

/// Koji's `queryOpts`; unknown keys are ignored, as a Koji hub does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryOpts {
    /// Answer only how many rows there are.
    pub count_only: bool,
    /// Answer lists instead of mappings.
    pub as_list: bool,
    /// Comma-separated names to sort by; a minus descends.
    pub order: Option<String>,
    /// Rows to leave out at the start.
    pub offset: Option<i64>,
    /// At most so many rows.
    pub limit: Option<i64>,
    /// Comma-separated names to group by, where the call allows it.
    pub group: Option<String>,
    /// Lock the rows.
    pub row_lock: bool,
}

impl QueryOpts {
    /// From a caller's value: a mapping, or what is false in Python's sense.
    pub fn from_value(value: &Value) -> Result<QueryOpts> {
        match value {
            Value::Struct(map) => QueryOpts::from_map(map),
            none if !none.truthy() => Ok(QueryOpts::default()),
            other => {
                Err(Error::Option(format!("Invalid type for query options: {}", other.type_name())))
            }
        }
    }

    /// From a caller's mapping; what is false in Python's sense counts as not given.
    pub fn from_map(map: &Map) -> Result<QueryOpts> {
        Ok(QueryOpts {
            count_only: map.truthy("countOnly"),
            as_list: map.truthy("asList"),
            order: text(map, "order")?,
            offset: number(map, "offset")?,
            limit: number(map, "limit")?,
            group: text(map, "group")?,
            row_lock: map.truthy("rowlock"),
        })
    }
}

fn text(map: &Map, key: &str) -> Result<Option<String>> {
    match map.value(key) {
        value if !value.truthy() => Ok(None),
        Value::Str(text) => Ok(Some(text.clone())),
        other => Err(Error::Option(format!(
            "Invalid type for query option {key}: {}",
            other.type_name()
        ))),
    }
}

fn number(map: &Map, key: &str) -> Result<Option<i64>> {
    match map.value(key) {
        value if !value.truthy() => Ok(None),
        Value::Int(n) if *n < 0 => {
            Err(Error::Option(format!("query option {key} must not be negative")))
        }
        Value::Int(n) => Ok(Some(*n)),
        // Koji writes the number into its statement with `%i`.
        Value::Double(d) if *d > 0.0 && *d < 9e15 => Ok(Some(*d as i64)),
        Value::Bool(true) => Ok(Some(1)),
        other => Err(Error::Option(format!(
            "Invalid type for query option {key}: {}",
            other.type_name()
        ))),
    }
}
