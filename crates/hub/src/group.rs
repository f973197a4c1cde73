//! Groups of packages in tags: what a tag sees of them over its inheritance.

pub mod edit;

use toji_db::Row;
use toji_db::group;
use toji_value::{Fault, Map, Value};

use crate::Call;
use crate::tag::inherit;

/// A group as a tag sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The group.
    pub id: i64,
    /// Whether the tag must not have it.
    pub blocked: bool,
    /// Its settings, as `getTagGroups` shows them.
    pub shown: Map,
    /// Its packages by name, if they were asked for.
    pub packages: Vec<(String, Map)>,
    /// The groups that it requires by id, if they were asked for.
    pub requirements: Vec<(i64, Map)>,
}

/// Which parts of groups are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Packages.
    pub packages: bool,
    /// Requirements.
    pub requirements: bool,
}

/// Reads the groups of a tag; the entry of the nearest tag counts. Blocked entries are included.
///
/// # Errors
/// When the database fails.
pub async fn read(
    call: &mut Call,
    tag_id: i64,
    event: Option<i64>,
    inherit: bool,
    parts: Parts,
) -> Result<Vec<Group>, Fault> {
    let mut tags = vec![tag_id];
    if inherit {
        let order = inherit::full(call, tag_id, event).await?;
        tags.extend(order.iter().map(|node| node.parent_id));
    }
    let mut groups: Vec<Group> = Vec::new();
    for row in nearest_first(&tags, group::configs(&mut call.tx, &tags, event).await?) {
        let id: i64 = row.get("group_id")?;
        if groups.iter().all(|group| group.id != id) {
            let blocked = row.get("blocked")?;
            let (packages, requirements) = (Vec::new(), Vec::new());
            groups.push(Group { id, blocked, shown: row.into_map(), packages, requirements });
        }
    }
    if parts.packages {
        let rows = group::packages(&mut call.tx, &tags, event).await?;
        for row in nearest_first(&tags, rows) {
            let name: String = row.get("package")?;
            let Some(group) = open(&mut groups, row.get("group_id")?) else { continue };
            if group.packages.iter().all(|(known, _)| *known != name) {
                group.packages.push((name, row.into_map()));
            }
        }
    }
    if parts.requirements {
        let rows = group::requirements(&mut call.tx, &tags, event).await?;
        for row in nearest_first(&tags, rows) {
            let required: i64 = row.get("req_id")?;
            if open(&mut groups, required).is_none() {
                continue;
            }
            let Some(group) = open(&mut groups, row.get("group_id")?) else { continue };
            if group.requirements.iter().all(|(known, _)| *known != required) {
                group.requirements.push((required, row.into_map()));
            }
        }
    }
    Ok(groups)
}

/// The rows of the first tag, then those of the next; a tag that comes again adds nothing.
fn nearest_first(tags: &[i64], mut rows: Vec<Row>) -> Vec<Row> {
    let place = |row: &Row| {
        let tag = row.value("tag_id").as_int();
        tags.iter().position(|id| Some(*id) == tag).unwrap_or(tags.len())
    };
    rows.sort_by_key(place);
    rows
}

/// The group with this id, unless it is blocked.
fn open(groups: &mut [Group], id: i64) -> Option<&mut Group> {
    groups.iter_mut().find(|group| group.id == id && !group.blocked)
}

/// The groups as `getTagGroups` shows them.
pub fn to_value(groups: Vec<Group>, parts: Parts, with_blocked: bool) -> Value {
    let visible = |map: &Map| with_blocked || !map.truthy("blocked");
    let shown = groups.into_iter().filter(|group| visible(&group.shown)).map(|group| {
        let mut map = group.shown;
        if parts.packages {
            let list = group.packages.into_iter().map(|(_, map)| map).filter(visible);
            map.insert("packagelist", Value::Array(list.map(Value::Struct).collect()));
        }
        if parts.requirements {
            let list = group.requirements.into_iter().map(|(_, map)| map).filter(visible);
            map.insert("grouplist", Value::Array(list.map(Value::Struct).collect()));
        }
        Value::Struct(map)
    });
    Value::Array(shown.collect())
}
