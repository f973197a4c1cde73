//! A prepared buildroot, and running commands in it.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use tokio::{io::AsyncReadExt, net::unix::pipe::Receiver, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    BuildrootBuilder, Command, Layer, Outcome, Reason,
    cgroup::Cgroup,
    error::{Error, Result},
    identity::Identity,
    limits::{LimitReport, prlimit_words},
    process::{Process, Watched},
    sink::{Capture, Sink},
    supervise::{Ended, Streams, supervise},
    tree,
    usage::UsageWatch,
    userns::Userns,
    view::{self, Run, View},
};

/// Home directory inside.
pub(crate) const HOME: &str = "/builddir";
/// How long the processes of a killed sandbox may take to vanish.
const VANISH: Duration = Duration::from_secs(30);

/// A buildroot: a view of the host with layers and writable directories. Commands in it share no processes.
#[derive(Debug)]
pub struct Buildroot {
    work: PathBuf,
    identity: Identity,
    view: View,
    /// Variables which the layers call for.
    env: BTreeMap<String, String>,
    /// The namespace and the layer that it needs as long as it lives.
    userns: Option<Userns>,
    layer: Option<Arc<Layer>>,
}

/// How a command went, with its output.
#[derive(Debug, Clone)]
pub struct Executed {
    /// How it ended.
    pub outcome: Outcome,
    /// What it wrote.
    pub output: Capture,
}

impl Buildroot {
    /// Starts a buildroot which keeps its own files in `work`: a directory for this buildroot alone.
    pub fn builder(work: impl Into<PathBuf>) -> BuildrootBuilder {
        BuildrootBuilder::new(work.into())
    }

    pub(crate) fn new(work: PathBuf, identity: Identity, view: View) -> Self {
        Self { work, identity, view, env: BTreeMap::new(), userns: None, layer: None }
    }

    pub(crate) fn keep(mut self, userns: Userns) -> Self {
        self.userns = Some(userns);
        self
    }

    pub(crate) fn over(mut self, layer: Arc<Layer>) -> Self {
        self.layer = Some(layer);
        self
    }

    /// The layer that it lies on, if it has a root of its own.
    pub fn layer(&self) -> Option<&Arc<Layer>> {
        self.layer.as_ref()
    }

    pub(crate) fn set_env(&mut self, env: BTreeMap<String, String>) {
        self.env = env;
    }

    /// The home directory of commands, as the host sees it.
    pub fn home(&self) -> PathBuf {
        self.work.join("home")
    }

    pub(crate) fn work(&self) -> &Path {
        &self.work
    }

    /// Gives files that were put into a writable directory after `build` to the sandbox's identity.
    pub fn hand_over(&self, path: &Path) -> Result<()> {
        crate::builder::hand_over(path, self.identity)
    }

    /// Removes the buildroot's own files, layers included; writable directories of the caller stay.
    pub fn remove(self) -> Result<()> {
        tree::remove_tree(&self.work).map_err(Error::file("remove", &self.work))
    }

    /// Runs a command and keeps its output in memory, standard error apart.
    pub async fn output(&self, command: Command, cancel: &CancellationToken) -> Result<Executed> {
        let mut output = Capture::default();
        let outcome = self.run(&command.split(), &mut output, cancel).await?;
        Ok(Executed { outcome, output })
    }

    /// Runs a command to its end; afterwards none of its processes is left.
    ///
    /// Output goes to `sink` while it is written. Cancelling, or dropping the future, kills the whole tree.
    pub async fn run(
        &self,
        command: &Command,
        sink: &mut dyn Sink,
        cancel: &CancellationToken,
    ) -> Result<Outcome> {
        if command.binds && !self.can_bind() {
            return Err(Error::Setup { reason: "directories cannot be bound in this root".into() });
        }
        let mut group = Cgroup::create(&command.limits);
        let limits =
            LimitReport::new(&command.limits, group.bounds_memory(), group.bounds_processes());
        let (starter, streams, status) = self.prepare(command, &group)?;
        let program = || command.argv.first().cloned().unwrap_or_default();
        let mut process = Process::spawn(starter, false)
            .await
            .map_err(|source| Error::Process { program: program(), source })?;
        let mut status = StatusReader::start(status);
        let memory = command.limits.memory.filter(|_| !group.bounds_memory());
        let processes = command.limits.processes.filter(|_| !group.bounds_processes());
        let init = status.init.clone();
        let usage = UsageWatch::start(self.own_dirs(), &command.limits);
        let mut crowded = false;
        let mut too_much = || {
            if let Some(pid) = init.get().filter(|_| memory.is_some() || processes.is_some()) {
                let found = tree::descendants(*pid);
                // The kernel holds this one, and does not say so.
                crowded |= processes.is_some_and(|limit| found.threads >= limit);
                if memory.is_some_and(|limit| found.memory > limit) {
                    return Some(Reason::MemoryLimit);
                }
            }
            usage.as_ref().and_then(UsageWatch::excess)
        };
        let ended =
            supervise(&mut process, streams, &command.limits, sink, cancel, &mut too_much).await;
        let gone = status.vanished().await;
        let short = if group.ran_out_of_memory() {
            Some(Reason::MemoryLimit)
        } else {
            (crowded || group.ran_out_of_processes()).then_some(Reason::ProcessLimit)
        };
        group.remove().await;
        let ended = ended?;
        gone?;
        let reason = reason(&ended, &status.text, short)?;
        Ok(Outcome { reason, elapsed: ended.elapsed, output: ended.output, limits })
    }

    /// Runs a command on this process's own standard input and output, a terminal or not, to its end; its standard error
    /// is its output. Of the limits only those that the kernel holds count.
    pub async fn run_here(&self, command: &Command) -> Result<Reason> {
        let program = || command.argv.first().cloned().unwrap_or_default();
        let failed = |source| Error::Process { program: program(), source };
        let mut group = Cgroup::create(&command.limits);
        let mut starter = self.starter(command, &group, true);
        let (status_end, status) = io::pipe().map_err(failed)?;
        starter.stderr(Stdio::from(status));
        let status = Receiver::from_owned_fd(status_end.into()).map_err(failed)?;
        let mut process = Process::spawn(starter, false).await.map_err(failed)?;
        let mut status = StatusReader::start(status);
        let ended = process.wait().await.map_err(Error::wait);
        let gone = status.vanished().await;
        group.remove().await;
        let ended = Ended {
            killed: None,
            status: ended?,
            output: 0,
            elapsed: Duration::ZERO,
            tail: String::new(),
        };
        gone?;
        reason(&ended, &status.text, None)
    }

    /// Whether root inside may bind directories here, which takes a root of its own with more users than one.
    pub fn can_bind(&self) -> bool {
        self.layer.is_some() && matches!(self.identity, Identity::Mapped(space) if space.ranged)
    }

    /// What root inside has written outside of the directories that stay the same in each root, below a directory.
    ///
    /// # Errors
    /// When there is no such directory, or a link in its place.
    pub fn written(&self, dir: &Path) -> io::Result<PathBuf> {
        let relative = dir.strip_prefix("/").unwrap_or(dir);
        let stack = self.view.stacks.iter().find(|stack| stack.inside == Path::new("/"));
        let stack = stack.ok_or(io::ErrorKind::NotFound)?;
        crate::results::directory(&stack.over.join("upper"), relative)
    }

    /// Everything that commands can write to.
    fn own_dirs(&self) -> Vec<PathBuf> {
        let binds = self.view.binds.iter().filter(|bind| bind.writable);
        let stacks = self.view.stacks.iter().map(|stack| stack.over.join("upper"));
        binds.map(|bind| bind.source.clone()).chain(stacks).collect()
    }

    fn prepare(
        &self,
        command: &Command,
        group: &Cgroup,
    ) -> Result<(std::process::Command, Streams, Receiver)> {
        let mut starter = self.starter(command, group, false);
        let mut pipes = || -> io::Result<(Streams, Receiver)> {
            let (status_end, status) = io::pipe()?;
            starter.stdin(Stdio::from(status));
            let streams = connect(&mut starter, command.split)?;
            Ok((streams, Receiver::from_owned_fd(status_end.into())?))
        };
        let (streams, status) =
            pipes().map_err(|source| Error::Process { program: "pipes".into(), source })?;
        Ok((starter, streams, status))
    }

    /// The program that makes the sandbox and becomes the command, without its streams.
    fn starter(&self, command: &Command, group: &Cgroup, streams: bool) -> std::process::Command {
        let hard_open_files = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
        let mut bounds = prlimit_words(
            &command.limits,
            group.bounds_processes(),
            hard_open_files.unwrap_or(u64::MAX),
        );
        bounds.push("--".into());
        let env = environment(&self.env, &command.env);
        let run = Run {
            argv: &command.argv,
            bounds: &bounds,
            root: command.root,
            binds: command.binds,
            env: &env,
            cwd: command.cwd.as_deref().unwrap_or(Path::new(HOME)),
            entrances: &group.entrances(),
            parent: std::process::id(),
            streams,
        };
        let launcher = view::launcher(self.identity, view::script(&self.view, self.identity, run));
        let mut starter = std::process::Command::new(&launcher[0]);
        starter.args(&launcher[1..]).env_clear().env("PATH", PATH).current_dir("/");
        starter
    }
}

/// Where the programs that make the sandbox, and those in it, are looked for.
pub(crate) const PATH: &str = "/usr/bin:/usr/sbin:/bin:/sbin";

/// Connects standard output and error to pipes.
pub(crate) fn connect(starter: &mut std::process::Command, split: bool) -> io::Result<Streams> {
    let (out_end, out) = io::pipe()?;
    let mut err_end = None;
    if split {
        let (end, err) = io::pipe()?;
        starter.stderr(Stdio::from(err));
        err_end = Some(Receiver::from_owned_fd(end.into())?);
    } else {
        starter.stderr(Stdio::from(out.try_clone()?));
    }
    starter.stdout(Stdio::from(out));
    Ok(Streams { out: Some(Receiver::from_owned_fd(out_end.into())?), err: err_end })
}

/// The standard variables, overridden by the layers' and the command's own.
fn environment(
    layers: &BTreeMap<String, String>,
    own: &BTreeMap<String, String>,
) -> Vec<(String, String)> {
    let standard = [
        ("HOME", HOME),
        ("LANG", "C.UTF-8"),
        ("LOGNAME", "builder"),
        ("PATH", PATH),
        ("SHELL", "/bin/sh"),
        ("TERM", "dumb"),
        ("TMPDIR", "/var/tmp"),
        ("TZ", "UTC"),
        ("USER", "builder"),
    ];
    let mut all: BTreeMap<_, _> =
        standard.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    all.extend(layers.clone());
    all.extend(own.clone());
    all.into_iter().collect()
}

/// Decides why the command ended.
fn reason(ended: &Ended, status: &str, short: Option<Reason>) -> Result<Reason> {
    if let Some(killed) = ended.killed {
        return Ok(killed);
    }
    let Some(code) = number_in(status, "exit-code") else {
        let refusal = status.lines().find_map(|line| line.strip_prefix("setup: "));
        let reason = refusal.unwrap_or(&ended.tail).to_string();
        let reason = if reason.is_empty() {
            format!("the tools ended with {}", ended.status)
        } else {
            reason
        };
        return Err(Error::Setup { reason });
    };
    let code = i32::try_from(code).unwrap_or(255);
    Ok(short.filter(|_| code != 0).unwrap_or_else(|| Reason::from_code(code)))
}

/// Finds a number in bubblewrap's status, a JSON document on each line.
fn number_in(status: &str, key: &str) -> Option<i64> {
    status
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find_map(|document| document.get(key)?.as_i64())
}

/// Collects the status pipe while the command runs.
struct StatusReader {
    init: std::sync::Arc<std::sync::OnceLock<i32>>,
    task: JoinHandle<(String, Option<Watched>)>,
    text: String,
}

impl StatusReader {
    fn start(mut pipe: Receiver) -> Self {
        let init = std::sync::Arc::new(std::sync::OnceLock::new());
        let known = init.clone();
        let task = tokio::spawn(async move {
            let (mut bytes, mut watched) = (Vec::new(), None);
            while matches!(pipe.read_buf(&mut bytes).await, Ok(1..)) {
                let text = String::from_utf8_lossy(&bytes);
                let pid = number_in(&text, "child-pid").and_then(|pid| i32::try_from(pid).ok());
                if let Some(pid) = pid
                    && known.set(pid).is_ok()
                {
                    watched = Watched::open(pid);
                }
            }
            (String::from_utf8_lossy(&bytes).into_owned(), watched)
        });
        Self { init, task, text: String::new() }
    }

    /// Waits until the sandbox's first process, and with it all others, is gone.
    async fn vanished(&mut self) -> Result<()> {
        let survivors = || Error::Survivors(VANISH.as_secs());
        let (text, init) =
            timeout(VANISH, &mut self.task).await.map_err(|_| survivors())?.unwrap_or_default();
        if let Some(init) = init
            && !init.gone(VANISH).await
        {
            return Err(survivors());
        }
        self.text = text;
        Ok(())
    }
}

impl Drop for StatusReader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Moves a file within the buildroot's own directories.
pub(crate) fn move_file(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(Error::file("move", from))
}
