//! Waiting for child tasks and for repositories.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use toji_client::args;
use toji_types::Nvr;
use toji_value::{Value, map};

use crate::context::{Context, int_of, text_of};
use crate::failure::{Failure, Result};
use crate::news::News;

/// How to wait for children.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wait {
    /// For all of them, not for the first.
    pub(crate) all: bool,
    /// With `all`: a failure cancels the others and fails this task.
    pub(crate) fail_any: bool,
}

impl Wait {
    /// For all; the first failure ends it.
    pub(crate) const STRICT: Wait = Wait { all: true, fail_any: true };
}

impl Context {
    /// Waits for children and returns their results by task id.
    ///
    /// # Errors
    /// The fault of a child that failed.
    pub(crate) async fn wait(&self, tasks: &[i64], how: Wait) -> Result<BTreeMap<i64, Value>> {
        self.wait_with(tasks, &[], how).await
    }

    /// The same where some children may fail; their results are faults as values then.
    ///
    /// # Errors
    /// The fault of a child that failed and must not.
    pub(crate) async fn wait_with(
        &self,
        tasks: &[i64],
        can_fail: &[i64],
        how: Wait,
    ) -> Result<BTreeMap<i64, Value>> {
        let list = id_list(tasks);
        self.call("host.taskSetWait", (self.id, list.clone())).await?;
        self.signals.waiting.store(true, Ordering::Relaxed);
        let finished = self.until_finished(can_fail, how).await;
        self.signals.waiting.store(false, Ordering::Relaxed);
        let finished = finished?;
        let wanted = if how.all { list } else { id_list(&finished) };
        let results = match can_fail.is_empty() {
            true => self.call("host.taskWaitResults", (self.id, wanted)).await?,
            false => {
                let call = args!(self.id, wanted; "canfail" => id_list(can_fail));
                self.call("host.taskWaitResults", call).await?
            }
        };
        let mut by_task = BTreeMap::new();
        for pair in results.as_array().unwrap_or_default() {
            if let Some([Value::Int(task), result]) = pair.as_array() {
                by_task.insert(*task, result.clone());
            }
        }
        Ok(by_task)
    }

    /// Waits for one child and returns its result.
    pub(crate) async fn wait_for(&self, task: i64) -> Result<Value> {
        Ok(self.wait(&[task], Wait::default()).await?.remove(&task).unwrap_or_default())
    }

    async fn until_finished(&self, can_fail: &[i64], how: Wait) -> Result<Vec<i64>> {
        let mut checked: HashSet<i64> = can_fail.iter().copied().collect();
        loop {
            let answer = self.call("host.taskWait", (self.id,)).await?;
            let [finished, unfinished] = answer.as_array().unwrap_or_default() else {
                return Err(Failure::generic(format!("host.taskWait answered {}", answer.repr())));
            };
            let finished = ids(finished);
            if ids(unfinished).is_empty() || !finished.is_empty() && !how.all {
                return Ok(finished);
            }
            for task in finished.into_iter().filter(|_| how.fail_any) {
                if checked.insert(task)
                    && let Err(failure) = self.call("getTaskResult", (task,)).await
                {
                    self.call("cancelTaskChildren", (self.id,)).await?;
                    return Err(failure);
                }
            }
            // A signal may have been lost with the connection: after a while the task asks itself.
            let patience = self.shared.patience();
            let _ = tokio::time::timeout(patience, self.signals.woken.notified()).await;
        }
    }

    /// A repository of the tag that has the builds and all changes until now, if `current`.
    ///
    /// When there is none yet, a `waitrepo` child waits for it, so that users see what is going on.
    pub(crate) async fn get_repo(&self, tag: i64, nvrs: &[String], current: bool) -> Result<Value> {
        let tag = self.call("getTag", args!(tag; "strict" => true)).await?;
        let mut want = Want::new(self, &tag, nvrs, Value::Nil).await?;
        if current {
            want.min_event = want.last_change(self).await?;
        }
        if let Some(repo) = want.at_once(self).await? {
            return Ok(repo);
        }
        let args = vec![
            text_of(&tag, "name")?.into(),
            Value::Nil,
            Value::Array(nvrs.iter().map(Value::from).collect()),
            want.min_event.clone(),
        ];
        let task = self.subtask("waitrepo", args, map! {}).await?;
        self.wait_for(task).await
    }
}

impl Context {
    /// Whether a tag had every one of these builds at an event.
    pub(crate) async fn has_builds(&self, tag: i64, nvrs: &[String], event: Value) -> Result<bool> {
        if nvrs.is_empty() {
            return Ok(true);
        }
        let tag = self.call("getTag", args!(tag; "strict" => true)).await?;
        Want::new(self, &tag, nvrs, Value::Nil).await?.has_builds(self, event).await
    }
}

/// What a repository must have.
pub(crate) struct Want {
    tag: i64,
    tag_name: String,
    nvrs: Vec<String>,
    builds: Vec<Nvr>,
    pub(crate) min_event: Value,
    news: Option<News>,
}

/// How long to wait for a repository.
const TIMEOUT: Duration = Duration::from_secs(120 * 60);

impl Want {
    pub(crate) async fn new(
        task: &Context,
        tag: &Value,
        nvrs: &[String],
        min_event: Value,
    ) -> Result<Want> {
        let builds = nvrs
            .iter()
            .map(|nvr| Nvr::parse(nvr).map_err(|e| Failure::generic(format!("{nvr}: {e}"))))
            .collect::<Result<_>>()?;
        let mut want = Want {
            tag: int_of(tag, "id")?,
            tag_name: text_of(tag, "name")?.to_owned(),
            nvrs: nvrs.to_vec(),
            builds,
            min_event,
            news: None,
        };
        if want.min_event.as_str() == Some("last") {
            want.min_event = want.last_change(task).await?;
        }
        Ok(want)
    }

    async fn last_change(&self, task: &Context) -> Result<Value> {
        task.call("tagLastChangeEvent", (self.tag,)).await
    }

    /// The repository, if it is there; asks for it otherwise.
    async fn at_once(&mut self, task: &Context) -> Result<Option<Value>> {
        if !self.has_builds(task, Value::Nil).await? {
            return Ok(None);
        }
        let answer = self.request(task).await?;
        let repo = answer.get("repo");
        if !repo.is_nil() && self.fits(task, repo).await? {
            return Ok(Some(repo.clone()));
        }
        if self.min_event.is_nil() {
            self.min_event = answer.get("request").get("min_event").clone();
        }
        Ok(None)
    }

    /// Waits until there is such a repository.
    pub(crate) async fn wait(&mut self, task: &Context) -> Result<Value> {
        self.news = Some(News::listen(task.config()).await);
        let waited = tokio::time::timeout(TIMEOUT, self.wait_on(task)).await;
        waited.unwrap_or_else(|_| {
            let minutes = TIMEOUT.as_secs() / 60;
            let what = if self.nvrs.is_empty() {
                format!("for a new {} repo", self.tag_name)
            } else {
                format!("for {} to appear in the {} repo", self.nvrs.join(", "), self.tag_name)
            };
            Err(Failure::generic(format!("Unsuccessfully waited {minutes}:00 {what}")))
        })
    }

    async fn wait_on(&mut self, task: &Context) -> Result<Value> {
        loop {
            while !self.has_builds(task, Value::Nil).await? {
                self.pause().await;
            }
            if !self.builds.is_empty() {
                self.min_event = self.last_change(task).await?;
            }
            let answer = self.request(task).await?;
            let mut repo = answer.get("repo").clone();
            if repo.is_nil() {
                let request = answer.get("request");
                if self.min_event.is_nil() {
                    self.min_event = request.get("min_event").clone();
                }
                repo = self.wait_request(task, int_of(request, "id")?).await?;
            }
            if self.fits(task, &repo).await? {
                return Ok(repo);
            }
            self.min_event = self.last_change(task).await?;
            self.pause().await;
        }
    }

    async fn wait_request(&mut self, task: &Context, request: i64) -> Result<Value> {
        loop {
            let check = task.call("repo.checkRequest", (request,)).await?;
            if !check.get("repo").is_nil() {
                return Ok(check.get("repo").clone());
            }
            if !check.get("request").get("active").truthy() {
                return Err(Failure::generic("Repo request no longer active"));
            }
            self.pause().await;
        }
    }

    /// Until something happens that may bring the repository.
    async fn pause(&mut self) {
        if let Some(news) = &mut self.news {
            news.next().await;
        }
    }

    async fn request(&self, task: &Context) -> Result<Value> {
        let args = args!(self.tag; "min_event" => self.min_event.clone());
        task.call("repo.request", args).await
    }

    async fn fits(&self, task: &Context, repo: &Value) -> Result<bool> {
        let event = int_of(repo, "create_event")?;
        let old = self.min_event.as_int().is_some_and(|least| event < least);
        Ok(int_of(repo, "tag_id")? == self.tag
            && !old
            && self.has_builds(task, Value::Int(event)).await?)
    }

    /// Whether the tag had every build at the event.
    async fn has_builds(&self, task: &Context, event: Value) -> Result<bool> {
        for build in &self.builds {
            let args = args!(self.tag; "event" => event.clone(), "package" => build.name.as_str(), "inherit" => true);
            let tagged = task.call("listTagged", args).await?;
            let found = tagged.as_array().unwrap_or_default().iter().any(|tagged| {
                let has = |key| tagged.get(key).as_str().unwrap_or_default();
                has("version") == build.version && has("release") == build.release
            });
            if !found {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn ids(list: &Value) -> Vec<i64> {
    list.as_array().unwrap_or_default().iter().filter_map(Value::as_int).collect()
}

fn id_list(ids: &[i64]) -> Value {
    Value::Array(ids.iter().copied().map(Value::Int).collect())
}
