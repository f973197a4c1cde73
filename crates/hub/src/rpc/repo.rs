//! Repositories and the requests for them.

mod dist;
mod metadata;

use toji_api::Access;
use toji_api::repo::*;
use toji_db::lookup::Names;
use toji_db::repo as sql;
use toji_types::{BrState, RepoState};
use toji_value::{Fault, FromValue, Map, Truth, Value, map};

use super::scheduler::view;
use crate::dispatch::Handle;
use crate::repo::{self, Wanted, options, queue, request, state};
use crate::tag::{self, When};
use crate::{Call, lookup, repod, session, task};

/// A row as an answer, or nil.
fn optional(row: Option<toji_db::Row>) -> Value {
    row.map_or(Value::Nil, |row| Value::Struct(row.into_map()))
}

impl Handle for GetActiveRepos {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        Ok(Value::Array(sql::not_deleted(&mut call.tx).await?))
    }
}

impl Handle for GetRepo {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        // Koji looks for the tag first, and at the rest then.
        let tag = call.need(Names::Tag, &self.tag).await?.id;
        let state = Option::<i64>::from_value(self.state)?;
        let event = Option::<i64>::from_value(self.event)?.map(lookup::clamp);
        let min_event = Option::<i64>::from_value(self.min_event)?.map(lookup::clamp);
        let Truth(dist) = Truth::from_value(self.dist)?;
        // an event asks for the past, in whatever state that is now
        let event = event.filter(|event| *event != 0);
        let state = match event {
            Some(_) => None,
            None => Some(state.map_or(RepoState::Ready as i64, lookup::fit)),
        };
        let found = sql::latest(&mut call.tx, tag, dist, state, event, min_event).await?;
        Ok(optional(found))
    }
}

impl Handle for RepoInfo {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let found = match self.repo_id {
            Some(id) => sql::get(&mut call.tx, id).await?,
            None => None,
        };
        if self.strict && found.is_none() {
            return Err(Fault::generic("query returned no rows"));
        }
        Ok(optional(found))
    }
}

impl Handle for RepoExpire {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        state::set(call, self.repo_id, RepoState::Expired).await?;
        Ok(Value::Nil)
    }
}

impl Handle for RepoProblem {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        state::set(call, self.repo_id, RepoState::Problem).await?;
        Ok(Value::Nil)
    }
}

impl Handle for RepoDelete {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        sql::lock_state(&mut call.tx, self.repo_id).await?;
        let users = references(call, self.repo_id).await?.len();
        if users == 0 {
            state::set(call, self.repo_id, RepoState::Deleted).await?;
        }
        Ok(i64::try_from(users).unwrap_or(i64::MAX))
    }
}

impl Handle for NewRepo {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        if !call.hub.config.repo.allow_new_repo {
            return Err(Fault::not_allowed("newRepo api call is disabled"));
        }
        if !call.allows(Access::Permission("repo")).await? {
            session::check_access(call, Access::Permission("regen-repo")).await?;
        }
        tag::need(call, &self.tag, self.event.into()).await?;
        let mut keywords = Map::new();
        if let Some(event) = self.event {
            keywords.insert("event", event);
        }
        let switches =
            [("src", self.src), ("separate_src", self.separate_src), ("debuginfo", self.debuginfo)];
        for (name, on) in switches {
            if on {
                keywords.insert(name, true);
            }
        }
        queue::new_repo(call, self.tag, keywords, None).await
    }
}

impl Handle for RepoRequest {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let owner = call.login()?.user_id;
        let found = tag::need(call, &self.tag, When::Now).await?;
        let opts = request::opts(call, &self.opts)?;
        let (min_event, at_event) =
            request::events(call, &found, &self.min_event, &self.at_event).await?;
        let priority = request::priority(call, self.priority).await?;
        let asked = request::Request {
            tag_id: found.id,
            wanted: Wanted { min_event, at_event, opts },
            priority,
            owner,
            force: self.force,
        };
        Ok(request::make(call, asked).await?.into_map().into())
    }
}

impl Handle for RepoGet {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let tag = call.need(Names::Tag, &self.tag).await?.id;
        let wanted = Wanted {
            min_event: self.min_event,
            at_event: self.at_event,
            opts: options::parse(&self.opts)?,
        };
        Ok(optional(repo::find(call, tag, &wanted).await?))
    }
}

impl Handle for RepoCheckRequest {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let found = sql::request(&mut call.tx, self.req_id).await?;
        let found = found.ok_or_else(|| Fault::generic("No such request"))?;
        let (repo_id, task_id) = (found.get_opt("repo_id")?, found.get_opt("task_id")?);
        let mut answer =
            map! { "repo" => Value::Nil, "request" => Value::Struct(found.into_map()) };
        if let Some(id) = repo_id {
            answer.insert("repo", optional(sql::get(&mut call.tx, id).await?));
        } else if let Some(id) = task_id {
            answer.insert("task", task::info(call, id, false).await?.unwrap_or_default());
        }
        Ok(answer.into())
    }
}

impl Handle for RepoSetRequestPriority {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        sql::set_request_priority(&mut call.tx, self.req_id, self.priority).await?;
        call.signal(toji_bus::Topic::Repositories);
        Ok(Value::Nil)
    }
}

impl Handle for RepoGetExternalRepoData {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let erepo = call.need(Names::ExternalRepo, &self.erepo).await?;
        Ok(sql::external_data(&mut call.tx, erepo.id).await?.unwrap_or_default())
    }
}

impl Handle for RepoSetExternalRepoData {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let user = call.login()?.user_id;
        let erepo = call.need(Names::ExternalRepo, &self.external_repo_id).await?;
        let Value::Struct(data) = self.data else {
            return Err(Fault::parameter("External repo data should be a dictionary"));
        };
        toji_db::lookup::hold(&mut call.tx, Names::ExternalRepo, erepo.id).await?;
        repod::external::set(call, erepo.id, data, user).await?;
        Ok(Value::Nil)
    }
}

impl Handle for RepoReferences {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let id = toji_value::FromValue::from_value(self.repo_id)?;
        Ok(Value::Array(references(call, id).await?))
    }
}

/// The buildroots that use a repository; an expired one that was not retired is a defect and not counted.
async fn references(call: &mut Call, id: i64) -> Result<Vec<Value>, Fault> {
    let mut roots = sql::references(&mut call.tx, id).await?;
    roots.retain(|root| {
        let expired = root.get("state").as_int() == Some(BrState::Expired as i64);
        if expired {
            tracing::error!(buildroot = ?root.get("id"), "expired buildroot has no retire_event");
        }
        !expired
    });
    Ok(roots)
}

impl Handle for RepoSetState {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let to = match &self.state {
            Value::Int(n) => RepoState::try_from(*n).ok(),
            Value::Str(name) => name.parse().ok(),
            _ => None,
        };
        let unknown = || Fault::parameter(format!("Unknown repo state: {}", self.state.display()));
        state::set(call, self.repo_id, to.ok_or_else(unknown)?).await?;
        Ok(Value::Nil)
    }
}

impl Handle for RepoQuery {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        view(call, &sql::REPOS, &self.clauses, &self.fields, &self.opts).await
    }
}

impl Handle for RepoQueryQueue {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        view(call, &sql::REQUESTS, &self.clauses, &self.fields, &self.opts).await
    }
}

impl Handle for RepoAutoRequests {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let owner = call.login()?.user_id;
        request::automatic(call, owner).await?;
        Ok(Value::Nil)
    }
}

impl Handle for RepoCheckQueue {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        if call.tx.try_lock(queue::LOCK).await? {
            queue::check(call).await?;
        }
        Ok(Value::Nil)
    }
}

impl Handle for RepoUpdateEndEvents {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        repod::currency::update(call, &[RepoState::Ready], None).await?;
        Ok(Value::Nil)
    }
}
