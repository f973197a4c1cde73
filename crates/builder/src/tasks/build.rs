//! `build`: the parent of a package build: checks, source package, arches, import, tagging.

mod arches;
pub(super) mod repository;

use toji_client::args;
use toji_rpmfile::Package;
use toji_value::{Default, Map, Value, map};

use super::{method, need_listed, take, texts};
use crate::context::{Context, int, int_of, text_of};
use crate::failure::{Failure, Result};
use crate::scm::is_scm_url;
use crate::source::remote_header;
use crate::wait::Wait;
use repository::wanted_repo;

method!("build", 0.2, [src, target, opts = Default::Nil]);

async fn run(task: &Context, values: Vec<Value>) -> Result<Value> {
    let [src, target, opts] = take(values)?;
    let mut build = Build::new(task, src, target, opts).await?;
    build.check_policy().await?;
    build.choose_repo().await?;
    let (srpm, source) = build.source_package().await?;
    let package = remote_header(task, &srpm).await?;
    let data = build.data(&package, source)?;
    if let Some(done) = build.made_before(&data).await? {
        build.tag_once(done).await?;
        return Ok(Value::Nil);
    }
    let extra_arches = build.check_package(text_of(&data, "name")?).await?;
    let arches = build.arches(package.header(), extra_arches.as_deref()).await?;
    let build_id = match build.scratch() {
        true => None,
        false => Some(int("host.initBuild", task.call("host.initBuild", (data,)).await?)?),
    };
    if let Err(failure) = build.make(&srpm, &package, &arches, build_id).await {
        if let Some(id) = build_id {
            task.call("host.failBuild", (task.id, id)).await?;
        }
        return Err(failure);
    }
    if let Some(id) = build_id.filter(|_| !build.skip_tag) {
        build.tag(id).await?;
    }
    Ok(Value::Nil)
}

/// A build as it was asked for.
struct Build<'t> {
    task: &'t Context,
    src: String,
    opts: Value,
    target_name: Option<String>,
    /// The name of the destination, for messages.
    dest_name: String,
    dest_tag: i64,
    build_tag: i64,
    skip_tag: bool,
    /// The repository that was asked for, or the one that was waited for.
    repo: Value,
    event: Value,
    /// The state of the tag that its buildroots are planned at, if there is no repository of it.
    plan: Value,
}

impl<'t> Build<'t> {
    async fn new(task: &'t Context, src: Value, target: Value, opts: Value) -> Result<Self> {
        let Some(src) = src.as_str().map(str::to_owned) else {
            return Err(Failure::build(format!("Invalid source specification: {}", src.display())));
        };
        if opts.get("arch_override").truthy() && !opts.get("scratch").truthy() {
            return Err(Failure::build("arch_override is only allowed for scratch builds"));
        }
        let metadata = opts.get("custom_user_metadata");
        if metadata.truthy() && metadata.as_struct().is_none() {
            return Err(Failure::build(
                "custom_user_metadata must be serializable to a JSON object",
            ));
        }
        let repo = wanted_repo(task, opts.get("repo_id")).await?;
        let event = repo.get("create_event").clone();
        let skip_tag = opts.get("skip_tag").truthy();
        let mut build = Build {
            task,
            src,
            opts,
            target_name: None,
            dest_name: String::new(),
            dest_tag: 0,
            build_tag: 0,
            skip_tag,
            repo,
            event,
            plan: Value::Nil,
        };
        build.find_tags(target).await?;
        Ok(build)
    }

    /// The tags of the target; with a repository, the target may also be just the destination.
    async fn find_tags(&mut self, target: Value) -> Result<()> {
        let event = self.event.clone();
        let info = match target.truthy() {
            true => self.task.call("getBuildTarget", args!(&target; "event" => &event)).await?,
            false => Value::Nil,
        };
        let repo = &self.repo;
        if !info.is_nil() {
            self.build_tag = int_of(&info, "build_tag")?;
            self.dest_tag = int_of(&info, "dest_tag")?;
            self.dest_name = text_of(&info, "dest_tag_name")?.to_owned();
            self.target_name = Some(text_of(&info, "name")?.to_owned());
            if !repo.is_nil() && repo.get("tag_id") != info.get("build_tag") {
                let (one, two) =
                    (repo.get("tag_name").display(), info.get("build_tag_name").display());
                return Err(Failure::build(format!("Repo/Target mismatch: {one}/{two}")));
            }
            return Ok(());
        }
        if repo.is_nil() {
            return Err(Failure::generic(format!("unknown build target: {}", target.display())));
        }
        self.build_tag = int_of(repo, "tag_id")?;
        if target.is_nil() {
            self.skip_tag = true;
            self.dest_tag = self.build_tag;
            self.dest_name = repo.get("tag_name").display();
            return Ok(());
        }
        let tag = self.task.call("getTag", args!(&target; "event" => event)).await?;
        if tag.is_nil() {
            return Err(Failure::generic(format!("neither tag nor target: {}", target.display())));
        }
        self.dest_tag = int_of(&tag, "id")?;
        self.dest_name = text_of(&tag, "name")?.to_owned();
        Ok(())
    }

    fn scratch(&self) -> bool {
        self.opts.get("scratch").truthy()
    }

    /// Asks the hub whether the user may do this.
    async fn check_policy(&self) -> Result<()> {
        let from_scm = is_scm_url(&self.src);
        let mut data = map! {
            "user_id" => self.task.info.get("owner"),
            "source" => &self.src,
            "task_id" => self.task.id,
            "build_tag" => self.build_tag,
            "skip_tag" => self.skip_tag,
            "scratch" => self.opts.get("scratch"),
            "draft" => self.opts.get("draft"),
            "from_scm" => from_scm,
            "repo_id" => self.opts.get("repo_id"),
        };
        if let Some(target) = &self.target_name {
            data.insert("target", target);
        }
        if !self.skip_tag {
            data.insert("tag", self.dest_tag);
        }
        let mut policies = vec!["build_rpm"];
        if !self.opts.get("repo_id").is_nil() {
            policies.insert(0, "build_from_repo_id");
        }
        if !from_scm && !self.scratch() {
            policies.insert(0, "build_from_srpm");
        }
        for policy in policies {
            self.task.call("host.assertPolicy", (policy, data.clone())).await?;
        }
        Ok(())
    }

    /// The source package below `work`, and where its source is from, if a child task made it.
    async fn source_package(&self) -> Result<(String, Value)> {
        let method = if is_scm_url(&self.src) {
            "buildSRPMFromSCM"
        } else if self.wants_rebuild().await? {
            "rebuildSRPM"
        } else {
            return Ok((self.src.clone(), Value::Nil));
        };
        let mut opts = self.child_opts();
        opts.insert("scratch", self.opts.get("scratch"));
        let args = vec![self.src.as_str().into(), self.build_tag.into(), opts.into()];
        let arch = self.task_arch("noarch", None).await?;
        let child =
            self.task.subtask(method, args, map! {"label" => "srpm", "arch" => arch}).await?;
        let result = self.task.wait_for(child).await?;
        Ok((text_of(&result, "srpm")?.to_owned(), result.get("source").clone()))
    }

    async fn wants_rebuild(&self) -> Result<bool> {
        let config = self.build_config().await?;
        let by_tag = config.get("extra").as_struct().and_then(|extra| extra.get("rebuild_srpm"));
        let by_user = Some(self.opts.get("rebuild_srpm")).filter(|v| self.scratch() && !v.is_nil());
        Ok(by_user.or(by_tag).is_none_or(Value::truthy))
    }

    async fn build_config(&self) -> Result<Value> {
        self.task.call("getBuildConfig", args!(self.build_tag; "event" => &self.event)).await
    }

    /// What the hub is told of the new build.
    fn data(&self, package: &Package, source: Value) -> Result<Value> {
        let header = package.header();
        let bad = Failure::local::<toji_rpmfile::Error>;
        let mut data = map! {
            "name" => header.name().map_err(bad("name"))?.into_owned(),
            "version" => header.version().map_err(bad("version"))?.into_owned(),
            "release" => header.release().map_err(bad("release"))?.into_owned(),
            "epoch" => header.epoch(),
            "task_id" => self.task.id,
        };
        let mut extra = Map::new();
        if !source.is_nil() {
            data.insert("source", source.get("source"));
            extra.insert("source", map! {"original_url" => source.get("url")});
        }
        let metadata = self.opts.get("custom_user_metadata");
        if metadata.truthy() {
            extra.insert("custom_user_metadata", metadata);
        }
        if !extra.is_empty() {
            data.insert("extra", extra);
        }
        if self.opts.get("draft").truthy() {
            data.insert("draft", self.opts.get("draft"));
        }
        Ok(Value::Struct(data))
    }

    /// The package must be listed in the destination; gives its extra arches.
    async fn check_package(&self, name: &str) -> Result<Option<String>> {
        let call = args!(self.dest_tag, name; "event" => &self.event);
        let config = self.task.call("getPackageConfig", call).await?;
        if !self.skip_tag && !self.scratch() {
            need_listed(&config, name, &self.dest_name)?;
        }
        Ok(config.get("extra_arches").as_str().map(str::to_owned))
    }

    /// Runs the arches and hands what they made to the hub.
    async fn make(
        &self,
        srpm: &str,
        package: &Package,
        arches: &[String],
        build_id: Option<i64>,
    ) -> Result<()> {
        let made = self.run_arches(srpm, package, arches).await?;
        let id = self.task.id;
        match build_id {
            None => {
                let call = args!(id, made.srpm, made.rpms; "logs" => made.logs);
                self.task.call("host.moveBuildToScratch", call).await.map(drop)
            }
            Some(build) => {
                let call =
                    args!(id, build, made.srpm, made.rpms, made.buildroots; "logs" => made.logs);
                self.task.call("host.completeBuild", call).await.map(drop)
            }
        }
    }

    async fn run_arches(&self, srpm: &str, package: &Package, arches: &[String]) -> Result<Made> {
        let mut children = Vec::new();
        for (n, arch) in arches.iter().enumerate() {
            let opts = self.child_opts();
            let args =
                vec![srpm.into(), self.build_tag.into(), arch.into(), (n == 0).into(), opts.into()];
            let task_arch = self.task_arch(arch, Some(package.header())).await?;
            let labels = map! {"label" => arch, "arch" => task_arch};
            children.push((arch, self.task.subtask("buildArch", args, labels).await?));
        }
        let ids: Vec<i64> = children.iter().map(|(_, id)| *id).collect();
        let fail_any =
            self.opts.get("fail_fast").truthy() || !self.task.config().build_arch_can_fail;
        let mut results = self.task.wait(&ids, Wait { all: true, fail_any }).await?;
        let mut made = Made::default();
        for (arch, id) in children {
            made.add(arch, &results.remove(&id).unwrap_or_default())?;
        }
        if made.srpm.is_empty() {
            return Err(Failure::build("could not find a built srpm"));
        }
        Ok(made)
    }

    /// The build, if an earlier run of this task completed it: a builder that died between the
    /// import and the end of its task must not fail on its own work.
    async fn made_before(&self, data: &Value) -> Result<Option<i64>> {
        if self.scratch() || self.opts.get("draft").truthy() {
            return Ok(None);
        }
        let nvr = map! {
            "name" => data.get("name"),
            "version" => data.get("version"),
            "release" => data.get("release"),
        };
        let build = self.task.call("getBuild", (nvr,)).await?;
        let complete = build.get("state").as_int() == Some(toji_types::BuildState::Complete as i64);
        let own = build.get("task_id").as_int() == Some(self.task.id);
        Ok(build.get("id").as_int().filter(|_| complete && own))
    }

    /// Tags the build unless the earlier run came that far.
    async fn tag_once(&self, build: i64) -> Result<()> {
        if self.skip_tag {
            return Ok(());
        }
        let tags = self.task.call("listTags", (build,)).await?;
        let tags = tags.as_array().unwrap_or_default();
        if tags.iter().any(|tag| tag.get("id").as_int() == Some(self.dest_tag)) {
            return Ok(());
        }
        self.tag(build).await
    }

    async fn tag(&self, build: i64) -> Result<()> {
        super::tag(self.task, self.dest_tag, build).await
    }
}

/// What the arches made, as the hub takes it.
#[derive(Default)]
struct Made {
    srpm: String,
    rpms: Vec<Value>,
    buildroots: Map,
    logs: Map,
}

impl Made {
    fn add(&mut self, arch: &str, result: &Value) -> Result<()> {
        let buildroot = int_of(result, "brootid")?;
        for file in texts(result.get("rpms")) {
            self.rpms.push(file.as_str().into());
            self.buildroots.insert(file, buildroot);
        }
        self.logs.insert(arch.to_owned(), result.get("logs"));
        if let Some(srpm) = texts(result.get("srpms")).into_iter().next() {
            if !self.srpm.is_empty() {
                return Err(Failure::build("multiple builds returned a srpm"));
            }
            self.buildroots.insert(srpm.clone(), buildroot);
            self.srpm = srpm;
        }
        Ok(())
    }
}
