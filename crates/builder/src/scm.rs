//! Source repositories: their URLs, which of them are allowed, and checking out.

use std::path::{Path, PathBuf};

use toji_client::args;
use toji_sandbox::{Command, Limits, plain_command, run_plain};
use toji_value::{Map, map};

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::logs::Log;

const SCHEMES: [&str; 12] = [
    "cvs://",
    "cvs+ssh://",
    "git://",
    "git+http://",
    "git+https://",
    "git+rsync://",
    "git+ssh://",
    "git+file://",
    "svn://",
    "svn+http://",
    "svn+https://",
    "svn+ssh://",
];

/// Whether this is the URL of a source repository rather than the path of an upload.
pub(crate) fn is_scm_url(url: &str) -> bool {
    SCHEMES.iter().any(|scheme| url.starts_with(scheme))
}

/// A parsed URL: `scheme://[user@]host/path/to/repo?path/to/module#revision`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scm {
    url: String,
    scheme: String,
    user: Option<String>,
    host: String,
    repository: String,
    module: String,
    revision: String,
    use_common: bool,
    /// What fetches further sources, run in the buildroot.
    source_cmd: Option<Vec<String>>,
}

impl Scm {
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let unusable = |what: &str| {
            Failure::generic(format!(
                "Unable to parse SCM URL: {url} . Could not find the {what} element."
            ))
        };
        let Some((scheme, rest)) = url.split_once("://").filter(|_| is_scm_url(url)) else {
            let known = SCHEMES.join(" ");
            return Err(Failure::generic(format!(
                "Invalid scheme in scm url. Valid schemes are: {known}"
            )));
        };
        let (rest, revision) = rest.split_once('#').unwrap_or((rest, ""));
        let (rest, module) = rest.split_once('?').unwrap_or((rest, ""));
        let slash = rest.find('/').ok_or_else(|| unusable("path"))?;
        let (netloc, path) = rest.split_at(slash);
        let (user, host) = match netloc.rsplit_once('@') {
            Some((user, host)) => (Some(user.to_owned()), host),
            None => (None, netloc),
        };
        if user.as_ref().is_some_and(|user| user.contains(':')) {
            return Err(Failure::generic("username:password format not supported in scm url"));
        }
        if user.as_ref().is_some_and(|user| user.contains('@')) {
            return Err(Failure::generic(format!("Invalid username@hostname specified: {netloc}")));
        }
        if revision.is_empty() {
            return Err(unusable("fragment"));
        }
        let repository = normal(path);
        if repository == "/" {
            return Err(unusable("path"));
        }
        if [revision, host].iter().any(|part| part.starts_with('-'))
            || url.chars().any(char::is_control)
        {
            return Err(Failure::generic(format!("Invalid SCM URL: {url:?}")));
        }
        Ok(Scm {
            url: url.to_owned(),
            scheme: scheme.to_owned(),
            user,
            host: host.to_owned(),
            repository,
            module: module.trim_matches('/').to_owned(),
            revision: revision.to_owned(),
            use_common: true,
            source_cmd: Some(vec!["make".to_owned(), "sources".to_owned()]),
        })
    }

    /// The same without a `common` directory beside it.
    pub(crate) fn without_common(mut self) -> Self {
        self.use_common = false;
        self
    }

    /// Applies the configured list: `host:repository[:use_common[:source_cmd]]`, first match decides.
    ///
    /// Repositories on the builder itself (`git+file`) are only allowed by entries with an empty host.
    pub(crate) fn allow_by_list(&mut self, allowed: &str) -> Result<()> {
        for entry in allowed.split_whitespace() {
            let parts: Vec<&str> = entry.split(':').collect();
            let [host, repository, options @ ..] = parts.as_slice() else {
                tracing::warn!(entry, "ignored: not host:repository");
                continue;
            };
            let (refuse, host) = host.strip_prefix('!').map_or((false, *host), |host| (true, host));
            if host.is_empty() != self.host.is_empty()
                || !glob(host, &self.host) && !glob(host, self.host_name())
                || !glob(repository, &self.repository)
            {
                continue;
            }
            if refuse {
                break;
            }
            if let Some(common) = options.first() {
                let off = ["no", "off", "false", "0"].contains(&common.to_lowercase().as_str());
                self.use_common = !off;
            }
            if let Some(command) = options.get(1) {
                let words = command.split(',').filter(|word| !word.is_empty()).map(str::to_owned);
                self.source_cmd = Some(words.collect()).filter(|words: &Vec<_>| !words.is_empty());
            }
            return Ok(());
        }
        let (host, repository) = (&self.host, &self.repository);
        Err(Failure::build(format!("{host}:{repository} is not in the list of allowed SCMs")))
    }

    /// Asks the hub's policy `build_from_scm`: `allow [use_common] [source_cmd | none]` or `deny [reason]`.
    pub(crate) async fn allow_by_policy(&mut self, task: &Context, mut data: Map) -> Result<()> {
        data.extend(map! {
            "scm_url" => &self.url,
            "scm_scheme" => format!("{}://", self.scheme),
            "scm_user" => self.user.as_deref(),
            "scm_host" => &self.host,
            "scm_repository" => &self.repository,
            "scm_module" => &self.module,
            "scm_revision" => &self.revision,
            "scm_type" => "GIT",
        });
        let answer = task.call("evalPolicy", args!("build_from_scm", data)).await?;
        let mut words = answer.as_str().unwrap_or_default().split_whitespace();
        let verdict = words.next().unwrap_or_default().to_lowercase();
        if !["yes", "true", "allow", "allowed"].contains(&verdict.as_str()) {
            let reason = words.collect::<Vec<_>>().join(" ");
            let reason = if reason.is_empty() { "None" } else { &reason };
            let (host, repository) = (&self.host, &self.repository);
            return Err(Failure::build(format!(
                "SCM: {host}:{repository} is not allowed, reason: {reason}"
            )));
        }
        let mut rest: Vec<String> = words.map(str::to_owned).collect();
        self.use_common = rest.first().is_some_and(|word| word.eq_ignore_ascii_case("use_common"));
        if self.use_common {
            rest.remove(0);
        }
        match rest.first() {
            Some(word) if word.eq_ignore_ascii_case("none") => self.source_cmd = None,
            Some(_) => self.source_cmd = Some(rest),
            None => {}
        }
        Ok(())
    }

    /// The host without a port; entries of the list cannot name one.
    fn host_name(&self) -> &str {
        self.host.rsplit_once(':').map_or(&self.host, |(name, _)| name)
    }

    /// What fetches further sources for a tree; `make sources` only where there is a makefile.
    pub(crate) fn source_command(&self, tree: &Path) -> Option<&[String]> {
        let command = self.source_cmd.as_deref()?;
        let makefile =
            || ["GNUmakefile", "makefile", "Makefile"].iter().any(|name| tree.join(name).is_file());
        (command != ["make", "sources"] || makefile()).then_some(command)
    }

    /// The URL that git knows.
    fn git_url(&self) -> String {
        let scheme = match self.scheme.as_str() {
            "git+ssh" => "ssh",
            other => other.strip_prefix("git+").unwrap_or(other),
        };
        let user = self.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
        format!("{scheme}://{user}{}{}", self.host, self.repository)
    }

    /// The name of the repository, which becomes that of the tree.
    fn name(&self) -> &str {
        let path = self.repository.strip_suffix("/.git").unwrap_or(&self.repository);
        let name = path.rsplit('/').next().unwrap_or(path);
        name.strip_suffix(".git").unwrap_or(name)
    }

    /// Checks out below `dir`; returns the tree and the `source` of the build, with the commit's number.
    pub(crate) async fn checkout(&self, task: &Context, dir: &Path) -> Result<(PathBuf, Map)> {
        if !self.scheme.starts_with("git") {
            return Err(Failure::build(format!(
                "{}:// is not supported on this builder",
                self.scheme
            )));
        }
        if self.scheme == "git+ssh" && self.user.is_none() {
            return Err(Failure::build(
                "No user specified for repository access scheme: git+ssh://",
            ));
        }
        let mut git =
            Git { task, log: task.log("checkout.log")?, home: task.make_dir("git-home")? };
        let url = self.git_url();
        let tree = dir.join(self.name());
        let target = tree.display().to_string();
        git.run(&["git", "clone", "-n", "--", &url, &target], dir).await?;
        let revision = self.revision.strip_prefix("origin/").unwrap_or(&self.revision);
        let fetch = format!("{revision}:TOJI_FETCH_HEAD");
        let fetched = git.run(&["git", "fetch", "origin", &fetch], &tree).await;
        let reset = match fetched {
            Ok(()) => "TOJI_FETCH_HEAD",
            // A shortened commit number cannot be fetched, but the clone has it.
            Err(_) => self.revision.as_str(),
        };
        git.run(&["git", "reset", "--hard", reset, "--"], &tree).await?;
        if self.use_common {
            let base = url.strip_suffix("/.git").unwrap_or(&url);
            let bare = base.ends_with(".git");
            let parent = base.rsplit_once('/').map_or(base, |(parent, _)| parent);
            let common = format!("{parent}/common{}", if bare { ".git" } else { "" });
            git.run(&["git", "clone", "--", &common, "common"], dir).await?;
        }
        let commit = git.output(&["git", "rev-parse", "HEAD"], &tree).await?;
        let module =
            if self.module.is_empty() { String::new() } else { format!("?{}", self.module) };
        let (scheme, host, repository) = (&self.scheme, &self.host, &self.repository);
        let source = format!("{scheme}://{host}{repository}{module}#{commit}");
        Ok((self.inside(&tree)?, map! {"url" => &self.url, "source" => source}))
    }

    /// The module's directory in the tree; links do not lead out of it.
    fn inside(&self, tree: &Path) -> Result<PathBuf> {
        let module = tree.join(&self.module);
        let missing = |_| Failure::build(format!("{} is not in the repository", self.module));
        let real = std::fs::canonicalize(&module).map_err(missing)?;
        let root = std::fs::canonicalize(tree).map_err(missing)?;
        if real.starts_with(&root) { Ok(module) } else { Err(missing(std::io::Error::other(""))) }
    }
}

/// Git with its output in the checkout log.
struct Git<'t> {
    task: &'t Context,
    log: Log,
    home: PathBuf,
}

impl Git<'_> {
    fn command(&self, argv: &[&str], cwd: &Path) -> Command {
        let environment = &self.task.config().environment;
        let variable = |name: &str| environment.get(name).cloned();
        let command = plain_command(argv.iter().copied(), &self.home, variable).cwd(cwd);
        command.limits(Limits { memory: None, ..Limits::for_setup() })
    }

    async fn run(&mut self, argv: &[&str], cwd: &Path) -> Result<()> {
        self.log.line(format!("$ {}", argv.join(" ")));
        let command = self.command(argv, cwd);
        let outcome = run_plain(&command, &mut self.log, &self.task.cancel).await?;
        if outcome.success() {
            return Ok(());
        }
        Err(Failure::build(format!(
            "Error running GIT command \"{}\", it {}; see checkout.log for details",
            argv.join(" "),
            outcome.reason
        )))
    }

    async fn output(&mut self, argv: &[&str], cwd: &Path) -> Result<String> {
        let command = self.command(argv, cwd).split();
        let mut output = toji_sandbox::Capture::default();
        let outcome = run_plain(&command, &mut output, &self.task.cancel).await?;
        if !outcome.success() {
            return Err(Failure::generic("Error getting commit hash for git"));
        }
        Ok(output.text().trim().to_owned())
    }
}

/// Removes doubled slashes, `.` and `..` from an absolute path.
fn normal(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Shell patterns with `*`, `?` and `[…]`, where `*` also takes slashes, as Python's `fnmatch`.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    matches(&pattern, &text)
}

fn matches(pattern: &[char], text: &[char]) -> bool {
    let Some((first, rest)) = pattern.split_first() else { return text.is_empty() };
    match first {
        '*' => (0..=text.len()).any(|skip| matches(rest, &text[skip..])),
        '[' => match (rest.iter().skip(1).position(|c| *c == ']'), text.split_first()) {
            (Some(end), Some((c, after))) => {
                let (set, tail) = (&rest[..=end], &rest[end + 2..]);
                let (not, set) = set.strip_prefix(&['!']).map_or((false, set), |set| (true, set));
                let range = |w: &[char]| w[1] == '-' && (w[0]..=w[2]).contains(c);
                (set.contains(c) || set.windows(3).any(range)) != not && matches(tail, after)
            }
            _ => text.first() == Some(&'[') && matches(rest, &text[1..]),
        },
        _ => text
            .split_first()
            .is_some_and(|(c, after)| (first == c || *first == '?') && matches(rest, after)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let scm =
            Scm::parse("git+https://me@git.example.com//rpms/./foo.git?sub/dir/#abc").expect("url");
        assert_eq!(
            (scm.host.as_str(), scm.repository.as_str()),
            ("git.example.com", "/rpms/foo.git")
        );
        assert_eq!(
            (scm.module.as_str(), scm.revision.as_str(), scm.name()),
            ("sub/dir", "abc", "foo")
        );
        assert_eq!(scm.git_url(), "https://me@git.example.com/rpms/foo.git");
        let local = Scm::parse("git+file:///srv/a/.git#main").expect("url");
        assert_eq!((local.git_url().as_str(), local.name()), ("file:///srv/a/.git", "a"));
        for bad in [
            "http://x/y#1",
            "git://host/path",
            "git://host#1",
            "git://u:p@host/path#1",
            "git://host/path#--upload-pack=x",
            "git://-oProxyCommand=x/path#1",
            "git://host/..#1",
            "ext::sh#1",
        ] {
            assert!(Scm::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_list_decides() {
        let allowed = "!bad.example.com:* *.example.com:/rpms/*:no: git.example.org:/*:off:fedpkg,sources junk 127.0.0.1:*";
        let check = |url: &str, list: &str| {
            let mut scm = Scm::parse(url).expect("url");
            scm.allow_by_list(list).map(|()| (scm.use_common, scm.source_cmd)).ok()
        };
        assert_eq!(check("git://a.example.com/rpms/x/y#1", allowed), Some((false, None)));
        assert_eq!(check("git://bad.example.com/rpms/x#1", allowed), None);
        assert_eq!(check("git://a.example.com/other/x#1", allowed), None);
        let command = Some(vec!["fedpkg".to_owned(), "sources".to_owned()]);
        assert_eq!(check("git://git.example.org/x#1", allowed), Some((false, command)));
        assert_eq!(check("git+file:///srv/x#1", "*:*"), None);
        assert_eq!(check("git+file:///srv/x#1", ":/srv/*:no:"), Some((false, None)));
        let default = Some(vec!["make".to_owned(), "sources".to_owned()]);
        assert_eq!(check("git://127.0.0.1/x#1", allowed), Some((true, default)));
    }

    #[test]
    fn patterns() {
        for (pattern, text, matched) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a?c", "ac", false),
            ("[ab]x", "bx", true),
            ("[!ab]x", "bx", false),
            ("[a-c]", "b", true),
            ("[", "[", true),
            ("[a-c]z", "dz", false),
            ("/*/x", "/a/b/x", true),
        ] {
            assert_eq!(glob(pattern, text), matched, "{pattern} {text}");
        }
    }
}
