//! Rooms of the `mock` kind: mock makes the root of the tag's repository, and builds in it, as kojid has it done.

mod follow;
mod image;
mod work;

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use toji_client::args;
use toji_sandbox::{
    Command, Installed, Limits, Mount, Outcome, Reason, plain_command, results, run_plain,
};
use toji_types::state::BrState;
use toji_value::{Map, Value, map};

use super::{Room, chroot};
use crate::config::{Config, Mock};
use crate::context::{Context, text_of};
use crate::failure::{Failure, Result, chain};
use crate::logs::Log;
use crate::machine::Machine;
use crate::mock::{MockConfigFor, mock_config, mock_tag_options};
use follow::Follower;
pub(crate) use work::clean;

/// What mock says itself, and what it is told.
pub(super) const LOG: &str = "mock_output.log";
/// How often logs are looked at for what mock has written.
const PACE: Duration = Duration::from_millis(500);
/// What a call may take beyond the limit of a build, for all that mock does besides.
const SLACK: Duration = Duration::from_secs(1800);
/// Where databases of rpm are, the newer place first.
const DATABASES: [&str; 2] = ["usr/lib/sysimage/rpm", "var/lib/rpm"];
/// A package that makes groups of dependencies, and none of a repository.
const NO_PACKAGE: &str = "buildsys-build";
/// Statuses that tell of this machine: no rights, the root is in use, no directory for results, no namespaces.
const OWN_STATUSES: [i32; 4] = [2, 60, 70, 80];

/// A root of mock's.
pub(super) struct MockRoot {
    /// The name of root and configuration.
    name: String,
    /// The configuration.
    file: PathBuf,
    /// Options of each call.
    flags: Vec<String>,
    /// Whether it was filled.
    ready: bool,
    follower: Follower,
}

/// How a call of mock ended that was no success.
struct Ended(Reason);

impl Ended {
    /// In kojid's words, with the log that has the reason.
    fn text(&self, log: Option<&str>) -> String {
        let log = log.unwrap_or(match self.0 {
            Reason::Exited(10) => "build.log",
            Reason::Exited(1) => "build.log or root.log",
            _ => "root.log",
        });
        let how = match self.0 {
            Reason::Signaled(signal) => format!("was killed by signal {signal}"),
            other => other.to_string(),
        };
        format!("mock {how}; see {log} for more information")
    }

    /// The failure of a call: the task's, made by `failure`, or this builder's.
    fn failure(&self, what: &str, failure: fn(String) -> Failure) -> Failure {
        let text = format!("{what}, {}", self.text(None));
        match self.0 {
            Reason::Exited(status) if OWN_STATUSES.contains(&status) => Failure::own(text),
            _ => failure(text),
        }
    }
}

/// A successful end is none that must be told.
fn failed(outcome: &Outcome) -> Option<Ended> {
    (!outcome.success()).then_some(Ended(outcome.reason))
}

/// Refuses work for mock where it is not installed.
pub(super) fn need_program(mock: &Mock) -> Result<()> {
    match mock.program.is_file() {
        true => Ok(()),
        false => {
            let program = mock.program.display();
            Err(Failure::own(format!("this builder has no {program}: install mock")))
        }
    }
}

/// Where the configurations of a task's roots are.
fn dir_of(config: &Config, task: i64) -> PathBuf {
    config.workdir.join("mock").join(task.to_string())
}

/// A call of mock, as the user that it shall run as.
fn command(config: &Config, file: &Path, args: &[&str]) -> Command {
    let mock = &config.mock;
    let mut words: Vec<String> = Vec::new();
    if let Some(user) = other_user(mock) {
        // mock looks for its group among the further ones.
        let who = ["setpriv", "--reuid", user, "--regid", "mock", "--groups", "mock", "--"];
        words.extend(who.map(str::to_owned));
    }
    words.extend([mock.program.display().to_string(), "-r".to_owned(), file.display().to_string()]);
    words.extend(args.iter().map(ToString::to_string));
    let home = file.parent().unwrap_or(Path::new("/"));
    plain_command(words, home, |name| config.environment.get(name).cloned()).cwd("/")
}

/// The user that takes root's place.
fn other_user(mock: &Mock) -> Option<&str> {
    let root = rustix::process::geteuid().is_root();
    Some(mock.user.as_str()).filter(|user| root && !user.is_empty())
}

impl MockRoot {
    /// Writes the configuration of a root, and into the task's logs.
    pub(super) fn new(room: &Room<'_>) -> Result<Self> {
        let (task, config) = (room.task, room.task.config());
        let (tag, repo) = (text_of(&room.config, "name")?, room.repo.get("id"));
        let name = format!("{tag}-{}-{}", room.id, repo.display());
        let text = text(room, &name, tag, repo)?;
        let dir = dir_of(config, task.id);
        std::fs::create_dir_all(&dir).map_err(Failure::local("create the directory for mock"))?;
        let file = dir.join(format!("{name}.cfg"));
        std::fs::write(&file, &text).map_err(Failure::local("write the configuration of mock"))?;
        task.log("mock_config.log")?.line(&text);
        let extra = room.config.get("extra");
        let mut flags = Vec::new();
        if let Some(new) = extra.as_struct().and_then(|extra| extra.get("mock.new_chroot")) {
            let flag = if new.truthy() { "--new-chroot" } else { "--old-chroot" };
            flags.push(flag.to_owned());
        }
        if extra.get("mock.bootstrap_image_ready").truthy() {
            flags.push("--bootstrap-image-ready".to_owned());
        }
        let follower = Follower::new(config.mock.dir.join(&name));
        Ok(MockRoot { name, file, flags, ready: false, follower })
    }
}

/// What a builder of Koji's would write.
fn text(room: &Room<'_>, name: &str, tag: &str, repo: &Value) -> Result<String> {
    let config = room.task.config();
    let mock = &config.mock;
    let arch = room.wished_arch.as_str();
    // One of Koji's names is none for configure.
    let target = if arch == "armhfp" { "armv7hl" } else { arch };
    let urls = match mock.topurls.is_empty() {
        true => vec![room.task.hub.files_url().to_owned()],
        false => mock.topurls.clone(),
    };
    let timeout = config.limits.wall.map_or(86_400, |wall| wall.as_secs());
    let mut opts = map! {
        "tag_name" => tag,
        "repoid" => repo,
        "mockdir" => mock.dir.display().to_string(),
        "topdir" => config.topdir.display().to_string(),
        "topurls" => urls,
        "packager" => room.makers.packager.as_str(),
        "vendor" => room.makers.vendor.as_str(),
        "distribution" => room.makers.distribution.as_str(),
        "mockhost" => mock.host.as_str(),
        "yum_proxy" => mock.proxy.as_deref(),
        "rpmbuild_timeout" => i64::try_from(timeout).unwrap_or(i64::MAX),
        "buildroot_id" => room.id,
        "use_host_resolv" => room.network,
        "install_group" => room.group.as_str(),
        "target_arch" => target,
    };
    if let Some(own) = room.extras.internal_dev_setup {
        opts.insert("internal_dev_setup", own);
    }
    if let Some(devices) = room.extras.image {
        opts.insert("bind_opts", devices.mounts());
    }
    if room.network {
        opts.insert("hosts", std::fs::read_to_string("/etc/hosts").unwrap_or_default());
    }
    let none = Map::new();
    let extra = room.config.get("extra").as_struct().unwrap_or(&none);
    let images = mock.bootstrap_images;
    if !images && extra.get("mock.bootstrap_image").is_some_and(Value::truthy) {
        tracing::warn!(buildroot = room.id, "an image for the bootstrap is forbidden here");
    }
    let wrong = |error: crate::mock::MockConfigError| Failure::generic(error.to_string());
    mock_tag_options(&mut opts, extra, target, MockConfigFor::Builder { images }).map_err(wrong)?;
    let text = mock_config(name, &room.arch, true, &opts).map_err(wrong)?;
    Ok(format!("{text}{}", mounts(&room.extras.mounts)))
}

/// Has mock mount directories itself, which ends with its call.
fn mounts(mounts: &[Mount]) -> String {
    if mounts.is_empty() {
        return String::new();
    }
    let tuple = |mount: &Mount| {
        let inside = mount.inside.to_string_lossy();
        let options = mount.options.join(",");
        let parts = [&mount.source, &*inside, &mount.kind, &options];
        let parts: Vec<String> = parts.iter().map(|part| Value::from(*part).repr()).collect();
        format!("({})", parts.join(", "))
    };
    let all: Vec<String> = mounts.iter().map(tuple).collect();
    format!(
        "\nconfig_opts['plugin_conf']['mount_enable'] = True\n\
         config_opts['plugin_conf']['mount_opts'] = {{'dirs': [{}]}}\n",
        all.join(", ")
    )
}

impl Room<'_> {
    /// Whether mock makes the root and builds in it.
    pub(crate) fn is_mock(&self) -> bool {
        self.mock.is_some()
    }

    fn of_mock(&mut self) -> Result<&mut MockRoot> {
        self.mock.as_mut().ok_or_else(|| Failure::buildroot("this is no root of mock's"))
    }

    /// The directory with root and results, as this machine sees it.
    fn mock_dir(&self) -> Result<PathBuf> {
        let root = self.mock.as_ref();
        let root = root.ok_or_else(|| Failure::buildroot("this is no root of mock's"))?;
        Ok(self.task.config().mock.dir.join(&root.name))
    }

    /// Calls mock; its logs, and what it says, become the task's while it runs.
    async fn call_mock(&mut self, args: &[&str]) -> Result<Option<Ended>> {
        let task = self.task;
        let mut root =
            self.mock.take().ok_or_else(|| Failure::buildroot("this is no root of mock's"))?;
        let called = call(task, &mut root, &mut self.log, args).await;
        self.mock = Some(root);
        let outcome = called?;
        Ok(failed(&outcome))
    }

    /// Has mock make the root, with the packages of the group and these.
    pub(super) async fn init_mock(&mut self, packages: &[String]) -> Result<()> {
        if !self.of_mock()?.ready {
            if let Some(ended) = self.call_mock(&["--init"]).await? {
                return Err(ended.failure("could not init mock buildroot", Failure::buildroot));
            }
            self.of_mock()?.ready = true;
            // For whoever wants to know on what it was built.
            self.call_mock(&["--chroot", "uname -r"]).await?;
            self.list_mock("host.setBuildRootList").await?;
        }
        if packages.is_empty() {
            return Ok(());
        }
        let mut words = vec!["--install"];
        words.extend(packages.iter().map(String::as_str));
        let state = args!(self.id, BrState::Building.name(); "task_id" => self.task.id);
        self.tell("host.setBuildRootState", state).await?;
        let ended = self.call_mock(&words).await?;
        self.list_mock("host.updateBuildRootList").await?;
        match ended {
            None => Ok(()),
            Some(ended) => {
                let what = format!("could not install {}", packages.join(" "));
                Err(ended.failure(&what, Failure::buildroot))
            }
        }
    }

    /// Tells the hub what is installed.
    async fn list_mock(&mut self, call: &str) -> Result<()> {
        let mut packages = self.installed_by_mock().await?;
        packages.retain(|package| package.name != NO_PACKAGE);
        let origins = self.origins().await?;
        let origins = origins.iter().map(|(nvra, name)| (nvra.clone(), name.as_str())).collect();
        let list = chroot::entries(&packages, &origins);
        self.tell(call, args!(self.id, list; "task_id" => self.task.id)).await
    }

    /// As rpm's database in the root says, or mock itself where this machine's rpm cannot read that.
    async fn installed_by_mock(&mut self) -> Result<Vec<Installed>> {
        let dir = self.mock_dir()?;
        let root = dir.join("root");
        let in_root = |place: &&str| results::directory(&root, Path::new(place)).ok();
        let database = DATABASES.iter().find_map(in_root);
        let Some(database) = database else {
            return Err(Failure::generic("Can't get list of installed rpms"));
        };
        let error = match toji_sandbox::installed_in(&database, &self.task.cancel).await {
            Ok(packages) if !packages.is_empty() => return Ok(packages),
            Ok(_) => None,
            Err(error) => Some(chain(&error)),
        };
        let text = std::fs::read_to_string(dir.join("result/installed_pkgs.log"));
        match (text, error) {
            (Ok(text), _) => Ok(text.lines().filter_map(work::listed).collect()),
            (Err(_), Some(error)) => {
                Err(Failure::generic(format!("Can't get list of installed rpms: {error}")))
            }
            (Err(_), None) => Ok(Vec::new()),
        }
    }
}

/// One call, to its end.
async fn call(
    task: &Context,
    root: &mut MockRoot,
    log: &mut Log,
    args: &[&str],
) -> Result<Outcome> {
    let config = task.config();
    let all: Vec<&str> =
        root.flags.iter().map(String::as_str).chain(args.iter().copied()).collect();
    // mock itself ends what rpmbuild does too long, with words of its own; the rest of what it does has an end here.
    let wall = config.limits.wall.map(|wall| wall + SLACK);
    let limits = Limits { memory: config.limits.memory, wall, ..Limits::default() };
    let command = command(config, &root.file, &all).limits(limits);
    log.line(format!("$ {}", command.argv.join(" ")));
    let before = Machine::now();
    let stop = task.cancel.child_token();
    let mut excess = None;
    root.follower.wake();
    let mut outcome = {
        let mut running = pin!(run_plain(&command, log, &stop));
        loop {
            tokio::select! {
                ended = &mut running => break ended?,
                () = tokio::time::sleep(PACE) => {
                    root.follower.round(task)?;
                    if excess.is_none() {
                        excess = root.follower.excess(&config.limits);
                        if excess.is_some() {
                            stop.cancel();
                        }
                    }
                }
            }
        }
    };
    while root.follower.round(task)? > 0 && excess.is_none() {
        excess = root.follower.excess(&config.limits).filter(|why| *why == Reason::OutputLimit);
    }
    if let Some(reason) = excess {
        outcome.reason = reason;
    }
    log.line(format!("mock {} after {:.1} s", outcome.reason, outcome.elapsed.as_secs_f64()));
    match before.trouble(&outcome, &config.mock.dir) {
        Some(trouble) => Err(Failure::own(trouble)),
        None => Ok(outcome),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_told_as_kojid_does() {
        let text = |reason| Ended(reason).text(None);
        let more = "for more information";
        assert_eq!(
            text(Reason::Exited(1)),
            format!("mock exited with status 1; see build.log or root.log {more}")
        );
        assert_eq!(
            text(Reason::Exited(10)),
            format!("mock exited with status 10; see build.log {more}")
        );
        assert_eq!(
            text(Reason::Exited(30)),
            format!("mock exited with status 30; see root.log {more}")
        );
        assert_eq!(
            text(Reason::Signaled(9)),
            format!("mock was killed by signal 9; see root.log {more}")
        );
    }

    #[test]
    fn mock_mounts_what_it_is_told() {
        let mount = Mount {
            source: "store:/it's".to_owned(),
            inside: "/mnt/x".into(),
            kind: "nfs".to_owned(),
            options: vec!["ro".to_owned(), "hard".to_owned()],
        };
        assert_eq!(
            mounts(&[mount]),
            "\nconfig_opts['plugin_conf']['mount_enable'] = True\n\
             config_opts['plugin_conf']['mount_opts'] = {'dirs': [(\"store:/it's\", '/mnt/x', 'nfs', 'ro,hard')]}\n"
        );
        assert_eq!(mounts(&[]), "");
    }

    #[test]
    fn what_this_machine_lacks_is_its_own_failure() {
        use crate::failure::Whose;
        let whose = |status| Ended(Reason::Exited(status)).failure("x", Failure::build).1;
        assert_eq!([30, 60, 80].map(whose), [Whose::Task, Whose::Builder, Whose::Builder]);
    }
}
