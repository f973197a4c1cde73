//! A build of a hub done again at home: the same packages by the lockfile, the same settings, the same commands.

mod find;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use toji_client::{Client, Options, args};
use toji_sandbox::{CancellationToken, Command, Reason};
use toji_value::Value;

use crate::buildroot::{Newest, Room, Wish};
use crate::comparison::{Compared, table};
use crate::config::{Config, Kind};
use crate::context::{Context, Shared, int_of, text_of};
use crate::error::Error;
use crate::failure::{Failure, Result};
use crate::leave::Leave;
use crate::logs::Logs;
use crate::packages::PackageCache;
use crate::plugins::Plugins;
use crate::tasks::{build_arch, rebuild_compare, rebuild_srpm};
use crate::{explain, source};

/// The logs that are shown while they are written.
const SHOWN: &[&str] = &["root.log", "build.log"];

/// Which build is done again, and where.
#[derive(Clone, Debug)]
pub struct Reproduction {
    /// The hub's URL.
    pub server: String,
    /// The task; of a build the part that failed, or the one for this machine.
    pub task: i64,
    /// Where packages are kept and work is done.
    pub dir: PathBuf,
    /// The source package, if it is at hand.
    pub source: Option<PathBuf>,
    /// The certificate authorities to trust instead of the system's, as PEM text.
    pub serverca: Option<Vec<u8>>,
    /// What kind of terminal a shell gets, as `TERM` says it.
    pub terminal: Option<String>,
}

/// A build that is ready to be done again.
pub struct Again {
    task: Context,
    method: String,
    request: Vec<Value>,
    /// The buildroot as the hub knows it.
    root: Value,
    srpm: PathBuf,
    arch: String,
    terminal: Option<String>,
}

/// What came of it.
#[derive(Debug)]
pub struct Done {
    /// Why it failed here.
    pub failure: Option<String>,
    /// The packages and logs.
    pub dir: PathBuf,
    /// How they differ from those of the hub, as a table, if it has them.
    pub compared: Option<String>,
    /// Whether it ended here as it did on the hub.
    pub alike: bool,
}

impl Reproduction {
    /// Finds the task, its lockfile and its source package.
    ///
    /// # Errors
    /// When the hub does not know them, or the task is none that can be done again here.
    pub async fn prepare(self) -> Result<Again, Error> {
        let unusable = |source| Error::Work { path: self.dir.clone(), source };
        std::fs::create_dir_all(&self.dir).map_err(unusable)?;
        let serverca = self.serverca.clone();
        // Somebody waits for an answer.
        let options =
            Options { serverca, max_retries: 2, download_retries: 2, ..Options::default() };
        let hub = Client::new(&self.server, options)?;
        let found = find::task(&hub, self.task).await?;
        let work = self.dir.join("again").join(found.id.to_string());
        toji_sandbox::remove_tree(&work).map_err(unusable)?;
        std::fs::create_dir_all(&work).map_err(unusable)?;
        let mut config =
            Config::new(&self.server, text_of(&found.root, "host_name")?, "", &self.dir);
        config.buildroots.kind = Kind::Chroot;
        let packages = PackageCache::new(config.workdir.join("cache"), config.cache_size);
        let shared = Arc::new(Shared {
            config,
            packages,
            chroots: tokio::sync::OnceCell::new(),
            plugins: Plugins::default(),
            live: AtomicBool::new(false),
            quiet: AtomicBool::new(false),
            leave: Leave::new(),
            work: Mutex::default(),
        });
        let task = Context {
            id: found.id,
            info: found.info,
            hub,
            shared,
            logs: Logs::show(work.clone(), SHOWN),
            work,
            cancel: CancellationToken::new(),
            signals: Arc::default(),
            token: tokio::sync::Mutex::default(),
        };
        let (request, root, method) = (found.request, found.root, found.method);
        let srpm = match self.source {
            Some(path) => path,
            None => find::source(&task, &request, &root).await?,
        };
        let arch = find::arch(&method, &request, &root)?;
        Ok(Again { task, method, request, root, srpm, arch, terminal: self.terminal })
    }
}

impl Again {
    /// The task that is done again, which may be one below the one that was named.
    pub fn task(&self) -> i64 {
        self.task.id
    }

    /// What will be done, as text: packages by their digests, macros, variables, commands.
    pub async fn plan(&self) -> Result<String, Error> {
        let mut room = self.room().await?;
        let source = source::header(&self.srpm)?;
        let files = self.task.hub.files_url();
        let packages = room.recipe(source.header(), files);
        let name = self.srpm.file_name().unwrap_or_default().to_string_lossy();
        let (task, method, arch) = (self.task.id, &self.method, &self.arch);
        let root = int_of(&self.root, "id")?;
        let commands: String =
            self.commands().iter().map(|words| format!("    {}\n", words.join(" "))).collect();
        Ok(format!(
            "task {task} ({method} of {name} for {arch}), in a root with the packages of buildroot {root}\n\n{packages}\n\
             commands, as an ordinary user, in /builddir/build, without network\n    rpm -i --nodeps --nosignature {name}\n{commands}"
        ))
    }

    fn commands(&self) -> Vec<Vec<&str>> {
        match self.method.as_str() {
            "rebuildSRPM" => vec![vec!["rpmbuild", "-bs", "--nodeps", "SPECS/*.spec"]],
            _ => ["-bs", "-bb"]
                .map(|step| {
                    vec!["rpmbuild", step, "--nodeps", "--target", &self.arch, "SPECS/*.spec"]
                })
                .to_vec(),
        }
    }

    async fn room(&self) -> Result<Room<'_>> {
        let opts = self.request.last().cloned().unwrap_or_default();
        let wish = Wish {
            tag: int_of(&self.root, "tag_id")?,
            arch: text_of(&self.root, "arch")?,
            repo_id: int_of(&self.root, "repo_id")?,
            newest: Newest::of(&opts),
            group: "build",
            network: false,
            like: Some(int_of(&self.root, "id")?),
            again: true,
        };
        Room::new(&self.task, &wish).await
    }

    /// Makes the root, builds if `build`, opens a shell in the root if `shell`, and takes the root away.
    ///
    /// # Errors
    /// When the root cannot be made; a build that fails is no error.
    pub async fn run(&self, build: bool, shell: bool) -> Result<Done, Error> {
        let mut room = self.room().await?;
        let mut built = match build {
            true => self.build(&mut room).await,
            false => self.fill(&mut room).await,
        };
        if let Err(failure) = &mut built {
            explain::add(&self.task, failure).await;
        }
        let rpms = match &built {
            Ok(()) if build => room.collect("RPMS")?,
            _ => Vec::new(),
        };
        self.task.logs.flush().await?;
        let failure = built.err().map(|Failure(fault, _)| fault.message);
        let first = self.task.call("getTaskResult", args!(self.task.id; "raise_fault" => false));
        let told = first.await?.get("faultString").as_str().map(str::to_owned);
        let (mut compared, mut alike) = (None, alike(failure.as_deref(), told.as_deref()));
        if failure.is_none() && build {
            let all = self.compare(&rpms).await?;
            alike &= all.iter().all(|one| one.equal);
            compared = (!all.is_empty()).then(|| table(&all));
        }
        if shell && room.root().is_ok() {
            self.shell(&room).await?;
        }
        room.expire().await?;
        Ok(Done { failure, dir: self.task.work.clone(), compared, alike })
    }

    async fn build(&self, room: &mut Room<'_>) -> Result<()> {
        if self.method != "rebuildSRPM" {
            return build_arch::build(&self.task, room, &self.srpm, &self.arch).await;
        }
        self.fill(room).await?;
        let mut log = self.task.log("build.log")?;
        let spec = room.unpack(&self.srpm, &mut log).await?;
        rebuild_srpm::build_srpm(room, &spec, &[], &mut log).await?;
        room.collect_srpm().map(drop)
    }

    async fn fill(&self, room: &mut Room<'_>) -> Result<()> {
        room.fill(&[]).await?;
        let mut log = self.task.log("build.log")?;
        room.unpack(&self.srpm, &mut log).await.map(drop)
    }

    /// Compares what was made with what the hub has of that buildroot.
    async fn compare(&self, made: &[PathBuf]) -> Result<Vec<Compared>> {
        let id = int_of(&self.root, "id")?;
        let rpms = self.task.call("listRPMs", args!(; "buildrootID" => id)).await?;
        let dir = self.task.make_dir("first")?;
        let mut all = Vec::new();
        let rpms = rpms.as_array().unwrap_or_default().iter();
        for rpm in rpms.filter(|rpm| !rebuild_compare::is_source(rpm)) {
            let build = self.task.call("getBuild", (int_of(rpm, "build_id")?,)).await?;
            let first = rebuild_compare::fetch(&self.task, &build, rpm, &dir).await?;
            let name = first.file_name().unwrap_or_default().to_owned();
            let again = made.iter().find(|path| path.file_name() == Some(&name)).cloned();
            let name = name.to_string_lossy().into_owned();
            let compared = tokio::task::spawn_blocking(move || {
                Compared::new(&name, Some(&first), again.as_deref())
            });
            all.push(compared.await.map_err(Failure::local("compare the packages"))??);
        }
        Ok(all)
    }

    /// A shell in the root, on this process's terminal if it has one.
    async fn shell(&self, room: &Room<'_>) -> Result<()> {
        // A terminal of its own for the shell, so that keys reach what runs in it.
        let script = "cd /builddir/build; if [ -t 0 ] && command -v script >/dev/null; then exec script -qec 'exec bash' /dev/null; \
                      elif [ -t 0 ]; then exec bash -i; else exec bash; fi";
        let mut command = Command::new(["/bin/sh", "-c", script]);
        if let Some(terminal) = &self.terminal {
            command = command.env("TERM", terminal);
        }
        let reason = room.run_here(command).await?;
        if !matches!(reason, Reason::Exited(_)) {
            return Err(Failure::generic(format!("the shell {reason}")));
        }
        Ok(())
    }
}

/// Whether two builds ended in the same way: with success, or for the same reason.
///
/// The first line of a reason says what has failed, the second one why; the lines of logs that follow may have names of chance.
fn alike(here: Option<&str>, there: Option<&str>) -> bool {
    let reason = |text: &str| text.lines().take(2).collect::<Vec<_>>().join("\n");
    here.map(reason) == there.map(reason)
}

#[cfg(test)]
mod tests {
    use super::alike;

    #[test]
    fn builds_fail_alike_for_the_same_reason() {
        let (one, other) =
            ("failed\n%build failed: a\nlog:1: x", "failed\n%build failed: a\nlog:2: y");
        assert!(alike(Some(one), Some(other)) && alike(None, None));
        assert!(!alike(Some("failed\n%check failed: a"), Some(one)));
        assert!(!alike(None, Some(one)) && !alike(Some(one), None));
    }
}
