//! When a tag changed, what it inherits included.

use toji_db::tag as db;
use toji_value::Fault;

use crate::Call;
use crate::tag::inherit;

/// After every event.
const END: i64 = i32::MAX as i64;

/// The tag and those it inherits from, now or at an event.
async fn with_parents(call: &mut Call, tag: i64, event: Option<i64>) -> Result<Vec<i64>, Fault> {
    let mut tags = vec![tag];
    tags.extend(inherit::full(call, tag, event).await?.iter().map(|node| node.parent_id));
    Ok(tags)
}

/// The newest event that changed a tag.
///
/// # Errors
/// When the database fails.
pub async fn last(call: &mut Call, tag: i64) -> Result<Option<i64>, Fault> {
    let tags = with_parents(call, tag, None).await?;
    Ok(db::last_change(&mut call.tx, &tags, END, None).await?)
}

/// The oldest event after `after` that changed a tag as it was then.
///
/// # Errors
/// When the database fails.
pub async fn first(call: &mut Call, tag: i64, after: i64) -> Result<Option<i64>, Fault> {
    let tags = with_parents(call, tag, Some(after)).await?;
    Ok(db::first_change(&mut call.tx, &tags, after).await?)
}
