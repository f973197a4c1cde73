//! A task, and what its request says, whatever its method.

use std::time::Duration;

use time::OffsetDateTime;
use toji_types::TaskState;
use toji_value::{Map, Value};

use super::{Build, Channel, object, unexpected};
use crate::{Error, args, moment, task_request};

object! {
    /// A task.
    Task
}

impl Task {
    /// The number.
    pub fn id(&self) -> Option<i64> {
        self.info.int("id")
    }

    /// What the task does: `build`, `buildArch`, `newRepo`, …
    pub fn method(&self) -> &str {
        self.info.str("method").unwrap_or_default()
    }

    /// Where the task stands.
    pub fn state(&self) -> Option<TaskState> {
        TaskState::try_from(self.info.int("state")?).ok()
    }

    /// The number of the task that waits for this one.
    pub fn parent_id(&self) -> Option<i64> {
        self.info.int("parent")
    }

    /// The number of the user who made it.
    pub fn owner_id(&self) -> Option<i64> {
        self.info.int("owner").or_else(|| self.info.int("owner_id"))
    }

    /// The number of the channel whose hosts may take it.
    pub fn channel_id(&self) -> Option<i64> {
        self.info.int("channel_id")
    }

    /// The load that it is to the host that runs it.
    pub fn weight(&self) -> f64 {
        self.get("weight").as_f64().unwrap_or(1.0)
    }

    /// When it was made.
    pub fn created(&self) -> Option<OffsetDateTime> {
        moment::of(&self.info, &["create_ts", "create_time"])
    }

    /// When a host began.
    pub fn started(&self) -> Option<OffsetDateTime> {
        moment::of(&self.info, &["start_ts", "start_time"])
    }

    /// When it ended.
    pub fn completed(&self) -> Option<OffsetDateTime> {
        moment::of(&self.info, &["completion_ts", "completion_time"])
    }

    /// How long it took, or has taken until now; nothing before it was begun.
    pub fn duration(&self, now: OffsetDateTime) -> Option<Duration> {
        Some(moment::between(self.started()?, self.completed().unwrap_or(now)))
    }

    /// The page in the web UI.
    pub fn url(&self) -> Option<String> {
        self.client.page("taskinfo?taskID", self.id())
    }

    /// The arguments as they are in the request; nothing when the hub did not send it.
    pub fn request(&self) -> Vec<Value> {
        match self.get("request") {
            Value::Array(arguments) => arguments.clone(),
            Value::Str(text) => task_request(text).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// The arguments by name; empty when the method is not known.
    pub fn params(&self) -> Map {
        // The hub's list is of its own methods; the plugin for containers takes what `build` takes.
        let method = if self.method() == "buildContainer" { "build" } else { self.method() };
        toji_api::task_params::named(method, &self.request()).unwrap_or_default()
    }

    /// Whether the result goes nowhere but to its maker; for a part of a build what the whole is.
    pub fn is_scratch(&self) -> bool {
        // Where options stand differs between methods; nothing else has a member of this name.
        let opts = |value: &Value| value.get("scratch").truthy();
        self.request().iter().any(|arg| opts(arg) || opts(arg.get("opts")))
    }

    /// The tag that the task works for, by name or number; nil when it has none. Builds have a [`Task::target`].
    pub fn tag(&self) -> Value {
        let params = self.params();
        let own =
            ["tag", "build_tag", "tag_id", "tag_info"].map(|name| name_or_id(params.value(name)));
        let root = match self.method() {
            // Both call it by the root that is made of it.
            "buildArch" | "runroot" => name_or_id(params.value("root")),
            _ => Value::Nil,
        };
        own.into_iter().chain([root]).find(|tag| !tag.is_nil()).unwrap_or_default()
    }

    /// The build target, by name or number; nil when the task has none.
    pub fn target(&self) -> Value {
        let params = self.params();
        let inner = params.value("opts").get("target");
        let found = ["target", "build_target", "target_info"].map(|name| params.value(name));
        found.into_iter().chain([inner]).map(name_or_id).find(|t| !t.is_nil()).unwrap_or_default()
    }

    /// What is built: the URL of the source, or the path of an uploaded one.
    pub fn source(&self) -> Option<String> {
        let params = self.params();
        let names = ["src", "url", "srpm", "source_url", "spec_url", "desc_url", "pkg"];
        let source = names.iter().find_map(|name| params.str(name))?;
        Some(source.to_owned())
    }

    /// The package that is built; nothing when the task is about none.
    pub fn package(&self) -> Option<String> {
        let params = self.params();
        let member = |name: &str| params.value(name).get("name").as_str().map(str::to_owned);
        match self.method() {
            "buildNotification" | "wrapperRPM" => {
                return member("build").or_else(|| params.str("spec_url").map(in_url));
            }
            "tagNotification" => return member("build_info"),
            "indirectionimage" => return member("opts"),
            "image" | "livecd" | "appliance" | "livemedia" | "createImage" | "createLiveCD"
            | "createAppliance" | "createLiveMedia" | "createKiwiImage" | "vmExec" => {
                return params.str("name").map(str::to_owned);
            }
            "dudBuild" | "createDudIso" => return params.str("dud_name").map(str::to_owned),
            _ => {}
        }
        let source = self.source()?;
        if let Some(file) = source.strip_suffix(".src.rpm") {
            let file = file.rsplit('/').next().unwrap_or(file);
            return file.rsplitn(3, '-').nth(2).map(str::to_owned);
        }
        let name = in_url(&source);
        match self.method() {
            _ if !source.contains("://") => None,
            "buildContainer" => Some(name + "-container"),
            _ => Some(name),
        }
    }

    /// The arch that the task builds for; nothing when it is for none in particular.
    pub fn arch(&self) -> Option<String> {
        let params = self.params();
        let own = params.str("arch").or_else(|| params.value("opts").get("arch").as_str());
        let label = || self.info.str("arch").filter(|arch| *arch != "noarch");
        own.or_else(label).map(str::to_owned)
    }

    /// All arches that the task and those below it build for.
    pub fn arches(&self) -> Vec<String> {
        match self.params().value("arches") {
            Value::Array(arches) => {
                arches.iter().filter_map(|arch| arch.as_str().map(str::to_owned)).collect()
            }
            Value::Str(arches) => arches
                .split([' ', ','])
                .filter(|arch| !arch.is_empty())
                .map(str::to_owned)
                .collect(),
            _ => self.arch().into_iter().collect(),
        }
    }

    /// The build that the task is about, as its request says; that of a `build` task is found by [`Task::builds`].
    pub fn build_id(&self) -> Option<i64> {
        let params = self.params();
        let inner = |name: &str| {
            let build = params.value(name);
            build.get("build_id").as_int().or_else(|| build.get("id").as_int())
        };
        params.int("build_id").or_else(|| inner("build")).or_else(|| inner("build_info"))
    }

    /// The builds that the task made.
    pub async fn builds(&self) -> Result<Vec<Build>, Error> {
        let answer = self.client.call("listBuilds", args!(; "taskID" => self.id())).await?;
        self.client.objects("listBuilds", answer, Build::new)
    }

    /// The channel whose hosts may take it.
    pub async fn channel(&self) -> Result<Option<Channel>, Error> {
        match self.channel_id() {
            Some(id) => self.client.channel(id).await,
            None => Ok(None),
        }
    }

    /// Every task below this one, with its request.
    pub async fn descendents(&self) -> Result<Vec<Task>, Error> {
        let Some(id) = self.id() else { return Ok(Vec::new()) };
        let call = "getTaskDescendents";
        let answer = self.client.call(call, args!(id; "request" => true)).await?;
        let Value::Struct(families) = answer else { return Err(unexpected(call, "not a struct")) };
        // Each task below is in the list of its parent, and has a list of its own.
        let mut all = Vec::new();
        for (_, children) in families {
            all.extend(self.client.objects(call, children, Task::new)?);
        }
        all.retain(|task| task.id() != Some(id));
        all.sort_by_key(Task::id);
        all.dedup_by_key(|task| task.id());
        Ok(all)
    }
}

/// The name in a struct about a tag or target, or the name or number itself.
fn name_or_id(value: &Value) -> Value {
    match value {
        Value::Struct(info) => match info.get("name") {
            Some(name) => name.clone(),
            None => info.value("id").clone(),
        },
        Value::Int(_) | Value::Str(_) => value.clone(),
        _ => Value::Nil,
    }
}

/// The last part of a URL's path, without `.git`.
fn in_url(url: &str) -> String {
    let path = url.split(['#', '?']).next().unwrap_or_default().trim_end_matches('/');
    let last = path.rsplit('/').next().unwrap_or_default();
    last.strip_suffix(".git").unwrap_or(last).to_owned()
}
