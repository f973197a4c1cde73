//! The caller's `queryOpts`, for listings that the database cannot order or cut by itself.

use std::cmp::Ordering;

use toji_db::QueryOpts;
use toji_value::{Fault, Value};

/// Reads the caller's `queryOpts`.
///
/// # Errors
/// `GenericError` for options of a wrong type.
pub fn options(value: &Value) -> Result<QueryOpts, Fault> {
    Ok(QueryOpts::from_value(value)?)
}

/// Orders, cuts or counts mappings as the options want.
///
/// # Errors
/// `GenericError` for an order by a member that is not there.
pub fn apply(mut items: Vec<Value>, opts: &QueryOpts) -> Result<Value, Fault> {
    if let Some(order) = &opts.order {
        let (key, descending) =
            order.strip_prefix('-').map_or((order.as_str(), false), |k| (k, true));
        let known = |item: &Value| item.as_struct().is_some_and(|map| map.contains_key(key));
        if !items.iter().all(known) {
            return Err(Fault::generic(format!("Invalid order: {key}")));
        }
        items.sort_by(|a, b| {
            let order = compare(a.get(key), b.get(key));
            if descending { order.reverse() } else { order }
        });
    }
    let take = |n: Option<i64>| n.and_then(|n| usize::try_from(n).ok());
    let cut = items.into_iter().skip(take(opts.offset).unwrap_or(0));
    let items: Vec<Value> = cut.take(take(opts.limit).unwrap_or(usize::MAX)).collect();
    if opts.count_only {
        return Ok(items.len().into());
    }
    Ok(Value::Array(items))
}

/// Nil sorts last, as in the database; numbers and texts among themselves.
pub(crate) fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Str(a), Value::Str(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Nil, Value::Nil) => Ordering::Equal,
        (Value::Nil, _) => Ordering::Greater,
        (_, Value::Nil) => Ordering::Less,
        _ => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => Ordering::Equal,
        },
    }
}
