//! The repository of a build, or the state of the tag that its buildroots are planned at.

use toji_types::state::RepoState;
use toji_value::{Map, Value, map};

use super::{Build, texts};
use crate::context::{Context, int_of};
use crate::failure::{Failure, Result};

impl Build<'_> {
    /// Finds or waits for the repository that the buildroots are made from, or does without one.
    pub(super) async fn choose_repo(&mut self) -> Result<()> {
        if !self.repo.is_nil() {
            return Ok(());
        }
        let builds = texts(self.opts.get("wait_builds"));
        let current = self.opts.get("wait_repo").truthy();
        if self.plan_without(&builds, current).await? {
            return Ok(());
        }
        self.repo = self.task.get_repo(self.build_tag, &builds, current).await?;
        self.event = self.task.call("getLastEvent", ()).await?.get("id").clone();
        Ok(())
    }

    /// Does without a repository where the hub plans the buildroots; whether it does so.
    async fn plan_without(&mut self, builds: &[String], current: bool) -> Result<bool> {
        let planned = plan_without(self.task, self.build_tag, builds, current).await?;
        let Some(Planned { repo, event, plan }) = planned else { return Ok(false) };
        (self.repo, self.event, self.plan) = (repo, event, plan);
        Ok(true)
    }

    /// What the tasks that this one makes are told about their buildroots.
    pub(super) fn child_opts(&self) -> Map {
        let mut opts = map! {"repo_id" => self.repo.get("id")};
        if !self.plan.is_nil() {
            opts.insert("plan", self.plan.clone());
        }
        opts
    }
}

/// A tag as it is now, whose buildroots the hub plans.
pub(in crate::tasks) struct Planned {
    /// The repository that records name.
    pub(in crate::tasks) repo: Value,
    pub(in crate::tasks) event: Value,
    /// What the tasks of these buildroots are told.
    pub(in crate::tasks) plan: Value,
}

/// Does without a repository of a tag where the hub plans the buildroots, of the tag as it is now.
pub(in crate::tasks) async fn plan_without(
    task: &Context,
    tag: i64,
    builds: &[String],
    current: bool,
) -> Result<Option<Planned>> {
    let answer = match task.hub.call("host.planRepo", (task.id, tag)).await {
        Err(error) if error.fault().is_some() => {
            tracing::debug!(%error, "the hub does not plan");
            return Ok(None);
        }
        other => other?,
    };
    let event = answer.get("event").clone();
    if answer.is_nil() || !task.has_builds(tag, builds, event.clone()).await? {
        return Ok(None);
    }
    let builds = builds.to_vec();
    let plan = map! {"event" => &event, "builds" => builds, "current" => current}.into();
    Ok(Some(Planned { repo: answer.get("repo").clone(), event, plan }))
}

/// The repository of the option `repo_id`; nil without one.
pub(super) async fn wanted_repo(task: &Context, id: &Value) -> Result<Value> {
    if id.is_nil() {
        return Ok(Value::Nil);
    }
    let repo = task.call("repoInfo", (id,)).await?;
    if repo.is_nil() {
        return Err(Failure::build(format!("No such repo: {}", id.display())));
    }
    let state = RepoState::try_from(int_of(&repo, "state")?).ok();
    match state {
        Some(RepoState::Ready | RepoState::Expired) => Ok(repo),
        other => {
            let state = other.map_or("unknown", |state| state.name());
            Err(Failure::build(format!("Bad repo: {} ({state})", id.display())))
        }
    }
}
