//! Checking out: what all kinds of source repositories share.

use std::path::{Path, PathBuf};

use toji_sandbox::{Capture, Command, Limits, plain_command, run_plain};
use toji_value::{Map, map};

use super::kind::Kind;
use super::{Scm, cvs, git, hg, svn};
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::logs::Log;

/// What was checked out.
#[derive(Debug)]
pub(crate) struct Checkout {
    /// The module's directory.
    pub(crate) tree: PathBuf,
    /// The directory `common` of the same place, which packages of Koji's older sites expect beside theirs.
    pub(crate) common: Option<PathBuf>,
    /// The `source` of a build: the URL as it was given, and the one that names the revision.
    pub(crate) source: Map,
}

impl Scm {
    /// Checks out below `dir`.
    ///
    /// # Errors
    /// A build error where the program is missing, or when it fails.
    pub(crate) async fn checkout(&self, task: &Context, dir: &Path) -> Result<Checkout> {
        if self.kind.needs_user() && self.user.is_none() {
            return Err(Failure::build(format!(
                "No user specified for repository access scheme: {}://",
                self.scheme
            )));
        }
        let mut tool = Tool::new(task, self)?;
        if !tool.is_installed() {
            let (scheme, program) = (&self.scheme, self.kind.program());
            return Err(Failure::build(format!(
                "{scheme}:// needs the program {program}, which is not installed on this builder"
            )));
        }
        let (tree, source) = match self.kind {
            Kind::Cvs | Kind::CvsSsh => (cvs::checkout(self, &mut tool, dir).await?, None),
            Kind::Git | Kind::GitSsh => git::checkout(self, &mut tool, dir).await?,
            Kind::Hg | Kind::HgSsh => hg::checkout(self, &mut tool, dir).await?,
            Kind::Svn | Kind::SvnSsh => (svn::checkout(self, &mut tool, dir).await?, None),
        };
        let source = source.as_ref().unwrap_or(&self.url);
        Ok(Checkout {
            tree: self.inside(dir, tree)?,
            common: Some(dir.join("common")).filter(|_| self.use_common),
            source: map! {"url" => &self.url, "source" => source},
        })
    }

    /// The URL that the program itself knows, without the scheme's first part.
    pub(super) fn plain_url(&self) -> String {
        let (_, last) = self.scheme.rsplit_once('+').unwrap_or(("", &self.scheme));
        let password = self.password.as_ref().map(|password| format!(":{password}"));
        let password = password.unwrap_or_default();
        let user = self.user.as_ref().map(|user| format!("{user}{password}@"));
        let user = user.unwrap_or_default();
        format!("{last}://{user}{}{}", self.host, self.repository)
    }

    /// The URL that names a revision for ever.
    pub(super) fn exact(&self, revision: &str) -> String {
        let (scheme, host, repository) = (&self.scheme, &self.host, &self.repository);
        let module =
            if self.module.is_empty() { String::new() } else { format!("?{}", self.module) };
        format!("{scheme}://{host}{repository}{module}#{revision}")
    }

    /// The name of the repository, which becomes that of the tree.
    pub(super) fn name(&self) -> &str {
        let path = self.repository.strip_suffix("/.git").unwrap_or(&self.repository);
        let name = path.rsplit('/').next().unwrap_or(path);
        name.strip_suffix(".git").unwrap_or(name)
    }

    /// The module's directory; links do not lead out of what was checked out.
    fn inside(&self, dir: &Path, module: PathBuf) -> Result<PathBuf> {
        let missing = |_| Failure::build(format!("{} is not in the repository", self.module));
        let real = std::fs::canonicalize(&module).map_err(missing)?;
        let root = std::fs::canonicalize(dir).map_err(missing)?;
        let within = real.starts_with(&root) && real.is_dir();
        if within { Ok(module) } else { Err(missing(std::io::Error::other(""))) }
    }
}

/// The program of a kind, with its output in the checkout log.
pub(super) struct Tool<'t> {
    task: &'t Context,
    kind: Kind,
    log: Log,
    /// An empty home directory: nobody's settings and passwords.
    pub(super) home: PathBuf,
    environment: Vec<(&'static str, String)>,
    /// What no log has.
    password: Option<String>,
}

impl<'t> Tool<'t> {
    fn new(task: &'t Context, scm: &Scm) -> Result<Self> {
        let (log, home) = (task.log("checkout.log")?, task.make_dir("scm-home")?);
        let password = scm.password.clone();
        Ok(Tool { task, kind: scm.kind, log, home, environment: Vec::new(), password })
    }

    /// A command as it is told.
    fn told(&self, argv: &[&str]) -> String {
        hide(&argv.join(" "), self.password.as_deref())
    }

    /// Sets a variable for the commands that follow.
    pub(super) fn env(&mut self, name: &'static str, value: &str) {
        self.environment.push((name, value.to_owned()));
    }

    fn is_installed(&self) -> bool {
        let program = self.kind.program();
        let path = self.command(&[program], &self.home).env.get("PATH").cloned();
        let path = path.unwrap_or_default();
        path.split(':').any(|dir| Path::new(dir).join(program).is_file())
    }

    fn command(&self, argv: &[&str], cwd: &Path) -> Command {
        let environment = &self.task.config().environment;
        let variable = |name: &str| environment.get(name).cloned();
        let mut command = plain_command(argv.iter().copied(), &self.home, variable).cwd(cwd);
        for (name, value) in &self.environment {
            command = command.env(*name, value);
        }
        command.limits(Limits { memory: None, ..Limits::for_setup() })
    }

    pub(super) async fn run(&mut self, argv: &[&str], cwd: &Path) -> Result<()> {
        let told = self.told(argv);
        self.log.line(format!("$ {told}"));
        let command = self.command(argv, cwd);
        let outcome = match &self.password {
            None => run_plain(&command, &mut self.log, &self.task.cancel).await?,
            Some(password) => {
                let mut said = Capture::default();
                let outcome = run_plain(&command, &mut said, &self.task.cancel).await?;
                self.log.line(hide(said.text().trim_end(), Some(password)));
                outcome
            }
        };
        if outcome.success() {
            return Ok(());
        }
        Err(Failure::build(format!(
            "Error running {} command \"{told}\", it {}; see checkout.log for details",
            self.kind.name(),
            outcome.reason
        )))
    }

    /// What a command that names the revision says.
    pub(super) async fn revision(&mut self, argv: &[&str], cwd: &Path) -> Result<String> {
        let command = self.command(argv, cwd).split();
        let mut output = Capture::default();
        let outcome = run_plain(&command, &mut output, &self.task.cancel).await?;
        if !outcome.success() {
            let program = self.kind.program();
            return Err(Failure::generic(format!("Error getting commit hash for {program}")));
        }
        Ok(output.text().trim().to_owned())
    }
}

/// A text without a password.
fn hide(text: &str, password: Option<&str>) -> String {
    match password.filter(|password| !password.is_empty()) {
        Some(password) => text.replace(password, "***"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_those_of_the_programs() {
        for (url, plain) in [
            ("git+https://me@h/rpms/foo.git?sub#abc", "https://me@h/rpms/foo.git"),
            ("git+file:///srv/a/.git#main", "file:///srv/a/.git"),
            ("git+ssh://me@h/a#1", "ssh://me@h/a"),
            ("svn://h:1/a?b#1", "svn://h:1/a"),
            ("hg+http://h/a#1", "http://h/a"),
            ("git+https://me:pw@h/a#1", "https://me:pw@h/a"),
        ] {
            assert_eq!(Scm::parse(url).expect("url").plain_url(), plain);
        }
        let scm = Scm::parse("git+http://me@h/a?b/c#main").expect("url");
        let text = hide("git clone https://me:pw@h/a", Some("pw"));
        assert_eq!(text, "git clone https://me:***@h/a");
        assert_eq!(scm.exact("12"), "git+http://h/a?b/c#12");
    }
}
