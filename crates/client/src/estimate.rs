//! How long builds and tasks take: averages, and when what runs now will be finished.

use std::time::Duration;

use time::OffsetDateTime;
use toji_types::TaskState;
use toji_value::{Value, map};

use crate::{Build, Client, Error, Task, args, moment};

/// How many earlier builds are looked at.
const LAST: usize = 5;
/// How long a host may take to find a free task: the longest `sleeptime` that builders are known to be set to.
const PICKED_UP: Duration = Duration::from_secs(45);
/// How long a task takes that only writes to the database.
const SHORT: Duration = Duration::from_secs(15);

/// When something is finished, or will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// How long it takes from its beginning.
    pub duration: Duration,
    /// When it is finished.
    pub completes: OffsetDateTime,
}

impl Estimate {
    /// How much time is left; none when it should be finished by now.
    pub fn left(&self, now: OffsetDateTime) -> Duration {
        moment::between(now, self.completes)
    }
}

/// The parts of a build task, on average over earlier ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// From the task's beginning until the first arch begins.
    pub before: Duration,
    /// The build time: the longest arch.
    pub arch: Duration,
    /// From the end of the last arch to the task's end.
    pub after: Duration,
}

impl Client {
    /// The average time in which a package is built. The hub counts all builds with a task; containers, of which it knows no
    /// tasks, are averaged here over the last five.
    pub async fn average_build_duration(&self, package: &str) -> Result<Option<Duration>, Error> {
        if package.ends_with("-container") {
            return self.average_last_builds(package, LAST).await;
        }
        let query = toji_api::build::GetAverageBuildDuration::new(package);
        Ok(self.call_rpc(query).await?.and_then(seconds))
    }

    /// As [`Client::average_build_duration`] for many packages with one request; containers take two more each.
    pub async fn average_build_durations(
        &self,
        packages: &[&str],
    ) -> Result<Vec<Option<Duration>>, Error> {
        let mut calls = self.multicall().batch(200);
        let slots: Vec<_> = packages
            .iter()
            .map(|p| calls.rpc(toji_api::build::GetAverageBuildDuration::new(*p)))
            .collect();
        let mut done = calls.run().await?;
        let mut all = Vec::with_capacity(packages.len());
        for (package, slot) in packages.iter().zip(slots) {
            let average = done.take(slot)?.and_then(seconds);
            all.push(match package.ends_with("-container") {
                true => self.average_last_builds(package, LAST).await?,
                false => average,
            });
        }
        Ok(all)
    }

    /// The average duration of the last complete builds of a package, at most `limit` of them.
    pub async fn average_last_builds(
        &self,
        package: &str,
        limit: usize,
    ) -> Result<Option<Duration>, Error> {
        let builds = self.last_builds(package, limit).await?;
        let durations = builds
            .iter()
            .filter_map(|build| Some(moment::between(build.started()?, build.completed()?)));
        Ok(average(durations.collect()))
    }

    /// The last complete builds of a package, the latest first.
    pub async fn last_builds(&self, package: &str, limit: usize) -> Result<Vec<Build>, Error> {
        let Some(id) = self.package(package).await?.and_then(|package| package.id()) else {
            return Ok(Vec::new());
        };
        let options = map! { "order" => "-completion_time", "limit" => limit };
        let args = args!(id; "state" => 1, "queryOpts" => options);
        let answer = self.call("listBuilds", args).await?;
        self.objects("listBuilds", answer, Build::new)
    }

    /// How the last builds of a package went by their tasks, which is what a build that runs now will do. The build time of a
    /// task is that of its longest `buildArch`: waiting for hosts and repositories is not in it.
    pub async fn average_course(
        &self,
        package: &str,
        limit: usize,
    ) -> Result<Option<Course>, Error> {
        let builds = self.last_builds(package, limit).await?;
        let ids: Vec<i64> = builds.iter().filter_map(Build::task_id).collect();
        let mut calls = self.multicall();
        for id in &ids {
            calls.add("getTaskInfo", (*id,));
            calls.add("getTaskDescendents", (*id,));
        }
        if calls.is_empty() {
            return Ok(None);
        }
        let mut done = calls.run().await?;
        let mut courses = Vec::new();
        for place in 0..ids.len() {
            // A task that was deleted meanwhile says nothing.
            let (Ok(Value::Struct(task)), Ok(Value::Struct(below))) =
                (done.take_value(2 * place), done.take_value(2 * place + 1))
            else {
                continue;
            };
            let children = below.into_iter().map(|(_, children)| children);
            let children = children.map(|c| self.objects("getTaskDescendents", c, Task::new));
            let children: Vec<Task> = children.collect::<Result<Vec<_>, _>>()?.concat();
            courses.extend(course(&Task::new(task, self), &children));
        }
        let part = |part: fn(&Course) -> Duration| {
            average(courses.iter().map(part).collect()).unwrap_or_default()
        };
        let mean =
            Course { before: part(|c| c.before), arch: part(|c| c.arch), after: part(|c| c.after) };
        Ok((!courses.is_empty()).then_some(mean))
    }
}

impl Task {
    /// The build time of a finished or running task: that of its longest `buildArch` (or what makes an image of it); its own
    /// when nothing is below it.
    pub async fn build_time(&self, now: OffsetDateTime) -> Result<Option<Duration>, Error> {
        let below = self.descendents().await?;
        let longest = below.iter().filter(|t| builds(t)).filter_map(|t| t.duration(now)).max();
        Ok(longest.or_else(|| self.duration(now)))
    }

    /// When the task was finished, or will be; nothing when nobody can know.
    ///
    /// A `build` goes as the last builds of its package went; other tasks take the average time of the last five of their
    /// method.
    pub async fn estimate(&self, now: OffsetDateTime) -> Result<Option<Estimate>, Error> {
        let begun = self.started().or_else(|| self.created());
        if let Some(completes) = self.completed() {
            let duration = begun.map(|at| moment::between(at, completes)).unwrap_or_default();
            return Ok(Some(Estimate { duration, completes }));
        }
        let started = self.started().unwrap_or(now + PICKED_UP);
        let made = |duration: Duration| Estimate { duration, completes: started + duration };
        if self.method() == "tagBuild" {
            return Ok(Some(made(SHORT)));
        }
        let Some(package) = self.package() else { return self.like_others(made).await };
        if !matches!(self.method(), "build" | "image" | "maven") {
            let course = self.client().average_course(&package, LAST).await?;
            return match course.filter(|_| builds(self)) {
                Some(course) => Ok(Some(made(course.arch))),
                None => self.like_others(made).await,
            };
        }
        let Some(course) = self.client().average_course(&package, LAST).await? else {
            let average = self.client().average_build_duration(&package).await?;
            return Ok(average.map(made));
        };
        let below = self.descendents().await?;
        let first = below.iter().filter(|task| builds(task)).filter_map(Task::started).min();
        // Once an arch has begun, what went before it is no longer a guess.
        let arches = first.unwrap_or(started + course.before);
        let ends = below.iter().filter(|task| builds(task)).filter_map(Task::completed);
        let last = ends.max().filter(|_| below.iter().filter(|t| builds(t)).all(is_done));
        let completes = last.unwrap_or(arches + course.arch) + course.after;
        Ok(Some(Estimate { duration: moment::between(started, completes), completes }))
    }

    /// The average of the last tasks that did the same.
    async fn like_others(
        &self,
        made: impl Fn(Duration) -> Estimate,
    ) -> Result<Option<Estimate>, Error> {
        let mut wanted = map! { "method" => self.method(), "state" => toji_value::list![2] };
        if let Some(arch) = self.info().str("arch") {
            wanted.insert("arch", toji_value::list![arch]);
        }
        let query = map! { "order" => "-completion_time", "limit" => LAST };
        let others = self.client().tasks(wanted, query).await?;
        let times =
            others.iter().filter_map(|t| Some(moment::between(t.started()?, t.completed()?)));
        Ok(average(times.collect()).map(made))
    }
}

/// Whether a task is the part of a build that builds.
fn builds(task: &Task) -> bool {
    const METHODS: [&str; 8] = [
        "buildArch",
        "buildMaven",
        "vmExec",
        "createImage",
        "createLiveCD",
        "createAppliance",
        "createLiveMedia",
        "createKiwiImage",
    ];
    METHODS.contains(&task.method())
}

fn is_done(task: &Task) -> bool {
    matches!(task.state(), Some(TaskState::Closed | TaskState::Canceled | TaskState::Failed))
}

fn course(task: &Task, children: &[Task]) -> Option<Course> {
    let arches = || children.iter().filter(|task| builds(task));
    let times = arches().filter_map(|t| Some((t.started()?, t.completed()?)));
    let first = times.clone().map(|time| time.0).min()?;
    let last = times.clone().map(|time| time.1).max()?;
    Some(Course {
        before: moment::between(task.started()?, first),
        arch: times.map(|(from, to)| moment::between(from, to)).max()?,
        after: moment::between(last, task.completed()?),
    })
}

fn average(durations: Vec<Duration>) -> Option<Duration> {
    let count = u32::try_from(durations.len()).ok().filter(|n| *n > 0)?;
    Some(durations.into_iter().sum::<Duration>() / count)
}

fn seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}
