//! What one import brings: files are given their places first, rows are entered afterwards.
//!
//! Nothing is changed until [`Intake::place`], which journals and places all files at once;
//! [`Intake::enter`] then writes the rows, in the transaction that also ends the journal's entry.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use toji_store::{Content, Plan, Step, Store};
use toji_types::path::BuildRef;
use toji_value::{Fault, Value};

use super::Build;
use super::import::{self, place};
use super::source::Source;
use crate::archive::file::{self, Found};
use crate::archive::import::{Incoming, enter};
use crate::{Call, files};

/// Where the files of a build are.
#[derive(Clone, Debug)]
pub struct At {
    /// Name of the volume.
    pub volume: String,
    /// Package name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Release; of a draft with its suffix.
    pub release: String,
}

impl At {
    /// The place of a build, on a volume.
    pub fn of(build: &Build, volume: &str) -> At {
        At {
            volume: volume.to_owned(),
            name: build.name.clone(),
            version: build.version.clone(),
            release: build.release.clone(),
        }
    }

    fn build(&self) -> BuildRef<'_> {
        BuildRef {
            volume: Some(&self.volume),
            name: &self.name,
            version: &self.version,
            release: &self.release,
        }
    }

    /// The directory of the build on its volume.
    pub fn dir(&self, call: &Call) -> PathBuf {
        call.hub.paths.build(self.build()).into()
    }

    /// The directory of the build on the default volume, which is a link for other volumes.
    pub fn default_dir(&self, call: &Call) -> PathBuf {
        call.hub.paths.build(BuildRef { volume: None, ..self.build() }).into()
    }
}

/// An RPM of the import.
struct Package {
    source: Source,
    buildroot_id: Option<i64>,
    extra: Option<Value>,
}

/// What one import brings.
pub struct Intake {
    store: Store,
    at: At,
    plan: Plan,
    digests: Vec<(PathBuf, i64, String)>,
    archives: Vec<Incoming>,
    rpms: Vec<Package>,
}

impl Intake {
    /// An import into a build with nothing in it yet.
    ///
    /// # Errors
    /// For names that are no plain file names.
    pub fn new(call: &Call, at: At) -> Result<Self, Fault> {
        let names = toji_store::join(&[&at.name, &at.version, &at.release]);
        names.map_err(|e| Fault::generic(e.to_string()))?;
        let (plan, digests) = (Plan::default(), Vec::new());
        let store = call.hub.store.clone();
        Ok(Intake { store, at, plan, digests, archives: Vec::new(), rpms: Vec::new() })
    }

    /// Whether a path is taken, on disk or by this import.
    pub async fn is_taken(&self, path: &Path) -> bool {
        let (store, place) = (self.store.clone(), path.to_owned());
        let there = || files::blocking(move || store.exists(&place));
        self.plan.has(path) || there().await.unwrap_or(true)
    }

    fn add(&mut self, from: &Path, to: PathBuf, size: i64, sha256: &str) {
        self.digests.push((to.clone(), size, sha256.to_owned()));
        self.plan.steps.push(Step { from: from.to_owned(), to });
    }

    /// Adds a file that no row stands for.
    ///
    /// # Errors
    /// When its place is taken, or it is no regular file.
    pub async fn file(&mut self, found: &Found, to: PathBuf) -> Result<(), Fault> {
        if self.is_taken(&to).await {
            let shown = to.display();
            let text = format!("Error importing archive file, {shown} already exists");
            return Err(Fault::generic(text));
        }
        if !found.regular {
            let shown = found.path.display();
            let text = format!("Error importing archive file, {shown} is not a regular file");
            return Err(Fault::generic(text));
        }
        self.add(&found.path, to, found.size, &found.sha256);
        Ok(())
    }

    /// Adds a log to a directory below that of the logs.
    ///
    /// # Errors
    /// As [`Intake::file`].
    pub async fn log(&mut self, call: &Call, found: &Found, subdir: &str) -> Result<(), Fault> {
        let dir = self.log_dir(call).join(file::plain(subdir)?);
        self.log_at(found, dir.join(&found.name)).await
    }

    /// The directory of the build's archives of a type.
    pub fn dir_of(&self, call: &Call, btype: &str) -> PathBuf {
        call.hub.paths.typedir(self.at.build(), btype).into()
    }

    /// Says in which buildroots archives and RPMs were made, in the order of their adding.
    pub fn set_buildroots(&mut self, archives: &[i64], rpms: &[i64]) {
        for (archive, id) in self.archives.iter_mut().zip(archives) {
            archive.buildroot_id = Some(*id);
        }
        for (rpm, id) in self.rpms.iter_mut().zip(rpms) {
            rpm.buildroot_id = Some(*id);
        }
    }

    /// The archives so far.
    pub fn archives_mut(&mut self) -> &mut Vec<Incoming> {
        &mut self.archives
    }

    /// The directory of the build's logs.
    pub fn log_dir(&self, call: &Call) -> PathBuf {
        call.hub.paths.build_logs(self.at.build()).into()
    }

    /// Adds a log at a path.
    ///
    /// # Errors
    /// As [`Intake::file`].
    pub async fn log_at(&mut self, found: &Found, to: PathBuf) -> Result<(), Fault> {
        let problem = if self.is_taken(&to).await {
            format!("{} already exists", to.display())
        } else if !found.regular {
            format!("{} is not a regular file", found.path.display())
        } else {
            self.add(&found.path, to, found.size, &found.sha256);
            return Ok(());
        };
        Err(Fault::generic(format!("Error importing build log. {problem}.")))
    }

    /// Adds an archive.
    ///
    /// # Errors
    /// When its place is taken, or what it says of itself is wrong.
    pub async fn archive(&mut self, call: &Call, new: Incoming) -> Result<(), Fault> {
        new.check_pom().await?;
        let dir = self.dir_of(call, &new.btype.name).join(new.dir()?);
        if let Some(found) = &new.file {
            self.file(found, dir.join(&found.name)).await?;
            self.maven_sums(found, &dir).await;
        }
        self.archives.push(new);
        Ok(())
    }

    /// Adds the files with the checksums of a file that Maven expects beside it.
    pub async fn maven_sums(&mut self, found: &Found, dir: &Path) {
        let Some((md5, sha1)) = found.maven.clone() else { return };
        for (end, sum) in [("md5", md5), ("sha1", sha1)] {
            let path = dir.join(format!("{}.{end}", found.name));
            if !self.is_taken(&path).await {
                self.write(path, sum.into_bytes());
            }
        }
    }

    /// Adds an RPM with its signature header.
    ///
    /// # Errors
    /// When its place is taken.
    pub async fn rpm(
        &mut self,
        call: &Call,
        source: Source,
        buildroot_id: Option<i64>,
        extra: Option<Value>,
    ) -> Result<(), Fault> {
        let names = toji_store::join(&[&source.arch, &source.file_name()]);
        names.map_err(|e| Fault::generic(e.to_string()))?;
        let dir = self.at.dir(call);
        let rpm = import::rpm_ref(&source);
        let to = dir.join(call.hub.paths.rpm(rpm));
        if self.is_taken(&to).await {
            let shown = to.display();
            let text = format!("Error importing archive file, {shown} already exists");
            return Err(Fault::generic(text));
        }
        let header = format!("{}/{}", dir.display(), call.hub.paths.sighdr(rpm, &source.sigkey));
        // The entry of the RPM's row records its digest, so only the place is added here.
        self.plan.steps.push(Step { from: source.path.clone(), to });
        self.write(header.replace("//", "/").into(), source.sighdr.clone());
        self.rpms.push(Package { source, buildroot_id, extra });
        Ok(())
    }

    /// Adds a file with these bytes.
    pub fn write(&mut self, to: PathBuf, bytes: Vec<u8>) {
        let size = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        self.digests.push((to.clone(), size, hex::encode(Sha256::digest(&bytes))));
        self.plan.written.push((to, Content::Bytes(bytes)));
    }

    /// Adds the link on the default volume that builds on other volumes have.
    async fn link(&mut self, call: &Call) -> Result<(), Fault> {
        let (dir, link) = (self.at.dir(call), self.at.default_dir(call));
        if dir == link {
            return Ok(());
        }
        let parent = link.parent().unwrap_or(Path::new("/"));
        let target = toji_store::relative_link(parent, &dir);
        match tokio::fs::read_link(&link).await {
            Ok(known) if known == target => return Ok(()),
            // It leads to where the build was before.
            Ok(_) => {
                let removed = tokio::fs::remove_file(&link).await;
                removed.map_err(|e| Fault::generic(format!("{}: {e}", link.display())))?;
            }
            Err(_) if tokio::fs::try_exists(&link).await.unwrap_or(true) => {
                let shown = link.display();
                return Err(Fault::generic(format!("Unexpected build content: {shown}")));
            }
            Err(_) => {}
        }
        self.plan.written.push((link, Content::Link(target)));
        Ok(())
    }

    /// Journals and places all files; the call takes them back if it fails.
    ///
    /// Returns the entry of the journal for [`Intake::enter`].
    ///
    /// # Errors
    /// When a file cannot be placed; none is then.
    pub async fn place(
        &mut self,
        call: &mut Call,
        build_id: Option<i64>,
    ) -> Result<Option<i64>, Fault> {
        self.link(call).await?;
        place::place_new(call, build_id, &self.plan).await
    }

    /// Enters the rows of everything, and ends the journal's entry; returns the archives' numbers.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn enter(
        self,
        call: &mut Call,
        build: &Build,
        journal: Option<i64>,
    ) -> Result<Vec<i64>, Fault> {
        if !self.rpms.is_empty() {
            toji_db::build::add_type(&mut call.tx, build.id, "rpm").await?;
        }
        for package in &self.rpms {
            let (root, extra) = (package.buildroot_id, package.extra.as_ref());
            import::enter_with(call, build, &package.source, root, extra).await?;
        }
        let mut ids = Vec::with_capacity(self.archives.len());
        for new in &self.archives {
            ids.push(enter(call, build, new).await?);
        }
        for (path, size, sha256) in &self.digests {
            let path = import::relative(call, &path.to_string_lossy());
            toji_db::journal::set_digest(&mut call.tx, &path, *size, sha256).await?;
        }
        if let Some(journal) = journal {
            toji_db::journal::commit(&mut call.tx, journal).await?;
        }
        call.signal(toji_bus::Topic::Repositories);
        Ok(ids)
    }
}
