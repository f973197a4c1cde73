//! Source repositories: their URLs, which of them are allowed, and checking out.

mod checkout;
mod cvs;
mod git;
mod hg;
mod kind;
mod svn;

use std::path::Path;

use toji_client::args;
use toji_types::glob_match;
use toji_value::{Map, map};

use crate::context::Context;
use crate::failure::{Failure, Result};
use kind::Kind;

pub(crate) use checkout::Checkout;

/// Whether this is the URL of a source repository rather than the path of an upload.
pub(crate) fn is_scm_url(url: &str) -> bool {
    url.split_once("://").is_some_and(|(scheme, _)| Kind::of(scheme).is_some())
}

/// A parsed URL: `scheme://[user@]host/path/to/repo?path/to/module#revision`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scm {
    url: String,
    scheme: String,
    kind: Kind,
    user: Option<String>,
    /// Only the program that checks out gets it.
    password: Option<String>,
    host: String,
    repository: String,
    module: String,
    revision: String,
    use_common: bool,
    /// What fetches further sources, run in the buildroot.
    source_cmd: Option<Vec<String>>,
}

impl Scm {
    /// Takes the URL of a task apart; passwords are for builders whose configuration allows them.
    pub(crate) fn of(task: &Context, url: &str) -> Result<Self> {
        let scm = Scm::parse(url)?;
        match scm.password.is_some() && !task.config().allow_password_in_scm_url {
            true => Err(Failure::generic("username:password format not supported in scm url")),
            false => Ok(scm),
        }
    }

    fn parse(url: &str) -> Result<Self> {
        let unusable = |what: &str| {
            Failure::generic(format!(
                "Unable to parse SCM URL: {url} . Could not find the {what} element."
            ))
        };
        let parts = url.split_once("://");
        let parts = parts.and_then(|(scheme, rest)| Some((scheme, Kind::of(scheme)?, rest)));
        let Some((scheme, kind, rest)) = parts else {
            let known = kind::schemes().join(" ");
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
        let (user, password) = match user.as_ref().and_then(|user| user.split_once(':')) {
            Some((name, password)) => (Some(name.to_owned()), Some(password.to_owned())),
            None => (user, None),
        };
        if netloc.matches('@').count() > 1 {
            let netloc = match &password {
                Some(_) => host,
                None => netloc,
            };
            return Err(Failure::generic(format!("Invalid username@hostname specified: {netloc}")));
        }
        if revision.is_empty() {
            return Err(unusable("fragment"));
        }
        let repository = normal(path);
        if repository == "/" {
            return Err(unusable("path"));
        }
        let module = module.trim_matches('/');
        // What a program could take for an option, or for a way out of the tree.
        let options = [revision, host, module, user.as_deref().unwrap_or_default()];
        if options.iter().any(|part| part.starts_with('-'))
            || module.split('/').any(|part| part == "..")
            || url.chars().any(char::is_control)
        {
            return Err(Failure::generic(format!("Invalid SCM URL: {url:?}")));
        }
        let hidden = match &password {
            Some(password) => url.replacen(&format!(":{password}@"), "@", 1),
            None => url.to_owned(),
        };
        Ok(Scm {
            url: hidden,
            scheme: scheme.to_owned(),
            kind,
            user,
            password,
            host: host.to_owned(),
            repository,
            module: module.to_owned(),
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
    /// Repositories on the builder itself (`git+file` and its like) are only allowed by entries with an empty host.
    pub(crate) fn allow_by_list(&mut self, allowed: &str) -> Result<()> {
        for entry in allowed.split_whitespace() {
            let parts: Vec<&str> = entry.split(':').collect();
            let [host, repository, options @ ..] = parts.as_slice() else {
                tracing::warn!(entry, "ignored: not host:repository");
                continue;
            };
            let (refuse, host) = host.strip_prefix('!').map_or((false, *host), |host| (true, host));
            if host.is_empty() != self.host.is_empty()
                || !glob_match(&self.host, host) && !glob_match(self.host_name(), host)
                || !glob_match(&self.repository, repository)
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
            "scm_type" => self.kind.name(),
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
        let local = Scm::parse("git+file:///srv/a/.git#main").expect("url");
        assert_eq!(local.name(), "a");
        for bad in [
            "http://x/y#1",
            "git://host/path",
            "git://host#1",
            "git://host/path#--upload-pack=x",
            "git://-oProxyCommand=x/path#1",
            "git://host/..#1",
            "git+ssh://-oProxyCommand=x@host/path#1",
            "ext::sh#1",
            "ext://sh/x#1",
            "git+ext://sh/x#1",
            "cvs://host/root?-d#1",
            "svn://host/root?a/../../b#1",
            "hg+http://host/root#--config=alias.x=!sh",
        ] {
            assert!(Scm::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn passwords_are_kept_apart() {
        let scm = Scm::parse("git+https://me:s3cret@git.example.com/foo#abc").expect("url");
        assert_eq!((scm.user.as_deref(), scm.password.as_deref()), (Some("me"), Some("s3cret")));
        assert_eq!(scm.url, "git+https://me@git.example.com/foo#abc");
        assert!(!scm.exact("1").contains("s3cret"));
        let Failure(fault, _) = Scm::parse("git://a:s3cret@b@host/x#1").expect_err("two names");
        assert!(!fault.message.contains("s3cret"), "{}", fault.message);
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
}
