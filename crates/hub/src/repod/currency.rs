//! Which repositories are out of date: the event that first changed their tag.

use std::collections::{HashMap, HashSet};

use toji_db::repo as sql;
use toji_types::RepoState;
use toji_value::Fault;

use crate::Call;
use crate::repo::change;

/// Repositories that may still become out of date without its being noted.
pub const CURRENT: [RepoState; 2] = [RepoState::Init, RepoState::Ready];

/// Notes, for repositories in one of the states and without one, the event that first changed their tag; returns how many.
///
/// With `since` only tags are looked at that changed after that event, or inherit from such a tag.
///
/// # Errors
/// When the database fails.
pub async fn update(
    call: &mut Call,
    states: &[RepoState],
    since: Option<i64>,
) -> Result<usize, Fault> {
    let states: Vec<i64> = states.iter().map(|state| *state as i64).collect();
    let rows = sql::without_end(&mut call.tx, &states).await?;
    let Some(first) = rows.first() else { return Ok(0) };
    let oldest: i64 = first.get("create_event")?;
    let changed = sql::changed_tags(&mut call.tx, since.unwrap_or(oldest).max(oldest)).await?;
    if changed.is_empty() {
        return Ok(0);
    }
    let affected = heirs(call, changed).await?;
    // a tag that has not changed since an older repository has not changed since a newer one
    let mut unchanged = HashSet::new();
    let mut ended = 0;
    for row in rows {
        let (id, tag_id): (i64, i64) = (row.get("id")?, row.get("tag_id")?);
        if !affected.contains(&tag_id) || unchanged.contains(&tag_id) {
            continue;
        }
        match change::first(call, tag_id, row.get("create_event")?).await? {
            Some(event) => {
                sql::set_end_event(&mut call.tx, id, event).await?;
                ended += 1;
            }
            None => {
                unchanged.insert(tag_id);
            }
        }
    }
    Ok(ended)
}

/// The tags themselves and all that inherit from them, directly or not.
async fn heirs(call: &mut Call, tags: Vec<i64>) -> Result<HashSet<i64>, Fault> {
    let mut children: HashMap<i64, Vec<i64>> = HashMap::new();
    for link in sql::links(&mut call.tx).await? {
        children.entry(link.get("parent_id")?).or_default().push(link.get("tag_id")?);
    }
    let mut found: HashSet<i64> = tags.iter().copied().collect();
    let mut waiting = tags;
    while let Some(tag) = waiting.pop() {
        for child in children.get(&tag).into_iter().flatten() {
            if found.insert(*child) {
                waiting.push(*child);
            }
        }
    }
    Ok(found)
}
