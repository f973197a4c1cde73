//! Which events a reader wants to know of.

use std::collections::HashSet;

use toji_bus::Event;
use toji_db::lookup::Names;
use toji_value::Value;

use super::End;
use crate::Call;

/// Names and numbers in a filter at most: anybody may ask, and each name is looked up.
const MOST: usize = 100;
/// Tasks that are watched at most, with those below.
const TREE: i64 = 20_000;

/// What a reader asks for: of each list that is not empty, one must fit.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Kinds of events such as `build.state`; `task.*` takes a family.
    pub kinds: Vec<String>,
    /// Kinds of objects such as `task` or `build`.
    pub objects: Vec<String>,
    /// Objects such as `task:12`.
    pub keys: Vec<String>,
    /// Tags by name or number.
    pub tags: Vec<String>,
    /// Packages by name.
    pub packages: Vec<String>,
    /// Users, by name or number, whose tasks and builds these are.
    pub owners: Vec<String>,
    /// Tasks, each with all below it, and what they bring about.
    pub tasks: Vec<i64>,
}

/// A filter whose names are resolved.
pub(super) struct Filter {
    kinds: Vec<String>,
    objects: Vec<String>,
    keys: Vec<String>,
    tags: Vec<String>,
    tag_ids: Vec<i64>,
    packages: Vec<String>,
    owners: Option<Vec<i64>>,
    /// Grows as tasks are made below those in it.
    tasks: Option<HashSet<i64>>,
}

impl Filter {
    pub(super) async fn new(call: &mut Call, wanted: &Wanted) -> Result<Filter, End> {
        let Wanted { kinds, objects, keys, tags, packages, owners, tasks } = wanted.clone();
        let all = [&kinds, &objects, &keys, &tags, &packages, &owners];
        if all.iter().map(|list| list.len()).sum::<usize>() + tasks.len() > MOST {
            return Err(End::Filter(format!("a filter has at most {MOST} names and numbers")));
        }
        let mut tag_ids = Vec::new();
        for tag in &tags {
            // A tag may be made later: its events have the name.
            if let Some(found) = call.find(Names::Tag, &named(tag)).await.map_err(End::Failed)? {
                tag_ids.push(found.id);
            }
        }
        let mut users = Vec::new();
        for owner in &owners {
            let found = crate::user::find(call, &named(owner)).await.map_err(End::Failed)?;
            let missing = || End::Filter(format!("no such user: {owner}"));
            users.push(found.ok_or_else(missing)?.id);
        }
        let mut tree: HashSet<i64> = tasks.iter().copied().collect();
        if !tasks.is_empty() {
            let roots: Vec<i64> = tasks.iter().map(|task| crate::lookup::fit(*task)).collect();
            tree.extend(toji_db::task::below(&mut call.tx, &roots, TREE).await?);
        }
        let owners = (!owners.is_empty()).then_some(users);
        let tasks = (!tasks.is_empty()).then_some(tree);
        Ok(Filter { kinds, objects, keys, tags, tag_ids, packages, owners, tasks })
    }

    /// Whether it takes an event; events are shown to it in their order.
    pub(super) fn takes(&mut self, event: &Event) -> bool {
        let about = &event.about;
        if let Some(tasks) = &mut self.tasks {
            let Some(task) = about.task else { return false };
            let below = about.parent.is_some_and(|parent| tasks.contains(&parent));
            if below && (tasks.len() as i64) < TREE {
                tasks.insert(task);
            }
            if !below && !tasks.contains(&task) {
                return false;
            }
        }
        let has = |list: &[String], name: Option<&str>| {
            list.is_empty() || name.is_some_and(|name| list.iter().any(|wanted| wanted == name))
        };
        let object = event.key.split(':').next();
        let tag = about.tag_id.is_some_and(|id| self.tag_ids.contains(&id))
            || has(&self.tags, about.tag.as_deref());
        (self.kinds.is_empty() || self.kinds.iter().any(|kind| is_of_kind(&event.kind, kind)))
            && has(&self.objects, object)
            && has(&self.keys, Some(&event.key))
            && tag
            && has(&self.packages, about.package.as_deref())
            && self
                .owners
                .as_ref()
                .is_none_or(|ids| about.owner.is_some_and(|id| ids.contains(&id)))
    }
}

/// Whether a kind is the one that is wanted, or of its family.
pub(crate) fn is_of_kind(kind: &str, wanted: &str) -> bool {
    match wanted.strip_suffix(".*") {
        Some(family) => kind.strip_prefix(family).is_some_and(|rest| rest.starts_with('.')),
        None => wanted == kind,
    }
}

/// A number, or a name.
fn named(text: &str) -> Value {
    text.parse().map_or_else(|_| Value::from(text), Value::Int)
}

#[cfg(test)]
mod tests {
    use super::is_of_kind;

    #[test]
    fn families_of_kinds() {
        assert!(is_of_kind("task.state", "task.*") && is_of_kind("task.state", "task.state"));
        assert!(!is_of_kind("task", "task.*") && !is_of_kind("tasks.state", "task.*"));
        assert!(!is_of_kind("task.state", "task"));
    }
}
