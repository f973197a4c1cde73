//! Which tags use which external repositories.

use std::collections::HashSet;

use toji_api::external_repo::*;
use toji_bus::Topic;
use toji_db::Row;
use toji_db::external_repo::{self as rows, Use};
use toji_db::lookup::Names;
use toji_types::arch;
use toji_value::{Fault, FromValue, Value, map};

use super::{Repo, need};
use crate::dispatch::Handle;
use crate::tag::{self, Tag, inherit};
use crate::{Call, check};

/// How the packages of an external repository can be mixed with a tag's.
const MERGE_MODES: [&str; 3] = ["koji", "simple", "bare"];

fn tell(call: &mut Call, tag: &Tag, repo: &Repo) {
    call.signal(Topic::Repositories);
    let body = map! {
        "tag_id" => tag.id,
        "tag" => &tag.name,
        "external_repo_id" => repo.id,
        "external_repo" => &repo.name,
    };
    call.emit("external_repo.use", &format!("tag:{}", tag.id), body);
}

fn merge_mode(value: &Value) -> Result<String, Fault> {
    let mode = if value.is_nil() { "koji".to_owned() } else { value.display() };
    if !MERGE_MODES.contains(&mode.as_str()) {
        return Err(Fault::generic(format!("No such merge mode: {mode}")));
    }
    Ok(mode)
}

impl Handle for AddExternalRepoToTag {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let merge_mode = merge_mode(&self.merge_mode)?;
        let tag = tag::hold(call, &self.tag_info).await?;
        let repo = need(call, &self.repo_info, None).await?;
        let arches = match check::text_opt(&self.arches)? {
            None => None,
            Some(text) => {
                let list = arch::parse_list(text).map_err(|e| Fault::generic(e.to_string()))?;
                Some(list.join(" "))
            }
        };
        let priority = i64::from_value(self.priority)?;
        let entry = Use { tag_id: tag.id, repo_id: repo.id, priority, merge_mode, arches };
        add(call, &tag, &repo, &entry).await?;
        Ok(Value::Nil)
    }
}

async fn add(call: &mut Call, tag: &Tag, repo: &Repo, entry: &Use) -> Result<(), Fault> {
    let present = rows::uses(&mut call.tx, Some(vec![tag.id]), None, None).await?;
    let taken = |column: &str, value: i64| {
        present.iter().any(|row| row.value(column).as_int() == Some(value))
    };
    let (name, priority) = (&tag.name, entry.priority);
    if taken("external_repo_id", repo.id) {
        let text = format!("tag {name} already associated with external repo {}", repo.name);
        return Err(Fault::generic(text));
    }
    if taken("priority", priority) {
        return Err(Fault::generic(format!(
            "tag {name} already associated with an external repo at priority {priority}"
        )));
    }
    let actor = call.actor()?;
    rows::add_use(&mut call.tx, entry, actor).await?;
    tell(call, tag, repo);
    Ok(())
}

fn not_used(tag: &Tag, repo: &Repo) -> Fault {
    let text = format!("external repo {} not associated with tag {}", repo.name, tag.name);
    Fault::generic(text)
}

impl Handle for RemoveExternalRepoFromTag {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let tag = tag::hold(call, &self.tag_info).await?;
        let repo = need(call, &self.repo_info, None).await?;
        let actor = call.actor()?;
        if !rows::remove_use(&mut call.tx, tag.id, repo.id, actor).await? {
            return Err(not_used(&tag, &repo));
        }
        tell(call, &tag, &repo);
        Ok(Value::Nil)
    }
}

impl Handle for EditTagExternalRepo {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let tag = tag::hold(call, &self.tag_info).await?;
        let repo = need(call, &self.repo_info, None).await?;
        let uses = rows::uses(&mut call.tx, Some(vec![tag.id]), Some(repo.id), None).await?;
        let row = uses.first().ok_or_else(|| not_used(&tag, &repo))?;
        let old = use_of(row)?;
        let mut new = old.clone();
        if !self.arches.is_nil() {
            new.arches = Some(tag::edit::parse_arches(&self.arches)?);
        }
        if !self.priority.is_nil() {
            new.priority = i64::from_value(self.priority)?;
        }
        if !self.merge_mode.is_nil() {
            new.merge_mode = merge_mode(&self.merge_mode)?;
        }
        if new == old {
            return Ok(false.into());
        }
        let actor = call.actor()?;
        rows::remove_use(&mut call.tx, tag.id, repo.id, actor).await?;
        add(call, &tag, &repo, &new).await?;
        Ok(true.into())
    }
}

fn use_of(row: &Row) -> Result<Use, Fault> {
    Ok(Use {
        tag_id: row.get("tag_id")?,
        repo_id: row.get("external_repo_id")?,
        priority: row.get("priority")?,
        merge_mode: row.get("merge_mode")?,
        arches: row.get("arches")?,
    })
}

impl Handle for GetTagExternalRepos {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let event = crate::lookup::event(&self.event)?;
        let mut tags = None;
        if self.tag_info.truthy() {
            tags = Some(vec![call.need(Names::Tag, &self.tag_info).await?.id]);
        }
        let mut repo = None;
        if self.repo_info.truthy() {
            repo = Some(need(call, &self.repo_info, event).await?.id);
        }
        let found = rows::uses(&mut call.tx, tags, repo, event).await?;
        Ok(Value::Array(found.into_iter().map(|row| row.into_map().into()).collect()))
    }
}

impl Handle for GetExternalRepoList {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let event = crate::lookup::event(&self.event)?;
        let tag = tag::need(call, &self.tag_info, event.into()).await?;
        let found = inherited(call, tag.id, event).await?;
        Ok(Value::Array(found.into_iter().map(|row| row.into_map().into()).collect()))
    }
}

/// The external repositories of a tag and of those that it inherits from, each once.
async fn inherited(call: &mut Call, tag_id: i64, event: Option<i64>) -> Result<Vec<Row>, Fault> {
    let order = inherit::full(call, tag_id, event).await?;
    let tags: Vec<i64> =
        std::iter::once(tag_id).chain(order.iter().map(|node| node.parent_id)).collect();
    let mut found = rows::uses(&mut call.tx, Some(tags.clone()), None, event).await?;
    let place = |row: &Row| {
        let tag = row.value("tag_id").as_int();
        tags.iter().position(|id| Some(*id) == tag).unwrap_or(tags.len())
    };
    // Stable: within a tag the rows stay in the order of their priority.
    found.sort_by_key(place);
    let mut seen = HashSet::new();
    found.retain(|row| seen.insert(row.value("external_repo_id").as_int()));
    Ok(found)
}
