//! Metadata by createrepo_c and mergerepo_c, for a hub that makes none itself: as kojid does, beside the hub's files.

use std::path::{Path, PathBuf};

use toji_client::args;
use toji_sandbox::{Capture, Command, Limits, plain_command, run_plain};
use toji_types::PathInfo;
use toji_value::{Value, list};

use crate::context::{Context, int_of, text_of};
use crate::failure::{Failure, Result};

/// The first mergerepo_c that knows `--simple`, and the first that knows `--arch-expand`.
const SIMPLE: [u32; 3] = [0, 13, 0];
const ARCH_EXPAND: [u32; 3] = [0, 15, 11];

/// Makes the metadata of one arch and uploads them; returns where they are, for `host.repoDone`.
pub(super) async fn make(task: &Context, repo: &Value, arch: &str, old: &Value) -> Result<Value> {
    let work = Work::new(task, repo, arch)?;
    work.create(&work.old(old).await?).await?;
    let external = super::external(task, repo).await?;
    match external.as_slice() {
        [] if work.is_empty => {
            let text = "This repo is empty because its tag has no content for this arch\n";
            std::fs::write(work.data().join("EMPTY_REPO"), text)
                .map_err(Failure::local("write the metadata"))?;
        }
        [] => {}
        external => work.merge(external).await?,
    }
    let mut names = Vec::new();
    let entries = std::fs::read_dir(work.data()).map_err(Failure::local("read the metadata"))?;
    for entry in entries {
        let entry = entry.map_err(Failure::local("read the metadata"))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        task.upload(&entry.path(), &name).await?;
        names.push(Value::Str(name));
    }
    Ok(list![task.upload_dir(), Value::Array(names)])
}

/// One arch of a repository.
struct Work<'t> {
    task: &'t Context,
    repo: &'t Value,
    arch: &'t str,
    /// Where the hub has put the lists of packages.
    dir: PathBuf,
    comps: PathBuf,
    /// Where the metadata are made.
    out: PathBuf,
    /// Whether no package is listed.
    is_empty: bool,
}

impl<'t> Work<'t> {
    fn new(task: &'t Context, repo: &'t Value, arch: &'t str) -> Result<Self> {
        let top = &task.config().topdir;
        let paths = PathInfo::new(top.to_string_lossy());
        let base = PathBuf::from(paths.repo(int_of(repo, "id")?, text_of(repo, "tag_name")?));
        let dir = base.join(arch);
        if !dir.is_dir() {
            let all = top.join("repos");
            return Err(match all.is_dir() {
                true => Failure::generic(format!("Repo directory missing: {}", dir.display())),
                // Perhaps the hub's files are there on another builder.
                false => Failure::own(format!("No access to repos dir {}", all.display())),
            });
        }
        let list = std::fs::metadata(dir.join("pkglist"));
        let is_empty = list.map_err(Failure::local("find the list of packages"))?.len() == 0;
        let (comps, out) = (base.join("groups/comps.xml"), task.work.join("repo"));
        Ok(Work { task, repo, arch, dir, comps, out, is_empty })
    }

    fn data(&self) -> PathBuf {
        self.out.join("repodata")
    }

    /// The metadata of the repository before this one, of which most can be taken over.
    async fn old(&self, given: &Value) -> Result<Option<PathBuf>> {
        let config = self.task.config();
        if self.is_empty || !config.createrepo_update {
            return Ok(None);
        }
        let old = match given.is_nil() {
            true => self.task.call("getRepo", (self.repo.get("tag_id").clone(),)).await?,
            false => given.clone(),
        };
        if old.is_nil() {
            return Ok(None);
        }
        // It may be another tag's, from which this one inherits.
        let old = self.task.call("repoInfo", args!(old.get("id"); "strict" => true)).await?;
        let paths = PathInfo::new(config.topdir.to_string_lossy());
        let base = paths.repo(int_of(&old, "id")?, text_of(&old, "tag_name")?);
        let data = Path::new(&base).join(self.arch).join("repodata");
        Ok(Some(data).filter(|data| data.is_dir()))
    }

    /// The metadata of the tag's own packages.
    async fn create(&self, old: &Option<PathBuf>) -> Result<()> {
        std::fs::create_dir_all(&self.out).map_err(Failure::local("make a directory"))?;
        let mut argv = words(["createrepo_c", "--error-exit-val", "-vd", "-o"]);
        argv.push(shown(&self.out));
        if !self.is_empty {
            argv.extend(["-i".to_owned(), shown(&self.dir.join("pkglist"))]);
        }
        self.add_comps(&mut argv);
        if let Some(old) = old {
            copy(old, &self.data()).map_err(Failure::local("copy the metadata before"))?;
            argv.push("--update".to_owned());
            if self.task.config().createrepo_skip_stat {
                argv.push("--skip-stat".to_owned());
            }
        }
        argv.push(shown(if self.is_empty { &self.out } else { &self.dir }));
        self.run(argv, "createrepo.log", "create repo").await
    }

    /// Puts external repositories to the tag's own packages.
    async fn merge(&self, external: &[Value]) -> Result<()> {
        let mode = super::outside::mode(external)?;
        let own = self.task.work.join(super::outside::premerge(int_of(self.repo, "id")?));
        std::fs::rename(&self.out, &own)
            .and_then(|()| std::fs::create_dir_all(&self.out))
            .map_err(Failure::local("make room for the merged metadata"))?;
        let version = self.version().await;
        let mut argv = words(["mergerepo_c"]);
        match mode {
            "simple" if version < SIMPLE => {
                return Err(Failure::own("mergerepo_c is not installed or too old for --simple"));
            }
            "simple" => argv.extend(words(["--koji", "--simple"])),
            "bare" => argv.extend(words(["--pkgorigins", "--all"])),
            _ => argv.extend(words(["--koji"])),
        }
        if mode != "bare" {
            argv.extend(["-b".to_owned(), shown(&self.dir.join("blocklist"))]);
        }
        argv.extend(words(["-a", self.arch, "-o"]));
        argv.push(shown(&self.out));
        if version >= ARCH_EXPAND {
            argv.push("--arch-expand".to_owned());
        }
        self.add_comps(&mut argv);
        argv.extend(["-r".to_owned(), format!("file://{}/", shown(&own))]);
        for url in external.iter().filter_map(|repo| url(repo, self.arch)) {
            argv.extend(["-r".to_owned(), url]);
        }
        self.run(argv, "mergerepos.log", "merge repos").await
    }

    fn add_comps(&self, argv: &mut Vec<String>) {
        if self.comps.is_file() {
            argv.extend(["-g".to_owned(), shown(&self.comps)]);
        }
    }

    fn command(&self, argv: Vec<String>) -> Command {
        let environment = &self.task.config().environment;
        let variable = |name: &str| environment.get(name).cloned();
        let work = &self.task.work;
        let command = plain_command(argv, work, variable).cwd(work).env("TMPDIR", shown(work));
        command.limits(Limits { memory: None, ..Limits::for_build() })
    }

    async fn run(&self, argv: Vec<String>, log: &str, what: &str) -> Result<()> {
        let shell = argv.join(" ");
        let mut log = self.task.log(log)?;
        log.line(format!("$ {shell}"));
        let outcome = run_plain(&self.command(argv), &mut log, &self.task.cancel).await?;
        match outcome.success() {
            true => Ok(()),
            false => Err(Failure::generic(format!("failed to {what}: {shell} {}", outcome.reason))),
        }
    }

    /// The version of mergerepo_c; zeros if it does not tell.
    async fn version(&self) -> [u32; 3] {
        let mut output = Capture::default();
        let command = self.command(words(["mergerepo_c", "--version"])).split();
        match run_plain(&command, &mut output, &self.task.cancel).await {
            Ok(outcome) if outcome.success() => version(&output.text()),
            _ => [0; 3],
        }
    }
}

/// The numbers in `Version: 0.15.11 (Features: …)`.
fn version(text: &str) -> [u32; 3] {
    let text = text.trim().trim_start_matches("Version:").trim_start();
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    std::array::from_fn(|_| numbers.next().unwrap_or(0))
}

/// Where an external repository is, if it has the arch.
pub(super) fn url(repo: &Value, arch: &str) -> Option<String> {
    let arches = repo.get("arches").as_str().unwrap_or_default();
    let has = arches.is_empty() || arches.split_whitespace().any(|own| own == arch);
    let url = repo.get("url").as_str().filter(|_| has)?;
    Some(url.replace("$arch", arch))
}

pub(super) fn words<'w>(words: impl IntoIterator<Item = &'w str>) -> Vec<String> {
    words.into_iter().map(str::to_owned).collect()
}

pub(super) fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Copies the files of a directory, but not what mergerepo_c adds: it writes that anew.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        if entry.path().is_file() && entry.file_name() != "pkgorigins.gz" {
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use toji_value::map;

    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(version("Version: 0.15.11 (Features: DeltaRPM LegacyWeakdeps )\n"), ARCH_EXPAND);
        assert!(version("Version: 0.17.3 ()") > ARCH_EXPAND && version("nonsense") < SIMPLE);
    }

    #[test]
    fn external_repositories_are_for_their_arches() {
        let of = |arches: Value| -> Value {
            map! { "url" => "http://x/$arch/os", "arches" => arches }.into()
        };
        let wanted = Some("http://x/x86_64/os".to_owned());
        assert_eq!(url(&of(Value::Nil), "x86_64"), wanted);
        assert_eq!(url(&of("aarch64 x86_64".into()), "x86_64"), wanted);
        assert_eq!(url(&of("aarch64".into()), "x86_64"), None);
    }
}
