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

    /// Does without a repository where the hub plans the buildroots, of the tag as it is now; whether it does so.
    async fn plan_without(&mut self, builds: &[String], current: bool) -> Result<bool> {
        let call = (self.task.id, self.build_tag);
        let answer = match self.task.hub.call("host.planRepo", call).await {
            Err(error) if error.fault().is_some() => {
                tracing::debug!(%error, "the hub does not plan");
                return Ok(false);
            }
            other => other?,
        };
        let there = self.task.has_builds(self.build_tag, builds, answer.get("event").clone());
        if answer.is_nil() || !there.await? {
            return Ok(false);
        }
        self.repo = answer.get("repo").clone();
        self.event = answer.get("event").clone();
        let builds = builds.to_vec();
        self.plan = map! {"event" => &self.event, "builds" => builds, "current" => current}.into();
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
