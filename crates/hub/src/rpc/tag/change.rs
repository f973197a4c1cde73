//! When a tag changed.

use toji_api::tag::*;
use toji_db::lookup::Names;
use toji_value::{Fault, FromValue, IntoValue, Value};

use crate::Call;
use crate::dispatch::Handle;
use crate::tag::{self, When, inherit};

/// An event far behind all others.
const END: i64 = i32::MAX as i64;

impl Handle for TagChangedSinceEvent {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let event = i64::from_value(self.event)?.clamp(-1, END);
        let wrong = || Fault::parameter("taglist must be a list of tag ids");
        let tags = self.taglist.as_array().filter(|tags| !tags.is_empty()).ok_or_else(wrong)?;
        let ids = tags.iter().map(|tag| tag.as_int().map(crate::lookup::fit).ok_or_else(wrong));
        let ids: Vec<i64> = ids.collect::<Result<_, _>>()?;
        Ok(toji_db::tag::changed_since(&mut call.tx, event, &ids).await?.into())
    }
}

/// The tag and, if wanted, all that it inherits from.
async fn tags(
    call: &mut Call,
    id: i64,
    inherit: bool,
    event: Option<i64>,
) -> Result<Vec<i64>, Fault> {
    let mut tags = vec![id];
    if inherit {
        let order = inherit::full(call, id, event).await?;
        tags.extend(order.iter().map(|node| node.parent_id));
    }
    Ok(tags)
}

impl Handle for TagLastChangeEvent {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let found = tag::need(call, &self.tag, When::Latest).await?;
        let before = Option::<i64>::from_value(self.before)?.map(|event| event.clamp(-1, END));
        if let (None, Some(deleted)) = (before, found.revoke_event) {
            return Ok(deleted.into());
        }
        let tags = tags(call, found.id, self.inherit, before).await?;
        let limit = before.unwrap_or(END);
        let last = toji_db::tag::last_change(&mut call.tx, &tags, limit, before).await?;
        let Some(last) = last else { return Ok(Value::Nil) };
        Ok(found.revoke_event.map_or(last, |deleted| deleted.min(last)).into())
    }
}

impl Handle for TagFirstChangeEvent {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let id = call.need(Names::Tag, &self.tag).await?.id;
        let after = Option::<i64>::from_value(self.after)?.map(|event| event.clamp(-1, END));
        let created = toji_db::tag::created(&mut call.tx, id).await?;
        let Some(after) = after else { return Ok(created.into_value()) };
        let tags = tags(call, id, self.inherit, Some(after)).await?;
        let first = toji_db::tag::first_change(&mut call.tx, &tags, after).await?;
        Ok(first.map(|first| created.map_or(first, |made| first.max(made))).into_value())
    }
}
