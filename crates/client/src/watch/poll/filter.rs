//! What can be told of a hub that is asked, and which of it is wanted.

use std::collections::BTreeSet;

use super::Found;
use crate::Error;
use crate::watch::Wanted;

/// What is looked at.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Of {
    Tasks,
    Builds,
    Taggings,
    Packages,
    Repos,
}

impl Of {
    const ALL: [Of; 5] = [Of::Tasks, Of::Builds, Of::Taggings, Of::Packages, Of::Repos];

    fn kinds(self) -> &'static [&'static str] {
        match self {
            Of::Tasks => &["task.state"],
            Of::Builds => &["build.state"],
            Of::Taggings => &["build.tag", "build.untag"],
            Of::Packages => &["package.list"],
            Of::Repos => &["repo.init", "repo.done", "repo.state"],
        }
    }

    fn object(self) -> &'static str {
        match self {
            Of::Tasks => "task",
            Of::Builds => "build",
            Of::Taggings | Of::Packages => "tag",
            Of::Repos => "repo",
        }
    }

    /// Whether Koji's answers have what the filter asks for.
    fn knows(self, wanted: &Wanted) -> bool {
        let Wanted { tags, packages, owners, tasks, .. } = wanted;
        match self {
            Of::Tasks => tags.is_empty() && packages.is_empty(),
            Of::Builds => tags.is_empty(),
            Of::Taggings | Of::Packages => owners.is_empty() && tasks.is_empty(),
            Of::Repos => !tags.is_empty() && packages.is_empty() && owners.is_empty(),
        }
    }
}

/// Whether any of it is wanted, and can be told.
pub(super) fn looks_at(wanted: &Wanted, of: Of) -> bool {
    let kind = |kind: &&str| wanted.kinds.iter().any(|wanted| is_of_kind(kind, wanted));
    let object = of.object();
    let has = |key: &String| key.split(':').next() == Some(object);
    (wanted.kinds.is_empty() || of.kinds().iter().any(kind))
        && (wanted.objects.is_empty() || wanted.objects.iter().any(|wanted| wanted == object))
        && (wanted.keys.is_empty() || wanted.keys.iter().any(has))
        && of.knows(wanted)
}

/// Refuses a filter for which nothing can ever be told.
pub(super) fn check(wanted: &Wanted) -> Result<(), Error> {
    if Of::ALL.iter().any(|of| looks_at(wanted, *of)) {
        return Ok(());
    }
    Err(Error::NotTold(
        "the hub has no stream of events, and what this filter takes cannot be found by asking: that is task.state (by \
         owners and tasks), build.state (by packages, owners and tasks), build.tag, build.untag and package.list (by tags \
         and packages), repo.init, repo.done and repo.state (by tags, which have to be named, and tasks)"
            .to_owned(),
    ))
}

/// Whether a kind is the one that is wanted, or of its family.
fn is_of_kind(kind: &str, wanted: &str) -> bool {
    match wanted.strip_suffix(".*") {
        Some(family) => kind.strip_prefix(family).is_some_and(|rest| rest.starts_with('.')),
        None => wanted == kind,
    }
}

/// The filter for what was found.
pub(super) struct Filter {
    wanted: Wanted,
    pub(super) owners: Vec<i64>,
    /// The tasks that are watched and all below them, where the filter names some.
    tree: BTreeSet<i64>,
}

impl Filter {
    pub(super) fn new(wanted: &Wanted, owners: Vec<i64>) -> Filter {
        Filter { wanted: wanted.clone(), owners, tree: wanted.tasks.iter().copied().collect() }
    }

    /// Takes note of tasks below those that are watched.
    pub(super) fn tree(&mut self, tasks: impl Iterator<Item = i64>) {
        if !self.wanted.tasks.is_empty() {
            self.tree.extend(tasks);
        }
    }

    /// As a hub that tells its events filters them.
    pub(super) fn takes(&self, found: &Found) -> bool {
        let Wanted { kinds, objects, keys, tags, packages, tasks, .. } = &self.wanted;
        let body = &found.body;
        let has = |list: &[String], name: Option<&str>| {
            list.is_empty() || name.is_some_and(|name| list.iter().any(|wanted| wanted == name))
        };
        let task = match found.kind {
            "task.state" => body.int("id"),
            _ => body.int("task_id"),
        };
        let package = match found.kind {
            "package.list" => body.str("package"),
            _ => body.str("name"),
        };
        let owner = body.int("owner_id").or_else(|| body.int("owner"));
        let tag_id = body.int("tag_id").map(|id| id.to_string());
        (kinds.is_empty() || kinds.iter().any(|kind| is_of_kind(found.kind, kind)))
            && has(objects, found.key.split(':').next())
            && has(keys, Some(&found.key))
            && (has(tags, body.str("tag")) || has(tags, tag_id.as_deref()))
            && has(packages, package)
            && (self.owners.is_empty() || owner.is_some_and(|id| self.owners.contains(&id)))
            && (tasks.is_empty() || task.is_some_and(|id| self.tree.contains(&id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_told_is_refused() {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let told = |kinds: &[&str], tags: &[&str], owners: &[&str]| {
            let (kinds, tags, owners) = (words(kinds), words(tags), words(owners));
            check(&Wanted { kinds, tags, owners, ..Wanted::default() }).is_ok()
        };
        assert!(told(&[], &[], &[]) && told(&["host.state", "task.*"], &[], &[]));
        assert!(told(&["repo.*"], &["f1"], &[]) && told(&["build.*"], &[], &["root"]));
        assert!(!told(&["host.state"], &[], &[]) && !told(&["repo.done"], &[], &[]));
        assert!(!told(&["build.tag"], &[], &["root"]) && !told(&["task.state"], &["f1"], &[]));
        let keys = words(&["host:1"]);
        assert!(check(&Wanted { keys, ..Wanted::default() }).is_err());
    }
}
