//! The file layout below the top directory, which clients, mirrors and web servers rely on.

/// Computes paths below one top directory (`/mnt/koji` on an existing hub).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathInfo {
    topdir: String,
}

/// Where a build lives: its volume and its name parts.
#[derive(Debug, Clone, Copy)]
pub struct BuildRef<'a> {
    /// `None` and `DEFAULT` are the top directory itself.
    pub volume: Option<&'a str>,
    /// Package name.
    pub name: &'a str,
    /// Version.
    pub version: &'a str,
    /// Release, with the draft suffix if it is a draft.
    pub release: &'a str,
}

/// The name parts of an RPM.
#[derive(Debug, Clone, Copy)]
pub struct RpmRef<'a> {
    /// RPM name.
    pub name: &'a str,
    /// Version.
    pub version: &'a str,
    /// Release.
    pub release: &'a str,
    /// Arch, `src` or `nosrc` for a source package.
    pub arch: &'a str,
}

/// What identifies a Maven archive.
#[derive(Debug, Clone, Copy)]
pub struct MavenRef<'a> {
    /// Group, separated by dots.
    pub group_id: &'a str,
    /// Artifact.
    pub artifact_id: &'a str,
    /// Version.
    pub version: &'a str,
}

impl PathInfo {
    /// Paths below `topdir`, which is used as given.
    pub fn new(topdir: impl Into<String>) -> Self {
        Self { topdir: topdir.into() }
    }

    /// The top directory.
    pub fn topdir(&self) -> &str {
        &self.topdir
    }

    /// The root of a volume.
    pub fn volumedir(&self, volume: Option<&str>) -> String {
        match volume {
            None | Some("DEFAULT") => self.topdir.clone(),
            Some(volume) => format!("{}/vol/{volume}", self.topdir),
        }
    }

    /// The directory of a package on the default volume.
    pub fn package(&self, name: &str) -> String {
        format!("{}/packages/{name}", self.topdir)
    }

    /// The directory of a build.
    pub fn build(&self, build: BuildRef<'_>) -> String {
        format!(
            "{}/packages/{}/{}/{}",
            self.volumedir(build.volume),
            build.name,
            build.version,
            build.release
        )
    }

    /// The directory of a build's logs.
    pub fn build_logs(&self, build: BuildRef<'_>) -> String {
        format!("{}/data/logs", self.build(build))
    }

    /// The directory of a build's archives of one build type.
    pub fn typedir(&self, build: BuildRef<'_>, btype: &str) -> String {
        let build = self.build(build);
        match btype {
            "maven" => format!("{build}/maven"),
            "win" => format!("{build}/win"),
            "image" => format!("{build}/images"),
            other => format!("{build}/files/{other}"),
        }
    }

    /// An RPM, relative to its build's directory.
    pub fn rpm(&self, rpm: RpmRef<'_>) -> String {
        format!("{0}/{1}-{2}-{3}.{0}.rpm", rpm.arch, rpm.name, rpm.version, rpm.release)
    }

    /// A signed copy of an RPM, relative to its build's directory.
    pub fn signed(&self, rpm: RpmRef<'_>, sigkey: &str) -> String {
        format!("data/signed/{sigkey}/{}", self.rpm(rpm))
    }

    /// A cached signature header of an RPM, relative to its build's directory.
    pub fn sighdr(&self, rpm: RpmRef<'_>, sigkey: &str) -> String {
        format!("data/sigcache/{sigkey}/{}.sig", self.rpm(rpm))
    }

    /// A Maven archive's directory, relative to the build's Maven directory.
    pub fn mavenrepo(&self, maven: MavenRef<'_>) -> String {
        let group = maven.group_id.replace('.', "/");
        format!("{group}/{}/{}", maven.artifact_id, maven.version)
    }

    /// A Maven archive, relative to the build's Maven directory.
    pub fn mavenfile(&self, maven: MavenRef<'_>, filename: &str) -> String {
        format!("{}/{filename}", self.mavenrepo(maven))
    }

    /// A Windows archive, relative to the build's Windows directory.
    pub fn winfile(&self, relpath: Option<&str>, filename: &str) -> String {
        match relpath.filter(|r| !r.is_empty()) {
            Some(relpath) => format!("{relpath}/{filename}"),
            None => filename.to_owned(),
        }
    }

    /// The directory of a repository.
    pub fn repo(&self, repo_id: i64, tag: &str) -> String {
        format!("{}/repos/{tag}/{repo_id}", self.topdir)
    }

    /// The directory of what repositories of a tag share.
    pub fn repocache(&self, tag: &str) -> String {
        format!("{}/repos/{tag}/cache", self.topdir)
    }

    /// The directory of a dist repository.
    pub fn distrepo(&self, repo_id: i64, tag: &str, volume: Option<&str>) -> String {
        format!("{}/repos-dist/{tag}/{repo_id}", self.volumedir(volume))
    }

    /// A task's output directory, relative to a work directory.
    pub fn taskrelpath(&self, task_id: i64) -> String {
        format!("tasks/{}/{task_id}", task_id.rem_euclid(10_000))
    }

    /// The work directory of a volume: uploads and task output.
    pub fn work(&self, volume: Option<&str>) -> String {
        format!("{}/work", self.volumedir(volume))
    }

    /// A task's output directory.
    pub fn task(&self, task_id: i64, volume: Option<&str>) -> String {
        format!("{}/{}", self.work(volume), self.taskrelpath(task_id))
    }

    /// The directory of scratch builds.
    pub fn scratch(&self) -> String {
        format!("{}/scratch", self.topdir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout() {
        let paths = PathInfo::new("/mnt/koji");
        let build = BuildRef { volume: None, name: "bash", version: "5.1", release: "2.el9" };
        let rpm = RpmRef { name: "bash", version: "5.1", release: "2.el9", arch: "src" };
        assert_eq!(paths.build(build), "/mnt/koji/packages/bash/5.1/2.el9");
        let moved = BuildRef { volume: Some("vol1"), ..build };
        assert_eq!(paths.build_logs(moved), "/mnt/koji/vol/vol1/packages/bash/5.1/2.el9/data/logs");
        assert_eq!(paths.rpm(rpm), "src/bash-5.1-2.el9.src.rpm");
        assert_eq!(paths.signed(rpm, "abcd"), "data/signed/abcd/src/bash-5.1-2.el9.src.rpm");
        assert_eq!(paths.sighdr(rpm, "abcd"), "data/sigcache/abcd/src/bash-5.1-2.el9.src.rpm.sig");
        assert_eq!(paths.task(123_456, None), "/mnt/koji/work/tasks/3456/123456");
        assert_eq!(paths.repo(5, "f40-build"), "/mnt/koji/repos/f40-build/5");
        assert_eq!(paths.distrepo(5, "f40", Some("DEFAULT")), "/mnt/koji/repos-dist/f40/5");
        assert_eq!(
            paths.typedir(build, "module"),
            "/mnt/koji/packages/bash/5.1/2.el9/files/module"
        );
        assert_eq!(paths.winfile(Some("x/y"), "a.zip"), "x/y/a.zip");
    }
}
