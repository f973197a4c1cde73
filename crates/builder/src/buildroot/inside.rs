//! Files of a buildroot: the source package that goes in, what was made that comes out.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use toji_sandbox::results;

use super::{Room, TOPDIR};
use crate::failure::{Failure, Result};
use crate::logs::Log;
use crate::source;

/// More than any spec file has, in bytes.
const MOST_SPEC: u64 = 4 << 20;
/// Packages of one task; some spec files give several thousands.
const MOST_RESULTS: usize = 20_000;

impl Room<'_> {
    /// Unpacks a source package below [`TOPDIR`] and returns its spec file, as seen inside.
    pub(crate) async fn unpack(&mut self, srpm: &Path, log: &mut Log) -> Result<String> {
        self.date_by(source::header(srpm)?.header());
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
        let file = results::open(&self.home()?, &Path::new("build/SPECS").join(name))
            .map_err(Failure::local("read the spec file"))?;
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::Read::take(file, MOST_SPEC), &mut bytes)
            .map_err(Failure::local("read the spec file"))?;
        Ok(String::from_utf8_lossy(&bytes)
            .lines()
            .any(|line| line.starts_with("%generate_buildrequires")))
    }

    /// Takes the package that lists what a spec file found out; it must not be taken for the result.
    pub(crate) fn take_requires(&self) -> Result<PathBuf> {
        let dir = self.inside("build/SRPMS")?;
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

    /// A directory below the home directory inside, as this machine sees it; what a build made of it is not trusted.
    pub(crate) fn inside(&self, path: &str) -> Result<PathBuf> {
        let found = results::directory(&self.home()?, Path::new(path));
        found.map_err(|error| {
            Failure::build(format!("{path} is no directory of the build: {error}"))
        })
    }

    /// Copies what was made below a directory of [`TOPDIR`] out of the buildroot; returns the copies.
    pub(crate) fn collect(&self, from: &str) -> Result<Vec<PathBuf>> {
        if self.is_mock() {
            return self.collect_from_mock(from == "SRPMS");
        }
        self.collect_below(&self.inside(&format!("build/{from}"))?, |_| true)
    }

    /// What mock has made: source packages, or the others.
    fn collect_from_mock(&self, sources: bool) -> Result<Vec<PathBuf>> {
        let mut all = Vec::new();
        for dir in self.mock_results(sources)?.iter().filter(|dir| dir.is_dir()) {
            all.extend(self.collect_below(dir, |name| name.ends_with(".src.rpm") == sources)?);
        }
        Ok(all)
    }

    fn collect_below(&self, dir: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
        let to = self.task.make_dir("result")?;
        let mut found = BTreeMap::new();
        for path in results::list(dir).map_err(Failure::local("read the results"))? {
            let Some(name) =
                path.file_name().filter(|_| path.extension().is_some_and(|e| e == "rpm"))
            else {
                continue;
            };
            let name = plain(name)?;
            if !wanted(name) {
                continue;
            }
            let target = to.join(name);
            if let Some(other) = found.insert(target, path) {
                return Err(Failure::build(format!(
                    "two results are called as {}",
                    other.display()
                )));
            }
        }
        if found.len() > MOST_RESULTS {
            let text = format!("the build left {} packages, more than {MOST_RESULTS}", found.len());
            return Err(Failure::build(text));
        }
        for (target, path) in &found {
            match std::fs::remove_file(target) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Failure::local("replace a result")(e));
                }
                _ => {}
            }
            results::copy(dir, path, target).map_err(Failure::local("copy the results"))?;
        }
        Ok(found.into_keys().collect())
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
}

/// The name of a result as text, if it is one that a package can have.
fn plain(name: &OsStr) -> Result<&str> {
    let plain = name.to_str().filter(|name| {
        !name.starts_with(['.', '-'])
            && !name.contains(|c: char| c.is_control() || c.is_whitespace())
    });
    plain.ok_or_else(|| {
        Failure::build(format!("a result has the name {name:?}, which no package has"))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn results_have_plain_names() {
        assert_eq!(plain(OsStr::new("a-1^b~2-3.noarch.rpm")).ok(), Some("a-1^b~2-3.noarch.rpm"));
        for bad in [&b"a\nb.rpm"[..], b".rpm", b"-a.rpm", b"a b.rpm", b"a\x1b[2J.rpm", b"\xff.rpm"]
        {
            let Failure(fault, _) = plain(OsStr::from_bytes(bad)).expect_err("a bad name");
            assert!(!fault.message.contains(char::is_control), "{}", fault.message);
        }
    }
}
