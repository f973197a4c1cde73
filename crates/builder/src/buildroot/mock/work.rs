//! What tasks have mock do: build, make source packages, run a command; and removing its roots.

use std::path::{Path, PathBuf};

use toji_sandbox::{CancellationToken, Capture, Command, Installed, Limits, results, run_plain};

use super::{command, dir_of, other_user};
use crate::buildroot::Room;
use crate::config::Config;
use crate::failure::{Failure, Result, chain};
use crate::source;

/// How long the removal of a root may take.
const REMOVAL: std::time::Duration = std::time::Duration::from_secs(600);
/// Where the source package of a source tree or of another source package is made, below the place for things that stay.
const UNPACKED: &str = "srpm_unpacked";

impl Room<'_> {
    /// Builds the packages of a source package.
    pub(crate) async fn rebuild(&mut self, srpm: &Path, arch: &str) -> Result<()> {
        self.init_mock(&[]).await?;
        self.begin("build").await?;
        let srpm = srpm.display().to_string();
        let args = ["--no-clean", "--target", arch, "--rebuild", &srpm];
        let ended = self.call_mock(&args).await?;
        self.list_mock("host.updateBuildRootList").await?;
        match ended {
            None => Ok(()),
            Some(ended) => {
                self.save_tree();
                let what = format!("error building package (arch {arch})");
                Err(ended.failure(&what, Failure::build))
            }
        }
    }

    /// Makes a source package anew.
    pub(crate) async fn remake_source(&mut self, srpm: &Path) -> Result<()> {
        self.init_mock(&[]).await?;
        self.begin("rebuildSRPM").await?;
        let name = srpm.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let top = self.make_staying(UNPACKED)?;
        std::fs::copy(srpm, top.join(&name)).map_err(put())?;
        self.give_away(&top).await?;
        let inside = format!("{}/{UNPACKED}", self.task.config().mock.tmpdir);
        let define = format!("_topdir {inside}");
        let file = format!("{inside}/{name}");
        let root = ["--no-clean", "--target", "noarch", "--chroot", "--"];
        let args = [&root[..], &["rpm", "--define", &define, "-iv", &file]].concat();
        self.call_mock(&args).await?;
        let spec = source::find_spec(&self.mock_stay(UNPACKED)?)?;
        let spec = spec.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let spec = format!("{inside}/SPECS/{spec}");
        let made = ["rpmbuild", "--define", &define, "-bs", "--nodeps", &spec];
        match self.call_mock(&[&root[..], &made].concat()).await? {
            None => Ok(()),
            Some(ended) => Err(ended.failure("error building srpm", Failure::build)),
        }
    }

    /// Makes the source package of a tree; `spec` is below it. What else it needs is fetched by the command `fetch`.
    pub(crate) async fn source_of(
        &mut self,
        tree: &Path,
        common: Option<&Path>,
        spec: &str,
        fetch: Option<&[String]>,
    ) -> Result<()> {
        self.init_mock(&[]).await?;
        self.begin("buildSRPMFromSCM").await?;
        let top = self.make_staying("scmroot")?;
        for (from, name) in
            [Some((tree, "source")), common.map(|common| (common, "common"))].into_iter().flatten()
        {
            let to = top.join(name);
            std::fs::create_dir_all(&to).map_err(put())?;
            crate::tasks::build_srpm_from_scm::copy_tree(from, &to).map_err(put())?;
        }
        self.give_away(&top).await?;
        if let Some(words) = fetch {
            let cwd = format!("{}/scmroot/source", self.task.config().mock.tmpdir);
            let args = ["--no-clean", "--unpriv", "--cwd", &cwd, "--chroot", "--"];
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            if let Some(ended) = self.call_mock(&[&args[..], &words].concat()).await? {
                return Err(ended.failure("error retrieving sources", Failure::build));
            }
        }
        // What the command has left there is read by mock, on this machine.
        let source = self.mock_stay("scmroot/source")?;
        let sources = results::directory(&source, Path::new("SOURCES"));
        let sources = sources.unwrap_or_else(|_| source.clone()).display().to_string();
        results::open(&source, Path::new(spec)).map_err(Failure::local("read the spec file"))?;
        let spec = source.join(spec).display().to_string();
        let args = [
            "--no-clean",
            "--buildsrpm",
            "--spec",
            &spec,
            "--sources",
            &sources,
            "--target",
            "noarch",
        ];
        match self.call_mock(&args).await? {
            None => Ok(()),
            Some(ended) => Err(ended.failure("error building srpm", Failure::build)),
        }
    }

    /// What mock is told beside its usual options when it runs a script.
    pub(crate) fn set_mock_flags(&mut self, flags: Vec<String>) {
        self.mock_flags = flags;
    }

    /// Runs a script as root inside; gives why it ended, if that was no success.
    pub(crate) async fn run_in_mock(&mut self, line: &str, output: &str) -> Result<Option<String>> {
        let script = format!(
            "{{ {line}; }} < /dev/null 2>&1 | /usr/bin/tee {output}; exit ${{PIPESTATUS[0]}}"
        );
        let flags = self.mock_flags.clone();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let words = ["--chroot", "--", "/bin/sh", "-c", &script];
        let ended = self.call_mock(&[&flags[..], &words].concat()).await?;
        Ok(ended.map(|ended| ended.0.to_string()))
    }

    /// Copies a file out of the root; tells whether there was one.
    pub(crate) fn copy_out(&self, path: &str, to: &Path) -> Result<bool> {
        let root = self.mock_tree()?;
        let relative = Path::new(path.trim_start_matches('/'));
        if results::open(&root, relative).is_err() {
            return Ok(false);
        }
        let copied = results::copy(&root, relative, to);
        copied.map(|_| true).map_err(Failure::local("copy a file out of the buildroot"))
    }

    /// The directories in which mock leaves what it has made; the second one of source packages alone, where it made some.
    pub(in crate::buildroot) fn mock_results(&self, sources: bool) -> Result<Vec<PathBuf>> {
        let mut dirs = vec![self.mock_dir()?.join("result")];
        if sources {
            dirs.extend(self.mock_stay(&format!("{UNPACKED}/SRPMS")).ok());
        }
        Ok(dirs)
    }

    /// A directory below the place in the root where things stay from one call to the next: mock empties the home directory.
    ///
    /// Scripts of packages and macros of spec files are root there, so no link is followed.
    pub(in crate::buildroot) fn mock_stay(&self, name: &str) -> Result<PathBuf> {
        let found = results::directory(&self.mock_tree()?, &self.in_mock_stay(name));
        found.map_err(Failure::local(format!("find {name} in the buildroot")))
    }

    /// Makes one, which must not be there.
    pub(in crate::buildroot) fn make_staying(&self, name: &str) -> Result<PathBuf> {
        let made = results::make(&self.mock_tree()?, &self.in_mock_stay(name));
        made.map_err(Failure::local(format!("make {name} in the buildroot")))
    }

    fn in_mock_stay(&self, name: &str) -> PathBuf {
        Path::new(self.task.config().mock.tmpdir.trim_start_matches('/')).join(name)
    }

    /// Gives files to the user that mock runs as.
    async fn give_away(&self, path: &Path) -> Result<()> {
        let Some(user) = other_user(&self.task.config().mock) else { return Ok(()) };
        let path = path.display().to_string();
        let command = Command::new(["chown", "-hR", &format!("{user}:mock"), "--", &path]);
        let command = command.env("PATH", "/usr/bin:/bin");
        let mut said = Capture::default();
        let outcome = run_plain(&command, &mut said, &self.task.cancel).await?;
        match outcome.success() {
            true => Ok(()),
            false => {
                Err(Failure::own(format!("give the sources to {user}: {}", said.text().trim())))
            }
        }
    }

    /// Keeps the home directory of a build that has failed, for a while.
    fn save_tree(&self) {
        let moved = || -> Result<()> {
            let kept = || Failure::local("keep the tree");
            let home =
                results::directory(&self.mock_tree()?, Path::new("builddir")).map_err(kept())?;
            let root = self.task.make_dir("root")?;
            std::fs::rename(home, root.join("home")).map_err(kept())
        };
        if let Err(failure) = moved() {
            tracing::info!(buildroot = self.id, reason = failure.0.message, "no tree is kept");
        }
    }
}

fn put() -> impl FnOnce(std::io::Error) -> Failure {
    Failure::local("put the sources into the buildroot")
}

/// A line of mock's list of what is installed: `NAME-[EPOCH:]VERSION-RELEASE.ARCH BUILDTIME SIZE SIGMD5 installed`.
pub(super) fn listed(line: &str) -> Option<Installed> {
    let mut words = line.split_whitespace();
    let (nevra, buildtime, size) = (words.next()?, words.next()?, words.next()?);
    let sigmd5 = words.next()?;
    let (nevr, arch) = nevra.rsplit_once('.')?;
    let (nev, release) = nevr.rsplit_once('-')?;
    let (name, ev) = nev.rsplit_once('-')?;
    if name == "gpg-pubkey" {
        return None;
    }
    let (epoch, version) = match ev.split_once(':') {
        Some((epoch, version)) => (Some(epoch.parse().ok()?), version),
        None => (None, ev),
    };
    Some(Installed {
        name: name.to_owned(),
        version: version.to_owned(),
        release: release.to_owned(),
        epoch,
        arch: arch.to_owned(),
        sigmd5: if sigmd5 == "(none)" { String::new() } else { sigmd5.to_owned() },
        size: size.parse().unwrap_or(0),
        buildtime: buildtime.parse().unwrap_or(0),
    })
}

/// Removes the roots that mock has made for a task, or for any: ends what still runs there, unmounts, removes.
pub(crate) async fn clean(config: &Config, task: Option<i64>) {
    let top = config.workdir.join("mock");
    let dirs = match task {
        Some(id) => vec![dir_of(config, id)],
        None => {
            let entries = std::fs::read_dir(&top).into_iter().flatten().flatten();
            entries.map(|entry| entry.path()).collect()
        }
    };
    for dir in dirs {
        let entries = std::fs::read_dir(&dir).into_iter().flatten().flatten();
        let files = entries.map(|entry| entry.path());
        let mut gone = true;
        for file in files.filter(|path| path.extension().is_some_and(|ending| ending == "cfg")) {
            gone &= remove(config, &file).await;
        }
        if !gone {
            // Without their configurations nothing would know of the roots that stay; the next start tries again.
            continue;
        }
        if let Err(error) = toji_sandbox::remove_tree(&dir) {
            tracing::warn!(dir = %dir.display(), error = chain(&error), "not removed");
        }
    }
}

/// Removes a root; tells whether nothing is left of it.
async fn remove(config: &Config, file: &Path) -> bool {
    let name = file.file_stem().unwrap_or_default();
    for action in ["--orphanskill", "--clean"] {
        let limits = Limits { wall: Some(REMOVAL), ..Limits::default() };
        let command = command(config, file, &[action]).limits(limits);
        let mut said = Capture::default();
        let problem = match run_plain(&command, &mut said, &CancellationToken::new()).await {
            Ok(outcome) if outcome.success() => continue,
            Ok(outcome) => format!("mock {}: {}", outcome.reason, said.text().trim()),
            Err(error) => chain(&error),
        };
        tracing::warn!(root = %name.display(), action, problem, "mock did not end well");
    }
    let name = name.to_string_lossy();
    // The second is that from which the first was made.
    let mut gone = true;
    for dir in [config.mock.dir.join(&*name), config.mock.dir.join(format!("{name}-bootstrap"))] {
        // What is mounted there may be directories of the host, which the removal would empty.
        let removed =
            toji_sandbox::unmount_below(&dir).and_then(|()| toji_sandbox::remove_tree(&dir));
        if let Err(error) = removed {
            gone = false;
            tracing::warn!(dir = %dir.display(), error = chain(&error), "a root of mock stays");
        }
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mocks_own_list_is_read() {
        let found =
            listed("perl-libs-4:5.36.0-1.fc40.x86_64 1700000000 1234 abcdef installed").unwrap();
        let (name, version) = (found.name.as_str(), found.version.as_str());
        assert_eq!((name, version, found.epoch), ("perl-libs", "5.36.0", Some(4)));
        assert_eq!((found.release.as_str(), found.arch.as_str()), ("1.fc40", "x86_64"));
        assert_eq!(
            (found.size, found.buildtime, found.sigmd5.as_str()),
            (1234, 1_700_000_000, "abcdef")
        );
        assert_eq!(listed("gpg-pubkey-1-2.(none) 1 0 (none) installed"), None);
        assert_eq!(listed("nonsense"), None);
    }
}
