//! A buildroot of the hub: recorded there, filled from the tag's repository, run here.

mod chroot;
mod facts;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use toji_client::args;
use toji_sandbox::{Buildroot, Command, Limits, Outcome, results};
use toji_types::state::BrState;
use toji_value::Value;

use crate::config::Kind;
use crate::context::{Context, int, text_of};
use crate::failure::{Failure, Result, chain};
use crate::logs::Log;
use crate::machine;
use crate::repository::Repository;
use crate::resolve::{Machine, Plan, Pool};
use crate::rich::{Capability, Need};
use crate::source;
use facts::{ThisMachine, check_repo, group_packages, hostname, listing, write_hardware};

/// Where rpmbuild works, as seen inside.
pub(crate) const TOPDIR: &str = "/builddir/build";

/// More than any spec file has, in bytes.
const MOST_SPEC: u64 = 4 << 20;

/// What kind of buildroot a task wants.
pub(crate) struct Wish<'w> {
    /// The tag, by id.
    pub(crate) tag: i64,
    /// The arch of the buildroot.
    pub(crate) arch: &'w str,
    pub(crate) repo_id: i64,
    /// The tag's package group that is installed first.
    pub(crate) group: &'w str,
    /// Whether commands inside may use the network.
    pub(crate) network: bool,
}

/// A buildroot that the hub knows, not yet filled.
pub(crate) struct Room<'t> {
    task: &'t Context,
    pub(crate) id: i64,
    config: Value,
    repository: Repository,
    group: Vec<String>,
    arch: String,
    network: bool,
    /// Whether the root has nothing of this machine.
    chroot: bool,
    /// What the group alone brings.
    group_plan: Option<BTreeSet<usize>>,
    root: Option<Buildroot>,
    installed: BTreeSet<usize>,
    log: Log,
    state: Log,
    started: Instant,
    phase: String,
}

impl<'t> Room<'t> {
    /// Records a new buildroot on the hub and reads its repository.
    pub(crate) async fn new(task: &'t Context, wish: &Wish<'_>) -> Result<Room<'t>> {
        let repo = task.call("repoInfo", args!(wish.repo_id; "strict" => true)).await?;
        let event = repo.get("create_event").clone();
        let config = task.call("getBuildConfig", args!(wish.tag; "event" => event.clone())).await?;
        if config.is_nil() {
            let tag = wish.tag;
            return Err(Failure::buildroot(format!("Could not get config info for tag: {tag}")));
        }
        if let Some((name, held)) = task.config().buildroots.lacking(&task.config().limits) {
            let text = format!("this builder must hold the limit of {name}, and has: {held}");
            return Err(Failure::own(text));
        }
        let kind = chroot::wanted(task.config().buildroots.kind, &config)?;
        check_repo(&repo, &config)?;
        let arch = toji_types::arch::canonical(wish.arch);
        let id =
            task.call("host.newBuildRoot", args!(wish.repo_id, arch; "task_id" => task.id)).await?;
        let id = int("host.newBuildRoot", id)?;
        crate::failed::mark(&task.work, id).map_err(Failure::local("note the buildroot"))?;
        let mut log = task.log("root.log")?;
        let mut state = task.log("state.log")?;
        write_hardware(&mut task.log("hw_info.log")?, &task.config().limits);
        state.line("Start: buildroot");
        let started = Instant::now();
        let tag = text_of(&config, "name")?;
        log.line(format!("buildroot {tag}-{id}-{}, arch {arch}", wish.repo_id));
        let repository = Repository::load(task, (wish.tag, tag), &repo, arch).await?;
        log.line(format!("repository {} with {} packages", wish.repo_id, repository.offers.len()));
        let group = group_packages(task, wish, event).await?;
        let (arch, network) = (arch.to_owned(), wish.network);
        let installed = Default::default();
        let mut room = Room {
            task,
            id,
            config,
            repository,
            group,
            arch,
            network,
            chroot: kind != Kind::Host,
            group_plan: None,
            root: None,
            installed,
            log,
            state,
            started,
            phase: "buildroot".to_owned(),
        };
        room.choose_kind(kind).await?;
        Ok(room)
    }

    /// Decides whether the root is one of packages alone, and what the group brings to it.
    async fn choose_kind(&mut self, kind: Kind) -> Result<()> {
        if kind == Kind::Host {
            return Ok(());
        }
        let plan = self.plan(&[]).await?;
        let whole = chroot::brings_rpmbuild(&self.repository.offers, &plan);
        self.chroot = whole || kind == Kind::Chroot;
        self.log.line(format!("kind {}", if self.chroot { "chroot" } else { "host" }));
        self.group_plan = Some(plan.packages);
        Ok(())
    }

    /// Fills the buildroot with what the needs need.
    ///
    /// # Errors
    /// A build error that names what nothing provides.
    pub(crate) async fn fill(&mut self, needs: &[Need]) -> Result<()> {
        let plan = self.complete_plan(needs).await?;
        self.install(plan).await
    }

    /// Makes the buildroot anew when the needs need more than is in it; whether that was so.
    pub(crate) async fn fill_more(&mut self, needs: &[Need]) -> Result<bool> {
        let plan = self.complete_plan(needs).await?;
        let more = !plan.packages.is_subset(&self.installed);
        if more {
            self.install(plan).await?;
        }
        Ok(more)
    }

    async fn complete_plan(&mut self, needs: &[Need]) -> Result<Plan> {
        let begin = Instant::now();
        let mut plan = self.plan(needs).await?;
        if plan.missing.iter().any(|(need, _)| need.starts_with('/')) {
            self.repository.load_files(self.task).await?;
            plan = self.plan(needs).await?;
        }
        let seconds = begin.elapsed().as_secs_f64();
        self.log.line(format!("{} packages chosen in {seconds:.1} s", plan.packages.len()));
        if !plan.missing.is_empty() {
            return Err(self.unmet(&plan));
        }
        Ok(plan)
    }

    async fn install(&mut self, plan: Plan) -> Result<()> {
        let first = self.root.is_none();
        let (root, list) =
            if self.chroot { self.make_root(&plan).await? } else { self.lay_over(&plan).await? };
        self.root = Some(root);
        let call = if first { "host.setBuildRootList" } else { "host.updateBuildRootList" };
        self.task.call(call, args!(self.id, list; "task_id" => self.task.id)).await?;
        if self.chroot {
            self.store_lockfile(&plan).await?;
        }
        self.installed = plan.packages;
        self.log.line("the buildroot is ready");
        Ok(())
    }

    /// A root of packages alone, with what is in it.
    async fn make_root(&mut self, plan: &Plan) -> Result<(Buildroot, Value)> {
        let begin = Instant::now();
        let layer = self.layers(plan).await;
        if let Err(failure) = &layer {
            self.log.line(&failure.0.message);
        }
        let layer = layer?;
        let hostname = hostname(&self.task.config().user);
        let macros = self.macros(&hostname);
        let builder = Buildroot::builder(self.fresh_dir()?).chroot(layer.clone());
        let builder = builder.macros(macros).hostname(hostname).network(self.network);
        let root = builder.build().await?;
        self.log.line(format!("made in {:.1} s", begin.elapsed().as_secs_f64()));
        let from = plan.packages.iter().map(|at| &self.repository.offers[*at]);
        Ok((root, chroot::listing(&layer, from)))
    }

    /// The view of the host with packages over it, and these.
    async fn lay_over(&mut self, plan: &Plan) -> Result<(Buildroot, Value)> {
        let mut files = Vec::new();
        for at in &plan.packages {
            let offer = &self.repository.offers[*at];
            self.log.line(format!("install {}", offer.nevra()));
            files.push(self.repository.package(self.task, offer).await?);
        }
        let begin = Instant::now();
        let made = self.build(&files).await;
        match &made {
            Ok(_) => self.log.line(format!("made in {:.1} s", begin.elapsed().as_secs_f64())),
            Err(failure) => self.log.line(&failure.0.message),
        }
        let origins = plan.packages.iter().map(|at| self.repository.offers[*at].origin.clone());
        Ok((made?, listing(&files, origins)?))
    }

    async fn plan(&self, needs: &[Need]) -> Result<Plan> {
        let offers = self.repository.offers.clone();
        let group: Vec<_> =
            self.group.iter().map(|name| Need::of(Capability::new(name, 0, ""))).collect();
        let needs = needs.to_vec();
        let this = ThisMachine { granted: self.task.config().host_provides.clone() };
        let chroot = self.chroot;
        let decide = move || {
            let machine: &dyn Machine = if chroot { &chroot::Nothing } else { &this };
            let pool = Pool::new(&offers);
            // Group members that are nowhere are left out, as dnf leaves them out.
            let there =
                |need: &Need| pool.plan(std::slice::from_ref(need), machine).missing.is_empty();
            let all: Vec<_> = group.into_iter().filter(there).chain(needs).collect();
            pool.plan(&all, machine)
        };
        tokio::task::spawn_blocking(decide).await.map_err(Failure::local("choose the packages"))
    }

    fn unmet(&mut self, plan: &Plan) -> Failure {
        let mut names = Vec::new();
        for (need, by) in &plan.missing {
            match by {
                None => self.log.line(format!("No matching package to install: '{need}'")),
                Some(by) => self.log.line(format!("nothing provides {need} needed by {by}")),
            }
            names.push(match by {
                None => need.clone(),
                Some(by) => format!("{need} (needed by {by})"),
            });
        }
        let (arch, names) = (&self.arch, names.join(", "));
        Failure::build(format!(
            "error building package (arch {arch}), No matching package to install: {names}; see root.log for more information"
        ))
    }

    async fn build(&self, files: &[PathBuf]) -> Result<Buildroot> {
        let dir = self.fresh_dir()?;
        let hostname = hostname(&self.task.config().user);
        let macros = self.macros(&hostname);
        let builder = Buildroot::builder(dir).packages(files).macros(macros).hostname(hostname);
        Ok(builder.network(self.network).build().await?)
    }

    fn fresh_dir(&self) -> Result<PathBuf> {
        let dir = self.task.work.join("root");
        toji_sandbox::remove_tree(&dir).map_err(Failure::local("clear the buildroot"))?;
        std::fs::create_dir_all(&dir).map_err(Failure::local("create the buildroot"))?;
        Ok(dir)
    }

    /// The macros of the builder and of the tag.
    fn macros(&self, hostname: &str) -> String {
        let config = self.task.config();
        let mut macros = format!(
            "%_topdir {TOPDIR}\n%_rpmfilename %%{{NAME}}-%%{{VERSION}}-%%{{RELEASE}}.%%{{ARCH}}.rpm\n\
             %_buildhost {hostname}\n%packager {}\n%vendor {}\n%distribution {}\n",
            config.packager, config.vendor, config.distribution
        );
        for (key, value) in self.extra() {
            if let Some(name) = key.strip_prefix("rpm.macro.") {
                macros.push_str(&format!("%{name} {}\n", value.display().replace('\n', "\\\n")));
            }
        }
        macros
    }

    fn extra(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.config.get("extra").as_struct().into_iter().flat_map(|extra| extra.iter())
    }

    /// The home directory inside, as this machine sees it.
    pub(crate) fn home(&self) -> Result<PathBuf> {
        Ok(self.root()?.home())
    }

    /// The filled buildroot.
    pub(crate) fn root(&self) -> Result<&Buildroot> {
        self.root.as_ref().ok_or_else(|| Failure::buildroot("the buildroot is not filled"))
    }

    /// Tells the hub and the state log that the build begins.
    pub(crate) async fn begin(&mut self, what: &str) -> Result<()> {
        self.end_phase();
        self.state.line(format!("Start: {what}"));
        (self.started, self.phase) = (Instant::now(), what.to_owned());
        let call = args!(self.id, BrState::Building.name(); "task_id" => self.task.id);
        self.task.call("host.setBuildRootState", call).await.map(drop)
    }

    fn end_phase(&mut self) {
        let seconds = self.started.elapsed().as_secs_f64();
        self.state.line(format!("Finish: {} ({seconds:.1} s)", self.phase));
    }

    /// Runs a command inside with its output in a log.
    pub(crate) async fn run(&self, argv: &[&str], cwd: &str, log: &mut Log) -> Result<Outcome> {
        log.line(format!("$ {}", argv.join(" ")));
        let outcome = self.execute(argv, cwd, log).await?;
        log.line(format!(
            "{} {} after {:.1} s",
            argv[0],
            outcome.reason,
            outcome.elapsed.as_secs_f64()
        ));
        Ok(outcome)
    }

    /// Runs a command inside with nothing but its output in a log.
    pub(crate) async fn execute(&self, argv: &[&str], cwd: &str, log: &mut Log) -> Result<Outcome> {
        self.start(Command::new(argv.iter().copied()), cwd, log).await
    }

    /// Runs a command as root inside, where the root is the buildroot's own.
    pub(crate) async fn execute_as_root(
        &self,
        argv: &[&str],
        cwd: &str,
        log: &mut Log,
    ) -> Result<Outcome> {
        self.start(Command::new(argv.iter().copied()).as_root(), cwd, log).await
    }

    async fn start(&self, command: Command, cwd: &str, log: &mut Log) -> Result<Outcome> {
        let name = command.argv.first().cloned().unwrap_or_default();
        let mut command = command.cwd(cwd).limits(self.limits());
        for (key, value) in self.extra() {
            if let Some(name) = key.strip_prefix("rpm.env.") {
                command = command.env(name, value.display());
            }
        }
        let before = machine::Machine::now();
        let outcome = self.root()?.run(&command, log, &self.task.cancel).await?;
        if let Some(trouble) = before.trouble(&outcome, &self.task.config().workdir) {
            log.line(format!("{name} {}: {trouble}", outcome.reason));
            return Err(Failure::own(trouble));
        }
        Ok(outcome)
    }

    fn limits(&self) -> Limits {
        self.task.config().limits.clone()
    }

    /// Unpacks a source package below [`TOPDIR`] and returns its spec file, as seen inside.
    pub(crate) async fn unpack(&self, srpm: &Path, log: &mut Log) -> Result<String> {
        let dir = self.home()?.join("srpm");
        let failed = || Failure::local("put the source package into the buildroot");
        std::fs::create_dir_all(&dir).map_err(failed())?;
        std::fs::copy(srpm, dir.join("in.src.rpm")).map_err(failed())?;
        let build = self.home()?.join("build");
        for name in ["BUILD", "BUILDROOT", "RPMS", "SOURCES", "SPECS", "SRPMS"] {
            std::fs::create_dir_all(build.join(name)).map_err(failed())?;
        }
        self.root()?.hand_over(&self.home()?)?;
        let argv = ["rpm", "-i", "--nodeps", "--nosignature", "/builddir/srpm/in.src.rpm"];
        let outcome = self.run(&argv, "/builddir", log).await?;
        if !outcome.success() {
            return Err(Failure::build(format!(
                "error unpacking the source package, rpm {}; see build.log for more information",
                outcome.reason
            )));
        }
        let spec = source::find_spec(&build)?;
        let name = spec.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(format!("{TOPDIR}/SPECS/{name}"))
    }

    /// Whether an unpacked spec file finds out itself what it needs.
    pub(crate) fn generates_requires(&self, spec: &str) -> Result<bool> {
        let name = spec.rsplit('/').next().unwrap_or(spec);
        let dir = self.home()?.join("build/SPECS");
        let file =
            results::open(&dir, Path::new(name)).map_err(Failure::local("read the spec file"))?;
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::Read::take(file, MOST_SPEC), &mut bytes)
            .map_err(Failure::local("read the spec file"))?;
        Ok(String::from_utf8_lossy(&bytes)
            .lines()
            .any(|line| line.starts_with("%generate_buildrequires")))
    }

    /// Takes the package that lists what a spec file found out; it must not be taken for the result.
    pub(crate) fn take_requires(&self) -> Result<PathBuf> {
        let dir = self.home()?.join("build/SRPMS");
        let all = results::list(&dir).map_err(Failure::local("read the results"))?;
        let found =
            all.into_iter().find(|path| path.to_string_lossy().ends_with(".buildreqs.nosrc.rpm"));
        let path =
            found.ok_or_else(|| Failure::build("rpmbuild wrote no list of build requirements"))?;
        let to = self.task.make_dir("requires")?.join("buildreqs.nosrc.rpm");
        let failed = || Failure::local("copy the list of build requirements");
        match std::fs::remove_file(&to) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed()(e)),
            _ => {}
        }
        results::copy(&dir, &path, &to).map_err(failed())?;
        std::fs::remove_file(dir.join(&path)).map_err(failed())?;
        Ok(to)
    }

    /// Copies what was made below a directory of [`TOPDIR`] out of the buildroot; returns the copies.
    pub(crate) fn collect(&self, from: &str) -> Result<Vec<PathBuf>> {
        let dir = self.home()?.join("build").join(from);
        let to = self.task.make_dir("result")?;
        let mut files = Vec::new();
        for path in results::list(&dir).map_err(Failure::local("read the results"))? {
            let Some(name) =
                path.file_name().filter(|_| path.extension().is_some_and(|e| e == "rpm"))
            else {
                continue;
            };
            let target = to.join(name);
            match std::fs::remove_file(&target) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Failure::local("replace a result")(e));
                }
                _ => {}
            }
            results::copy(&dir, &path, &target).map_err(Failure::local("copy the results"))?;
            files.push(target);
        }
        Ok(files)
    }

    /// The one source package that was made.
    pub(crate) fn collect_srpm(&self) -> Result<PathBuf> {
        let mut found = self.collect("SRPMS")?;
        match (found.pop(), found.is_empty()) {
            (Some(srpm), true) => Ok(srpm),
            (None, _) => Err(Failure::build("No srpms found")),
            (Some(_), false) => Err(Failure::build("Multiple srpms found")),
        }
    }

    /// Tells the hub that the buildroot is no more, and removes it.
    pub(crate) async fn expire(mut self) -> Result<i64> {
        self.end_phase();
        let call = args!(self.id, BrState::Expired.name(); "task_id" => self.task.id);
        self.task.call("host.setBuildRootState", call).await?;
        if let Some(root) = self.root.take()
            && let Err(error) = root.remove()
        {
            tracing::warn!(error = chain(&error), "a buildroot was not removed");
        }
        Ok(self.id)
    }
}
