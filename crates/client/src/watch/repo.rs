//! Repositories that have what somebody waits for.

use std::collections::VecDeque;
use std::time::Duration;

use futures::StreamExt as _;
use toji_value::{Map, Value};
use tokio::time::Instant;

use super::news::News;
use super::{Events, Source, Wanted, stream};
use crate::object::{Tag, unexpected};
use crate::{Client, Error, FaultKind, args};

/// Which repository to wait for.
#[derive(Clone, Debug, Default)]
pub struct WaitRepo {
    /// The tag, by name or number.
    pub tag: Value,
    /// Builds that it must have, by name-version-release. They are waited for if they are not tagged yet.
    pub builds: Vec<String>,
    /// The oldest event of which it may show the tag; else, and without builds, that of the tag's last change.
    pub min_event: Option<i64>,
    /// The event of which it must show the tag.
    pub at_event: Option<i64>,
    /// Whether to ask for it, which needs a login; else it is waited for until somebody else does.
    pub request: bool,
    /// How long to wait at most.
    pub timeout: Option<Duration>,
}

/// What happens while a repository is waited for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RepoStep {
    /// These builds are not tagged yet.
    Untagged(Vec<String>),
    /// A repository of this event or a later one is waited for.
    Wanted(Option<i64>),
    /// It is asked for, or what is known of the request has changed.
    Requested(Map),
    /// It is there.
    Ready(Map),
}

impl Client {
    /// Waits for a repository of a tag; the repository.
    ///
    /// ```no_run
    /// # async fn example(hub: toji_client::Client) -> Result<(), toji_client::Error> {
    /// use toji_client::WaitRepo;
    ///
    /// let builds = vec!["bash-5.2.26-1".to_owned()];
    /// let repo = hub.wait_repo(WaitRepo { tag: "f43-build".into(), builds, ..WaitRepo::default() }).await?;
    /// println!("repository {:?}", repo.int("id"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Waited`] when it does not come in time, or the hub has given up making it.
    pub async fn wait_repo(&self, wanted: WaitRepo) -> Result<Map, Error> {
        let mut steps = self.watch_repo(wanted);
        while let Some(step) = steps.next().await {
            if let RepoStep::Ready(repo) = step? {
                return Ok(repo);
            }
        }
        Err(unexpected("repo.get", "no repository"))
    }

    /// Waits for a repository of a tag, and tells what happens meanwhile; [`RepoStep::Ready`] is the last.
    ///
    /// A Toji hub tells when to look; others are asked every [`crate::Options::poll_interval`].
    pub fn watch_repo(&self, wanted: WaitRepo) -> Events<RepoStep> {
        let deadline = wanted.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let state = Waiting {
            client: self.clone(),
            wanted,
            deadline,
            tag: 0,
            name: String::new(),
            stage: Stage::New,
            told: VecDeque::new(),
        };
        stream(state)
    }
}

impl Tag {
    /// Waits for a repository of the tag: see [`Client::wait_repo`]. The tag in `wanted` does not count.
    pub async fn wait_repo(&self, wanted: WaitRepo) -> Result<Map, Error> {
        let tag = self.id().map(Value::Int).unwrap_or_default();
        self.client().wait_repo(WaitRepo { tag, ..wanted }).await
    }
}

enum Stage {
    New,
    /// Builds are not tagged yet.
    Builds {
        news: News,
        missing: Vec<String>,
    },
    /// A repository is waited for, by its request if there is one.
    Repo {
        news: News,
        request: Option<Map>,
        min_event: Option<i64>,
    },
    Done,
}

struct Waiting {
    client: Client,
    wanted: WaitRepo,
    deadline: Option<Instant>,
    tag: i64,
    name: String,
    stage: Stage,
    told: VecDeque<RepoStep>,
}

impl Source for Waiting {
    type Item = RepoStep;

    async fn next(&mut self) -> Result<Option<RepoStep>, Error> {
        loop {
            if let Some(step) = self.told.pop_front() {
                return Ok(Some(step));
            }
            let done = match (&self.stage, self.deadline) {
                (Stage::Done, _) => return Ok(None),
                (_, None) => self.step().await,
                (_, Some(deadline)) => match tokio::time::timeout_at(deadline, self.step()).await {
                    Ok(done) => done,
                    Err(_) => {
                        let minutes = self.wanted.timeout.unwrap_or_default().as_secs_f64() / 60.0;
                        let text = format!("no repository of {} in {minutes:.0} min", self.name);
                        return Err(Error::Waited(text));
                    }
                },
            };
            done?;
        }
    }
}

impl Waiting {
    /// Waits for the next news, and looks.
    async fn step(&mut self) -> Result<(), Error> {
        match &mut self.stage {
            Stage::New => self.begin().await,
            Stage::Builds { news, .. } => {
                news.next().await;
                self.look_for_builds().await
            }
            Stage::Repo { news, .. } => {
                news.next().await;
                self.look_for_repo().await
            }
            Stage::Done => Ok(()),
        }
    }

    async fn begin(&mut self) -> Result<(), Error> {
        let call = args!(self.wanted.tag.clone(); "strict" => true);
        let tag = self.client.call("getTag", call).await?;
        let id = tag.get("id").as_int();
        self.tag = id.ok_or_else(|| unexpected("getTag", "a tag without a number"))?;
        self.name = tag.get("name").display();
        if self.wanted.builds.is_empty() {
            let min_event = match (self.wanted.min_event, self.wanted.at_event) {
                (None, None) => self.last_change().await?,
                (min_event, _) => min_event,
            };
            self.seek(min_event);
            return Ok(());
        }
        // They may come by inheritance, so every tag counts.
        let packages = self.wanted.builds.iter().filter_map(|nvr| package(nvr));
        let packages = packages.map(str::to_owned).collect();
        let kinds = vec!["build.tag".to_owned()];
        let news = News::new(&self.client, Wanted { kinds, packages, ..Wanted::default() });
        self.stage = Stage::Builds { news, missing: Vec::new() };
        Ok(())
    }

    /// The event of the tag's last change, its inheritance included.
    async fn last_change(&mut self) -> Result<Option<i64>, Error> {
        Ok(self.client.call("tagLastChangeEvent", (self.tag,)).await?.as_int())
    }

    fn seek(&mut self, min_event: Option<i64>) {
        let (kinds, tags) = (vec!["repo.*".to_owned()], vec![self.tag.to_string()]);
        let news = News::new(&self.client, Wanted { kinds, tags, ..Wanted::default() });
        self.told.push_back(RepoStep::Wanted(self.wanted.at_event.or(min_event)));
        self.stage = Stage::Repo { news, request: None, min_event };
    }

    async fn look_for_builds(&mut self) -> Result<(), Error> {
        let now = self.missing(None).await?;
        let Stage::Builds { news, missing } = &mut self.stage else { return Ok(()) };
        if now.is_empty() {
            self.seek(self.wanted.min_event);
        } else if now != *missing {
            news.quicken();
            missing.clone_from(&now);
            self.told.push_back(RepoStep::Untagged(now));
        }
        Ok(())
    }

    /// The builds that the tag does not have, at an event or now.
    async fn missing(&mut self, event: Option<i64>) -> Result<Vec<String>, Error> {
        let mut calls = self.client.multicall().batch(100);
        for build in &self.wanted.builds {
            let mut call = args!(self.tag; "inherit" => true);
            call.keywords.insert("package", package(build).unwrap_or(build));
            if let Some(event) = event {
                call.keywords.insert("event", event);
            }
            calls.add("listTagged", call);
        }
        let mut missing = Vec::new();
        for (build, answer) in self.wanted.builds.iter().zip(calls.strict().await?) {
            let mut tagged = answer.as_array().unwrap_or_default().iter();
            if !tagged.any(|one| one.get("nvr").as_str() == Some(build)) {
                missing.push(build.clone());
            }
        }
        Ok(missing)
    }

    async fn look_for_repo(&mut self) -> Result<(), Error> {
        let Stage::Repo { request, min_event, .. } = &self.stage else { return Ok(()) };
        let (request, min_event) = (request.clone(), *min_event);
        if let Some(request) = request {
            return self.look_at_request(&request).await;
        }
        if let Some(repo) = self.current(min_event).await?
            && self.fits(&repo).await?
        {
            self.ready(repo);
            return Ok(());
        }
        if !self.wanted.request {
            return Ok(());
        }
        let min_event = match (min_event, self.wanted.at_event) {
            (None, None) => self.last_change().await?,
            _ => min_event,
        };
        let mut call = args!(self.tag);
        for (name, event) in [("min_event", min_event), ("at_event", self.wanted.at_event)] {
            if let Some(event) = event {
                call.keywords.insert(name, event);
            }
        }
        let answer = self.client.call("repo.request", call).await?;
        self.take(&answer).await
    }

    /// The repository that is there already, if it is of the right event.
    async fn current(&mut self, min_event: Option<i64>) -> Result<Option<Map>, Error> {
        let mut call = args!(self.tag);
        for (name, event) in [("min_event", min_event), ("at_event", self.wanted.at_event)] {
            if let Some(event) = event {
                call.keywords.insert(name, event);
            }
        }
        let answer = match self.client.call("repo.get", call).await {
            // Hubs before 1.35 know only the newest.
            Err(error) if error.is(FaultKind::Generic) && !self.wanted.request => {
                self.client.call("getRepo", (self.tag,)).await?
            }
            answer => answer?,
        };
        let Value::Struct(repo) = answer else { return Ok(None) };
        let event = repo.int("create_event");
        let exact = self.wanted.at_event.is_none_or(|at| event == Some(at));
        Ok((exact && event >= min_event).then_some(repo))
    }

    /// Whether a repository has the builds.
    async fn fits(&mut self, repo: &Map) -> Result<bool, Error> {
        if self.wanted.builds.is_empty() {
            return Ok(true);
        }
        Ok(self.missing(repo.int("create_event")).await?.is_empty())
    }

    async fn look_at_request(&mut self, before: &Map) -> Result<(), Error> {
        let id = before.int("id").ok_or_else(|| unexpected("repo.request", "no number"))?;
        let answer = self.client.call("repo.checkRequest", (id,)).await?;
        self.take(&answer).await
    }

    /// Takes what the hub says of a request: the repository, or how far it is.
    async fn take(&mut self, answer: &Value) -> Result<(), Error> {
        if let Value::Struct(repo) = answer.get("repo") {
            if self.fits(repo).await? {
                self.ready(repo.clone());
                return Ok(());
            }
            // Something was untagged meanwhile: the next look asks anew.
            let last = self.last_change().await?;
            if let Stage::Repo { request, min_event, .. } = &mut self.stage {
                (*request, *min_event) = (None, last);
            }
            return Ok(());
        }
        let Value::Struct(now) = answer.get("request") else {
            return Err(unexpected("repo.request", "neither a repository nor a request"));
        };
        let Stage::Repo { news, request, .. } = &mut self.stage else { return Ok(()) };
        let changed = |name: &str| {
            request.as_ref().is_none_or(|before| before.value(name) != now.value(name))
        };
        if ["task_id", "task_state", "active", "tries"].into_iter().any(changed) {
            news.quicken();
            *request = Some(now.clone());
            self.told.push_back(RepoStep::Requested(now.clone()));
        }
        if now.value("active").truthy() {
            return Ok(());
        }
        let task = now.int("task_id").map_or(String::new(), |task| format!(" after task {task}"));
        let id = now.value("id").display();
        Err(Error::Waited(format!("the hub has given up request {id}{task}")))
    }

    fn ready(&mut self, repo: Map) {
        self.told.push_back(RepoStep::Ready(repo));
        self.stage = Stage::Done;
    }
}

/// The package of a name-version-release.
fn package(nvr: &str) -> Option<&str> {
    nvr.rsplitn(3, '-').nth(2).filter(|name| !name.is_empty())
}
