//! A build.

use std::time::Duration;

use time::OffsetDateTime;
use toji_types::BuildState;
use toji_value::Value;

use super::{Tag, Task, object};
use crate::{Error, estimate, moment};

object! {
    /// A build: name, version, release, what it was made from, and when.
    Build
}

impl Build {
    /// The number.
    pub fn id(&self) -> Option<i64> {
        self.info.int("build_id").or_else(|| self.info.int("id"))
    }

    /// The package's name.
    pub fn name(&self) -> Option<&str> {
        // Lists of some calls have it under the second name only.
        self.info.str("name").or_else(|| self.info.str("package_name"))
    }

    /// The version.
    pub fn version(&self) -> Option<&str> {
        self.info.str("version")
    }

    /// The release.
    pub fn release(&self) -> Option<&str> {
        self.info.str("release")
    }

    /// Name, version and release, with dashes between them.
    pub fn nvr(&self) -> Option<String> {
        match self.info.str("nvr") {
            Some(nvr) => Some(nvr.to_owned()),
            None => Some(format!("{}-{}-{}", self.name()?, self.version()?, self.release()?)),
        }
    }

    /// Where the build stands.
    pub fn state(&self) -> Option<BuildState> {
        BuildState::try_from(self.info.int("state")?).ok()
    }

    /// The name of the user who owns it.
    pub fn owner_name(&self) -> Option<&str> {
        self.info.str("owner_name")
    }

    /// The task that made it, also that of a container build, which came through a content generator.
    pub fn task_id(&self) -> Option<i64> {
        let extra = self.get("extra");
        let in_extra = || {
            // The first is what Koji itself looks for today, the second what older generators wrote.
            let cg = extra.get("typeinfo").get("image").get("task_id").as_int();
            ["container_koji_task_id", "koji_task_id"]
                .iter()
                .find_map(|name| number(extra.get(name)))
                .or(cg)
        };
        self.info.int("task_id").filter(|id| *id != 0).or_else(in_extra)
    }

    /// The URL of the source.
    pub fn source(&self) -> Option<&str> {
        self.info.str("source")
    }

    /// What follows the last `#` of the source: the commit in a git repository.
    pub fn commit(&self) -> Option<&str> {
        self.source()?.rsplit_once('#').map(|(_, commit)| commit)
    }

    /// When the build was entered.
    pub fn created(&self) -> Option<OffsetDateTime> {
        moment::of(&self.info, &["creation_ts", "creation_time", "create_ts"])
    }

    /// When its task began; hubs that do not know say when it was entered.
    pub fn started(&self) -> Option<OffsetDateTime> {
        moment::of(&self.info, &["start_ts", "start_time"]).or_else(|| self.created())
    }

    /// When it was finished.
    pub fn completed(&self) -> Option<OffsetDateTime> {
        moment::of(&self.info, &["completion_ts", "completion_time"])
    }

    /// How long it took, or has taken until now.
    pub fn duration(&self, now: OffsetDateTime) -> Option<Duration> {
        Some(moment::between(self.started()?, self.completed().unwrap_or(now)))
    }

    /// The page in the web UI.
    pub fn url(&self) -> Option<String> {
        self.client.page("buildinfo?buildID", self.id())
    }

    /// The tags that the build has.
    pub async fn tags(&self) -> Result<Vec<Tag>, Error> {
        let Some(id) = self.id() else { return Ok(Vec::new()) };
        let answer = self.client.call("listTags", (id,)).await?;
        self.client.objects("listTags", answer, Tag::new)
    }

    /// The task that made it; see [`Build::task_id`].
    pub async fn task(&self) -> Result<Option<Task>, Error> {
        match self.task_id() {
            Some(id) => self.client.task(id).await,
            None => Ok(None),
        }
    }

    /// The name of the target it was built for, as its task says.
    pub async fn target(&self) -> Result<Option<String>, Error> {
        let task = self.task().await?;
        Ok(task.and_then(|task| task.target().as_str().map(str::to_owned)))
    }

    /// When it was finished, or will be; nothing when nobody can know. An unfinished build takes the average time of its
    /// package.
    pub async fn estimate(&self, now: OffsetDateTime) -> Result<Option<estimate::Estimate>, Error> {
        if self.state().is_some_and(|state| state != BuildState::Building) {
            let (Some(completes), Some(duration)) = (self.completed(), self.duration(now)) else {
                return Ok(None);
            };
            return Ok(Some(estimate::Estimate { duration, completes }));
        }
        let (Some(name), Some(started)) = (self.name(), self.started()) else { return Ok(None) };
        let average = self.client.average_build_duration(name).await?;
        Ok(average.map(|duration| estimate::Estimate { duration, completes: started + duration }))
    }
}

/// A number, which generators also write as text.
fn number(value: &Value) -> Option<i64> {
    value.as_int().or_else(|| value.as_str()?.parse().ok())
}
