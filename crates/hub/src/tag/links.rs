//! Changing the inheritance links of a tag.

use std::collections::BTreeMap;

use toji_db::tag::inheritance::{self, Link};
use toji_value::{Fault, FromValue, Map, Value};

use super::find_all;
use crate::Call;
use crate::lookup::fit;

/// What is to become of the link to a parent.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Change {
    Keep(Link),
    Set(Link),
    Delete(i64),
}

impl Change {
    fn parent_id(&self) -> i64 {
        match self {
            Change::Keep(link) | Change::Set(link) => link.parent_id,
            Change::Delete(parent_id) => *parent_id,
        }
    }

    fn link(&self) -> Option<&Link> {
        match self {
            Change::Keep(link) | Change::Set(link) => Some(link),
            Change::Delete(_) => None,
        }
    }
}

/// Applies a struct, or a list of structs, to the links of a tag; with `clear`, links that are not
/// named go away. Access is not checked here.
///
/// # Errors
/// `GenericError` for missing members, unknown parents and priorities given twice.
pub async fn set(call: &mut Call, tag_id: i64, data: &Value, clear: bool) -> Result<(), Fault> {
    let wanted = wanted(data)?;
    let parents: Vec<i64> = wanted.iter().map(Change::parent_id).collect();
    let known = find_all(call, &parents, None).await?;
    if let Some(id) = parents.iter().find(|id| !known.contains_key(id)) {
        return Err(super::missing(&Value::Int(*id)));
    }
    toji_db::lookup::hold(&mut call.tx, toji_db::lookup::Names::Tag, tag_id).await?;
    let rows = inheritance::parents(&mut call.tx, tag_id, None).await?;
    let current: Vec<Link> = rows.iter().map(link_of_row).collect::<Result<_, _>>()?;
    let plan = plan(current, wanted, clear);
    if plan.iter().all(|change| matches!(change, Change::Keep(_))) {
        return Ok(());
    }
    refuse_equal_priorities(tag_id, &plan)?;
    let actor = call.actor()?;
    let changed = || plan.iter().filter(|change| !matches!(change, Change::Keep(_)));
    // All old links go first: two links may swap their priorities.
    for change in changed() {
        inheritance::remove(&mut call.tx, tag_id, change.parent_id(), actor).await?;
    }
    for link in changed().filter_map(Change::link) {
        inheritance::add(&mut call.tx, tag_id, link, actor).await?;
    }
    call.signal(toji_bus::Topic::Repositories);
    let body = toji_value::map! { "tag_id" => tag_id };
    call.emit("tag.inheritance", &format!("tag:{tag_id}"), body);
    Ok(())
}

fn link_of_row(row: &toji_db::Row) -> Result<Link, Fault> {
    Ok(Link {
        parent_id: row.get("parent_id")?,
        priority: row.get("priority")?,
        maxdepth: row.get("maxdepth")?,
        intransitive: row.get("intransitive")?,
        noconfig: row.get("noconfig")?,
        pkg_filter: row.get("pkg_filter")?,
    })
}

fn wanted(data: &Value) -> Result<Vec<Change>, Fault> {
    let wrong = || Fault::parameter(format!("Invalid inheritance data: {}", data.repr()));
    match data {
        Value::Struct(one) => Ok(vec![change(one)?]),
        Value::Array(items) => items
            .iter()
            .map(|item| change(item.as_struct().ok_or_else(wrong)?))
            .collect::<Result<_, _>>(),
        _ => Err(wrong()),
    }
}

fn change(link: &Map) -> Result<Change, Fault> {
    let delete = link.truthy("delete link");
    let all = ["parent_id", "priority", "maxdepth", "intransitive", "noconfig", "pkg_filter"];
    let needed = if delete { &all[..1] } else { &all[..] };
    if let Some(member) = needed.iter().find(|member| !link.contains_key(member)) {
        return Err(Fault::generic(format!("No value for {member}")));
    }
    let Value::Int(parent_id) = link.value("parent_id") else {
        return Err(super::missing(link.value("parent_id")));
    };
    let parent_id = fit(*parent_id);
    if delete {
        return Ok(Change::Delete(parent_id));
    }
    Ok(Change::Set(Link {
        parent_id,
        priority: i64::from_value(link.value("priority").clone())?,
        maxdepth: Option::from_value(link.value("maxdepth").clone())?,
        intransitive: link.truthy("intransitive"),
        noconfig: link.truthy("noconfig"),
        pkg_filter: Option::from_value(link.value("pkg_filter").clone())?,
    }))
}

/// The present links with the wanted changes put in, in the order of the present ones.
fn plan(current: Vec<Link>, wanted: Vec<Change>, clear: bool) -> Vec<Change> {
    let mut plan: Vec<Change> = current.into_iter().map(Change::Keep).collect();
    for change in wanted {
        let parent_id = change.parent_id();
        let at = plan.iter().position(|old| old.parent_id() == parent_id);
        let differs = |old: &Change| clear || old.link() != change.link();
        match at {
            Some(at) if differs(&plan[at]) => plan[at] = change,
            None if change.link().is_some() => plan.push(change),
            _ => {}
        }
    }
    if clear {
        for old in plan.iter_mut().filter(|old| matches!(old, Change::Keep(_))) {
            *old = Change::Delete(old.parent_id());
        }
    }
    plan
}

fn refuse_equal_priorities(tag_id: i64, plan: &[Change]) -> Result<(), Fault> {
    let mut by_priority: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
    for link in plan.iter().filter_map(Change::link) {
        by_priority.entry(link.priority).or_default().push(link.parent_id.into());
    }
    let Some((priority, ids)) = by_priority.into_iter().find(|(_, ids)| ids.len() > 1) else {
        return Ok(());
    };
    let ids = Value::Array(ids).repr();
    Err(Fault::generic(format!(
        "Multiple parent tags ({ids}) cannot have the same priority value ({priority}) \
         on child tag {tag_id}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(parent_id: i64, priority: i64) -> Link {
        Link {
            parent_id,
            priority,
            maxdepth: None,
            intransitive: false,
            noconfig: false,
            pkg_filter: None,
        }
    }

    #[test]
    fn unnamed_links_stay_unless_cleared() {
        let current = vec![link(1, 0), link(2, 1)];
        let wanted = vec![Change::Set(link(2, 5)), Change::Delete(9)];
        let plan_of = |clear| plan(current.clone(), wanted.clone(), clear);
        assert_eq!(plan_of(false), [Change::Keep(link(1, 0)), Change::Set(link(2, 5))]);
        assert_eq!(plan_of(true), [Change::Delete(1), Change::Set(link(2, 5))]);
    }

    #[test]
    fn an_equal_link_is_no_change() {
        let plan = plan(vec![link(1, 0)], vec![Change::Set(link(1, 0))], false);
        assert_eq!(plan, [Change::Keep(link(1, 0))]);
    }

    #[test]
    fn equal_priorities_are_refused() {
        let plan = [Change::Keep(link(1, 5)), Change::Set(link(10, 5)), Change::Delete(3)];
        let fault = refuse_equal_priorities(7, &plan).map_err(|f| f.message);
        let text = "Multiple parent tags ([1, 10]) cannot have the same priority value (5) \
                    on child tag 7";
        assert_eq!(fault, Err(text.to_owned()));
    }
}
