//! A buildroot of the hub: recorded there, planned there or here, filled and run here.

mod again;
mod chroot;
mod facts;
mod fetch;
mod image;
mod inside;
mod mock;
mod plan;
mod recipe;
mod settings;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::Instant;

use toji_client::{IntoArgs, args};
use toji_sandbox::{Buildroot, Command, Mount, Outcome, Reason};
use toji_types::Lockfile;
use toji_types::lockfile::Locked;
use toji_types::state::BrState;
use toji_value::Value;

use crate::config::Kind;
use crate::context::{Context, int, int_of, text_of};
use crate::failure::{Failure, Result, chain};
use crate::logs::Log;
use crate::machine;
use crate::rich::Need;
use crate::tasks::texts;
use facts::{check_repo, hostname, listing, write_hardware};
use mock::MockRoot;
pub(crate) use mock::clean as clean_mock;
use plan::Plan;
use settings::Makers;

/// Where rpmbuild works, as seen inside.
pub(crate) const TOPDIR: &str = "/builddir/build";

/// What kind of buildroot a task wants.
pub(crate) struct Wish<'w> {
    /// The tag, by id.
    pub(crate) tag: i64,
    /// The arch of the buildroot.
    pub(crate) arch: &'w str,
    pub(crate) repo_id: i64,
    /// What the tag was when the build began, if no repository was made for that.
    pub(crate) newest: Option<Newest>,
    /// The tag's package group that is installed first.
    pub(crate) group: &'w str,
    /// Whether commands inside may use the network.
    pub(crate) network: bool,
    /// A buildroot whose packages this one gets, if the hub has its lockfile.
    pub(crate) like: Option<i64>,
    /// Whether it is that buildroot once more, of which the hub has nothing to hear.
    pub(crate) again: bool,
}

/// What a buildroot has of the machine.
#[derive(Default)]
pub(crate) struct Extras {
    /// Where images are made: what mock shows of the devices.
    image: Option<image::Devices>,
    /// What is mounted in it, in this order.
    mounts: Vec<Mount>,
    /// What mock is told about its own devices.
    internal_dev_setup: Option<bool>,
}

impl Extras {
    /// What is mounted, in this order, and what mock is told about its own devices.
    pub(crate) fn mounting(mounts: Vec<Mount>, internal_dev_setup: Option<bool>) -> Self {
        Extras { mounts, internal_dev_setup, image: None }
    }
}

/// A state of a tag that has no repository of its own.
#[derive(Clone, Debug)]
pub(crate) struct Newest {
    pub(crate) event: i64,
    /// Builds that it must have.
    builds: Vec<String>,
    /// Whether it must have everything.
    current: bool,
}

impl Newest {
    /// What a build's task says to those that it makes.
    pub(crate) fn of(opts: &Value) -> Option<Self> {
        let plan = opts.get("plan");
        let (builds, current) = (texts(plan.get("builds")), plan.get("current").truthy());
        Some(Newest { event: plan.get("event").as_int()?, builds, current })
    }
}

/// A buildroot that the hub knows, not yet filled.
pub(crate) struct Room<'t> {
    task: &'t Context,
    pub(crate) id: i64,
    config: Value,
    tag: i64,
    repo: Value,
    newest: Option<Newest>,
    /// The tag's package group that is installed first.
    group: String,
    arch: String,
    /// As it was asked for.
    wished_arch: String,
    network: bool,
    kind: Kind,
    /// Whether the root has nothing of this machine.
    chroot: bool,
    /// Whether the hub is asked for plans.
    hub_plans: bool,
    /// What this builder plans from itself where the hub does not.
    own: Option<plan::Own>,
    /// Exactly what is in it, whatever is wished for.
    locked: Option<Lockfile>,
    /// Whether the hub hears nothing of it.
    again: bool,
    root: Option<Buildroot>,
    /// What mock makes instead.
    mock: Option<MockRoot>,
    /// What mock is told for a command beside its usual options.
    mock_flags: Vec<String>,
    extras: Extras,
    /// The packages of external repositories and the names of these, once they were asked for.
    origins: Option<HashMap<String, String>>,
    makers: Makers,
    /// The time of the build, if it is not that of the clock; in seconds since 1970.
    epoch: Option<u64>,
    /// Digests of the packages.
    installed: HashSet<String>,
    log: Log,
    /// Nothing where mock writes one.
    state: Option<Log>,
    started: Instant,
    phase: String,
}

impl<'t> Room<'t> {
    /// Records a new buildroot on the hub and reads its repository.
    pub(crate) async fn new(task: &'t Context, wish: &Wish<'_>) -> Result<Room<'t>> {
        Room::with(task, wish, Extras::default()).await
    }

    /// The same, with more of the machine in it.
    pub(crate) async fn with(
        task: &'t Context,
        wish: &Wish<'_>,
        extras: Extras,
    ) -> Result<Room<'t>> {
        let mut repo = task.call("repoInfo", args!(wish.repo_id; "strict" => true)).await?;
        let event = match &wish.newest {
            Some(newest) => Value::Int(newest.event),
            None => repo.get("create_event").clone(),
        };
        let config = task.call("getBuildConfig", args!(wish.tag; "event" => event)).await?;
        if config.is_nil() {
            let tag = wish.tag;
            return Err(Failure::buildroot(format!("Could not get config info for tag: {tag}")));
        }
        if let Some((name, held)) = task.config().buildroots.lacking(&task.config().limits) {
            let text = format!("this builder must hold the limit of {name}, and has: {held}");
            return Err(Failure::own(text));
        }
        let kind = chroot::wanted(task.config().buildroots.kind, &config)?;
        let earlier = match wish.like {
            Some(root) => again::find(task, root).await?,
            None => None,
        };
        let kind = if extras.image.is_some() { image::kind(kind)? } else { kind };
        // A lockfile needs no repository.
        let kind = if earlier.is_some() { Kind::Chroot } else { kind };
        if kind == Kind::Mock {
            mock::need_program(&task.config().mock)?;
            if let Some(newest) = &wish.newest {
                repo = task.get_repo(wish.tag, &newest.builds, newest.current).await?;
            }
        }
        if earlier.is_none() {
            check_repo(&repo, &config)?;
        }
        let (locked, makers) = earlier.map_or((None, None), |e| (Some(e.lockfile), e.makers));
        let arch = toji_types::arch::canonical(wish.arch);
        let id = match wish.like {
            Some(id) if wish.again => id,
            _ => {
                let repo = int_of(&repo, "id")?;
                let call = args!(repo, arch; "task_id" => task.id);
                int("host.newBuildRoot", task.call("host.newBuildRoot", call).await?)?
            }
        };
        crate::failed::mark(&task.work, id).map_err(Failure::local("note the buildroot"))?;
        // Where mock writes root.log and state.log, there is nothing to add to them.
        let by_mock = kind == Kind::Mock;
        let mut log = task.log(if by_mock { mock::LOG } else { "root.log" })?;
        let mut state = None;
        if !by_mock {
            write_hardware(&mut task.log("hw_info.log")?, &task.config().limits);
            state.insert(task.log("state.log")?).line("Start: buildroot");
        }
        let started = Instant::now();
        let tag = text_of(&config, "name")?;
        log.line(format!("buildroot {tag}-{id}-{}, arch {arch}", repo.get("id").display()));
        let mut room = Room {
            task,
            id,
            config,
            tag: wish.tag,
            repo,
            newest: wish.newest.clone(),
            group: wish.group.to_owned(),
            arch: arch.to_owned(),
            wished_arch: wish.arch.to_owned(),
            network: wish.network,
            kind,
            chroot: !matches!(kind, Kind::Host | Kind::Mock),
            hub_plans: !matches!(kind, Kind::Host | Kind::Mock),
            own: None,
            locked,
            again: wish.again,
            root: None,
            mock: None,
            mock_flags: Vec::new(),
            extras,
            origins: None,
            makers: makers.unwrap_or_else(|| Makers::of(task.config())),
            epoch: None,
            installed: HashSet::new(),
            log,
            state,
            started,
            phase: "buildroot".to_owned(),
        };
        if by_mock {
            room.mock = Some(MockRoot::new(&room)?);
        }
        Ok(room)
    }

    /// Tells the hub how it goes, if that is a matter of the hub.
    async fn tell(&self, method: &str, args: impl IntoArgs) -> Result<()> {
        if self.again {
            return Ok(());
        }
        self.task.call(method, args).await.map(drop)
    }

    /// Fills the buildroot with what the needs need.
    ///
    /// # Errors
    /// A build error that names what nothing provides.
    pub(crate) async fn fill(&mut self, needs: &[Need]) -> Result<()> {
        if self.is_mock() {
            let names: Vec<String> = needs.iter().map(ToString::to_string).collect();
            return self.init_mock(&names).await;
        }
        let plan = self.plan(needs).await?;
        self.install(plan).await
    }

    /// Makes the buildroot anew when the needs need more than is in it; whether that was so.
    pub(crate) async fn fill_more(&mut self, needs: &[Need]) -> Result<bool> {
        let plan = self.plan(needs).await?;
        let digests = plan.lockfile.packages().iter().map(|package| &package.digest);
        let more = !digests.into_iter().all(|digest| self.installed.contains(digest));
        if more {
            self.install(plan).await?;
        }
        Ok(more)
    }

    async fn install(&mut self, plan: Plan) -> Result<()> {
        let first = self.root.is_none();
        let (root, list) =
            if self.chroot { self.make_root(&plan).await? } else { self.lay_over(&plan).await? };
        self.root = Some(root);
        let call = if first { "host.setBuildRootList" } else { "host.updateBuildRootList" };
        self.tell(call, args!(self.id, list; "task_id" => self.task.id)).await?;
        if self.chroot && !plan.stored && !self.again {
            self.store_lockfile(&plan.lockfile).await?;
        }
        let digests = plan.lockfile.packages().iter().map(|package| package.digest.clone());
        self.installed = digests.collect();
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
        let builder = builder.mounts(&self.extras.mounts);
        let root = builder.build().await?;
        self.note_base(plan)?;
        self.log.line(format!("made in {:.1} s", begin.elapsed().as_secs_f64()));
        Ok((root, chroot::listing(&layer, &plan.lockfile)))
    }

    /// The view of the host with packages over it, and these.
    async fn lay_over(&mut self, plan: &Plan) -> Result<(Buildroot, Value)> {
        let packages: Vec<&Locked> = plan.lockfile.packages().iter().collect();
        packages.iter().for_each(|package| self.log.line(format!("install {package}")));
        let files = fetch::all(self.task, &plan.lockfile, &packages).await?;
        let begin = Instant::now();
        let made = self.build(&files).await;
        match &made {
            Ok(_) => self.log.line(format!("made in {:.1} s", begin.elapsed().as_secs_f64())),
            Err(failure) => self.log.line(&failure.0.message),
        }
        let origins = packages.iter().map(|package| plan::origin(&plan.lockfile, package));
        Ok((made?, listing(&files, origins)?))
    }

    async fn build(&self, files: &[PathBuf]) -> Result<Buildroot> {
        let dir = self.fresh_dir()?;
        let hostname = hostname(&self.task.config().user);
        let macros = self.macros(&hostname);
        let builder = Buildroot::builder(dir).packages(files).macros(macros).hostname(hostname);
        Ok(builder.network(self.network).mounts(&self.extras.mounts).build().await?)
    }

    fn fresh_dir(&self) -> Result<PathBuf> {
        let dir = self.task.work.join("root");
        toji_sandbox::remove_tree(&dir).map_err(Failure::local("clear the buildroot"))?;
        std::fs::create_dir_all(&dir).map_err(Failure::local("create the buildroot"))?;
        Ok(dir)
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
        if let Some(state) = &mut self.state {
            state.line(format!("Start: {what}"));
        }
        (self.started, self.phase) = (Instant::now(), what.to_owned());
        let call = args!(self.id, BrState::Building.name(); "task_id" => self.task.id);
        self.tell("host.setBuildRootState", call).await
    }

    fn end_phase(&mut self) {
        let seconds = self.started.elapsed().as_secs_f64();
        if let Some(state) = &mut self.state {
            state.line(format!("Finish: {} ({seconds:.1} s)", self.phase));
        }
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

    /// Runs a command inside on this process's own standard streams.
    pub(crate) async fn run_here(&self, command: Command) -> Result<Reason> {
        Ok(self.root()?.run_here(&self.equip(command)).await?)
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
        let command = self.equip(command.cwd(cwd));
        let before = machine::Machine::now();
        let outcome = self.root()?.run(&command, log, &self.task.cancel).await?;
        if let Some(trouble) = before.trouble(&outcome, &self.task.config().workdir) {
            log.line(format!("{name} {}: {trouble}", outcome.reason));
            return Err(Failure::own(trouble));
        }
        Ok(outcome)
    }

    /// Tells the hub that the buildroot is no more, and removes it.
    pub(crate) async fn expire(mut self) -> Result<i64> {
        self.end_phase();
        let call = args!(self.id, BrState::Expired.name(); "task_id" => self.task.id);
        self.tell("host.setBuildRootState", call).await?;
        if let Some(root) = self.root.take()
            && let Err(error) = root.remove()
        {
            tracing::warn!(error = chain(&error), "a buildroot was not removed");
        }
        Ok(self.id)
    }
}
