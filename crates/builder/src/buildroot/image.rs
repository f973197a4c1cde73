//! What images need of a buildroot: a tree that stays, commands as root, files and packages that are left.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use toji_client::args;
use toji_sandbox::{Command, results};
use toji_value::{Value, map};

use super::{Extras, Room, Wish, chroot};
use crate::config::Kind;
use crate::context::{Context, text_of};
use crate::failure::{Failure, Result};
use crate::repository::Repository;
use crate::source;
use crate::tasks::build_srpm_from_scm::copy_tree;

/// Where commands are at home inside.
const HOME: &str = "/builddir";

/// What a root of mock's shows of the machine's devices.
#[derive(Clone, Copy)]
pub(super) struct Devices {
    /// Whether all of them are there.
    all: bool,
}

impl Devices {
    /// As settings of mock; having them at all turns its own devices off.
    pub(super) fn mounts(self) -> Value {
        let dirs = if self.all {
            map! {"/dev" => "/dev"}
        } else {
            map! {}
        };
        Value::Struct(map! {"dirs" => Value::Struct(dirs)})
    }
}

/// The kind of roots that images are made in, where a builder makes one of this kind.
///
/// # Errors
/// When that cannot make images.
pub(super) fn kind(own: Kind) -> Result<Kind> {
    match own {
        Kind::Auto | Kind::Chroot => Ok(Kind::Chroot),
        Kind::Mock => Ok(Kind::Mock),
        Kind::Host => Err(Failure::own("buildroots of the kind host make no images")),
    }
}

impl<'t> Room<'t> {
    /// Records a new buildroot in which an image is made.
    pub(crate) async fn for_image(
        task: &'t Context,
        wish: &Wish<'_>,
        all_devices: bool,
    ) -> Result<Room<'t>> {
        let image = Some(Devices { all: all_devices });
        Room::with(task, wish, Extras { image, ..Extras::default() }).await
    }

    /// Fills the buildroot, if an image can be made in it.
    pub(crate) async fn fill_for_image(&mut self) -> Result<()> {
        self.fill(&[]).await?;
        if !self.is_mock() && !self.root()?.can_bind() {
            let text = "this builder makes no images: it runs as a user without a range in /etc/subuid and /etc/subgid";
            return Err(Failure::own(text));
        }
        self.begin("image").await
    }

    /// Copies a tree to where it stays as long as the buildroot; gives where it is inside.
    pub(crate) fn bring_tree(&self, tree: &Path, name: &str) -> Result<String> {
        let failed = || Failure::local("put the description into the buildroot");
        if self.is_mock() {
            let to = self.make_staying(name)?;
            copy_tree(tree, &to).map_err(failed())?;
            return Ok(format!("{}/{name}", self.task.config().mock.tmpdir));
        }
        let to = self.staying(name)?;
        std::fs::create_dir_all(&to).map_err(failed())?;
        copy_tree(tree, &to).map_err(failed())?;
        self.root()?.hand_over(&to)?;
        Ok(format!("{HOME}/{name}"))
    }

    /// A directory in the root that stays, as this machine sees it; a build may have put a link in its place.
    pub(crate) fn staying(&self, name: &str) -> Result<PathBuf> {
        if self.is_mock() {
            return self.mock_stay(name);
        }
        Ok(self.home()?.join(name))
    }

    /// Runs a command as root inside, who may bind directories to other places; whether it was a success.
    pub(crate) async fn run_for_image(
        &mut self,
        cwd: &str,
        words: &[String],
        log: &str,
    ) -> Result<bool> {
        if self.is_mock() {
            return self.chroot_in_mock(cwd, words).await;
        }
        let mut log = self.task.log(log)?;
        log.line(format!("$ {}", words.join(" ")));
        let command = Command::new(words.iter().map(String::as_str)).as_image_maker();
        let outcome = self.start(command, cwd, &mut log).await?;
        let seconds = outcome.elapsed.as_secs_f64();
        log.line(format!("{} {} after {seconds:.1} s", words[0], outcome.reason));
        Ok(outcome.success())
    }

    /// Copies of the files below a directory of the home directory.
    pub(crate) async fn image_files(&self, dir: &str) -> Result<Vec<PathBuf>> {
        let failed = || Failure::local::<std::io::Error>("copy the image");
        let top = match self.is_mock() {
            true => results::directory(&self.mock_tree()?, &Path::new("builddir").join(dir)),
            false => {
                self.open_up(&format!("{HOME}/{dir}")).await?;
                results::directory(&self.home()?, Path::new(dir))
            }
        };
        let top = top.map_err(failed())?;
        let to = self.task.make_dir("result")?;
        let mut copies = Vec::new();
        for path in results::list(&top).map_err(failed())? {
            let copy = to.join(path.file_name().unwrap_or_default());
            results::copy(&top, &path, &copy).map_err(failed())?;
            copies.push(copy);
        }
        Ok(copies)
    }

    /// The packages whose files are below a directory of the root, as the hub wants them listed.
    pub(crate) async fn image_packages(&mut self, dir: &str) -> Result<Value> {
        let origins = self.origins().await?;
        let top = match self.is_mock() {
            true => results::directory(&self.mock_tree()?, Path::new(dir.trim_start_matches('/'))),
            false => {
                self.open_up(dir).await?;
                self.root()?.written(Path::new(dir))
            }
        };
        // Without packages there is no directory.
        let top = top.map_err(|_| none());
        let top = top?;
        let files = results::list(&top);
        let files = files.map_err(Failure::local("read the packages of the image"))?;
        let kept = self.task.make_dir("packages")?;
        let mut list = BTreeMap::new();
        for path in files.iter().filter(|path| path.extension().is_some_and(|e| e == "rpm")) {
            let copy = kept.join("one.rpm");
            let size = results::copy(&top, path, &copy);
            let size = size.map_err(Failure::local("read a package of the image"))?;
            let entry = entry(&copy, size, &origins)?;
            std::fs::remove_file(&copy).map_err(Failure::local("remove a copy"))?;
            list.insert(path.file_name().unwrap_or_default().to_owned(), entry);
        }
        match list.is_empty() {
            true => Err(none()),
            false => Ok(Value::Array(list.into_values().collect())),
        }
    }

    /// Lets this builder read what root inside has made; what cannot be opened up is missed later.
    async fn open_up(&self, dir: &str) -> Result<()> {
        let mut log = self.task.log("image.log")?;
        self.execute_as_root(&["chmod", "-R", "a+rX", "--", dir], HOME, &mut log).await.map(drop)
    }

    /// Which packages are from which external repository.
    pub(super) async fn origins(&mut self) -> Result<HashMap<String, String>> {
        if let Some(known) = &self.origins {
            return Ok(known.clone());
        }
        let event = self.repo.get("create_event").clone();
        let external = self.task.call("getExternalRepoList", args!(self.tag; "event" => event));
        let found = match external.await?.truthy() {
            false => HashMap::new(),
            true => {
                let tag = text_of(&self.config, "name")?;
                let (task, repo, arch) = (self.task, &self.repo, self.arch.as_str());
                let repository = Repository::load(task, (self.tag, tag), repo, arch).await?;
                let named = repository
                    .offers
                    .iter()
                    .filter_map(|offer| Some((offer.nevra(), offer.origin.as_ref()?.to_string())));
                named.collect()
            }
        };
        self.origins = Some(found.clone());
        Ok(found)
    }
}

fn none() -> Failure {
    Failure::generic("No repos found in yum cache!")
}

/// A package as the hub wants it listed.
fn entry(file: &Path, size: u64, origins: &HashMap<String, String>) -> Result<Value> {
    let package = source::header(file)?;
    let header = package.header();
    let bad = Failure::local::<toji_rpmfile::Error>;
    let name = header.name().map_err(bad("name"))?.into_owned();
    let version = header.version().map_err(bad("version"))?.into_owned();
    let release = header.release().map_err(bad("release"))?.into_owned();
    let arch = header.arch().map_err(bad("arch"))?.into_owned();
    let origin = origins.get(&chroot::nvra(&name, &version, &release, &arch));
    Ok(Value::Struct(map! {
        "name" => name, "version" => version, "release" => release, "arch" => arch,
        "epoch" => header.epoch(),
        "payloadhash" => package.content_id(),
        "size" => i64::try_from(size).unwrap_or(i64::MAX),
        "buildtime" => header.build_time().and_then(|time| i64::try_from(time).ok()),
        "location" => origin.map(String::as_str),
    }))
}
