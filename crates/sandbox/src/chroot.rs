//! The `chroot` kind of buildroot: roots of packages alone, kept as layers by what they were made of.
//!
//! A layer is a tree that rpm made of a list of packages, perhaps over another layer. Nobody writes to it once it has
//! its name, which is a digest of the list. Each build gets a directory of its own over it, which is thrown away. Below the
//! cache's directory:
//!
//! ```text
//! layers/DIGEST/over/upper  the files
//! layers/DIGEST/layer.json  the packages, the size, the layer below
//! layers/DIGEST/used        its time is that of the last use
//! new/…                     what is being made; nothing here outlives the process
//! ```

mod install;
mod keep;
mod root;

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::{
    error::{Error, Result},
    sink::Sink,
    tree, userns,
};
pub use install::installed_in;
pub(crate) use root::{Settings, build, write_filter};

/// Raised when the same packages make other trees.
const FORMAT: u32 = 1;

/// A package to install: its file, and the SHA-256 of it, which the caller has verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageFile {
    /// Where it is.
    pub path: PathBuf,
    /// In hexadecimal.
    pub sha256: String,
}

/// A package as rpm's database in a layer lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Release.
    pub release: String,
    /// Epoch, if there is one.
    pub epoch: Option<i64>,
    /// Arch.
    pub arch: String,
    /// The MD5 of header and payload, by which Koji knows packages; empty where the package has none.
    pub sigmd5: String,
    /// Size of the files, in bytes.
    pub size: i64,
    /// When it was built, in seconds since 1970.
    pub buildtime: i64,
}

/// A read-only tree of installed packages; it stays on the disk as long as this value lives.
#[derive(Debug)]
pub struct Layer {
    key: String,
    dir: PathBuf,
    packages: Vec<Installed>,
    below: Option<Arc<Layer>>,
    overlay: bool,
    fresh: bool,
}

impl Layer {
    /// Everything that is installed in it, those of the layers below included.
    pub fn packages(&self) -> &[Installed] {
        &self.packages
    }

    /// The digest of what it was made of.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether it was made now, instead of being found.
    pub fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Its trees, the uppermost first.
    pub(crate) fn trees(&self) -> Vec<PathBuf> {
        let own = self.dir.join("over/upper");
        let below = self.below.as_ref().filter(|_| self.overlay).map(|layer| layer.trees());
        std::iter::once(own).chain(below.into_iter().flatten()).collect()
    }

    pub(crate) fn overlay(&self) -> bool {
        self.overlay
    }
}

/// The layers of one builder, bounded in size.
#[derive(Debug)]
pub struct Chroots {
    dir: PathBuf,
    limit: u64,
    overlay: bool,
    numbering: String,
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    alive: HashMap<String, Weak<Layer>>,
    /// One for each layer that is looked for or made, so that it is made once.
    making: HashMap<String, Arc<tokio::sync::Mutex<()>>>,
    count: u64,
}

impl Chroots {
    /// Opens the cache in a directory, of at most so many bytes; removes what a crash left.
    pub async fn open(dir: impl Into<PathBuf>, limit: u64) -> Result<Self> {
        let dir = dir.into();
        for name in ["layers", "new"] {
            fs::create_dir_all(dir.join(name)).map_err(Error::file("create", dir.join(name)))?;
        }
        let new = dir.join("new");
        for entry in fs::read_dir(&new).map_err(Error::file("read", &new))?.flatten() {
            let path = entry.path();
            tree::remove_tree(&path).map_err(Error::file("remove", path))?;
        }
        keep::remove_damaged(&dir)?;
        let overlay = root::overlay_works(&dir).await;
        let (numbering, shared) = (userns::numbering(), Mutex::default());
        Ok(Self { dir, limit, overlay, numbering, shared })
    }

    /// Copies trees instead of laying directories over them, as where the kernel has no overlayfs for this user.
    #[must_use]
    pub fn without_overlay(mut self) -> Self {
        self.overlay = false;
        self
    }

    /// Whether builds write into a directory that is laid over the layers.
    pub fn overlay(&self) -> bool {
        self.overlay
    }

    /// The layer of these packages over another one: found, or made by rpm, whose words go to `log` if it fails.
    ///
    /// # Errors
    /// [`Error::Layer`] with rpm's words when the packages cannot be installed together.
    pub async fn layer(
        &self,
        below: Option<&Arc<Layer>>,
        packages: &[PackageFile],
        log: &mut dyn Sink,
        cancel: &CancellationToken,
    ) -> Result<Arc<Layer>> {
        let digests: Vec<&str> = packages.iter().map(|package| package.sha256.as_str()).collect();
        let key = self.key(below, &digests);
        let turn = self.lock().making.entry(key.clone()).or_default().clone();
        let held = turn.lock().await;
        let found = match self.find(&key, below) {
            Some(layer) => Ok(layer),
            None => self.make(&key, below, packages, log, cancel).await,
        };
        drop(held);
        let mut shared = self.lock();
        if Arc::strong_count(&turn) == 2 {
            shared.making.remove(&key);
        }
        if let Ok(layer) = &found {
            shared.alive.retain(|_, layer| layer.strong_count() > 0);
            shared.alive.insert(key, Arc::downgrade(layer));
        }
        found
    }

    /// The layer of packages with these digests, if it is there.
    pub fn found(&self, below: Option<&Arc<Layer>>, digests: &[&str]) -> Option<Arc<Layer>> {
        let key = self.key(below, digests);
        let layer = self.find(&key, below)?;
        self.lock().alive.insert(key, Arc::downgrade(&layer));
        Some(layer)
    }

    fn key(&self, below: Option<&Arc<Layer>>, digests: &[&str]) -> String {
        let mut list = digests.to_vec();
        list.sort_unstable();
        let below = below.map_or("none", |layer| layer.key());
        let kind = if self.overlay { "over" } else { "copy of" };
        let text = format!("{FORMAT}\n{}\n{kind} {below}\n{}\n", self.numbering, list.join("\n"));
        format!("{:x}", Sha256::digest(text))
    }

    fn find(&self, key: &str, below: Option<&Arc<Layer>>) -> Option<Arc<Layer>> {
        let layer = self.lock().alive.get(key).and_then(Weak::upgrade);
        let layer = layer.or_else(|| {
            let dir = self.dir.join("layers").join(key);
            let text = fs::read_to_string(dir.join("layer.json")).ok()?;
            let value: Value = serde_json::from_str(&text).ok()?;
            let packages = value["packages"].as_array()?.iter().map(install::from_json).collect();
            Some(Arc::new(Layer {
                key: key.to_owned(),
                dir,
                packages,
                below: below.cloned(),
                overlay: self.overlay,
                fresh: false,
            }))
        })?;
        keep::touch(&layer.dir);
        if let Some(below) = below {
            keep::touch(&below.dir);
        }
        Some(layer)
    }

    async fn make(
        &self,
        key: &str,
        below: Option<&Arc<Layer>>,
        packages: &[PackageFile],
        log: &mut dyn Sink,
        cancel: &CancellationToken,
    ) -> Result<Arc<Layer>> {
        let count = {
            let mut shared = self.lock();
            shared.count += 1;
            shared.count
        };
        let work = self.dir.join("new").join(format!("{}-{count}", std::process::id()));
        let made = install::install(&work, self.overlay, below, packages, log, cancel).await;
        let made = made.and_then(|packages| self.publish(key, below, packages, &work));
        if let Err(error) = tree::remove_tree(&work) {
            tracing::warn!(dir = %work.display(), "a layer's directory was not removed: {error}");
        }
        let layer = made?;
        self.trim();
        Ok(layer)
    }

    /// Gives a finished tree its name.
    fn publish(
        &self,
        key: &str,
        below: Option<&Arc<Layer>>,
        packages: Vec<Installed>,
        work: &Path,
    ) -> Result<Arc<Layer>> {
        let shared = below.filter(|_| self.overlay).map_or(0, |layer| size(&layer.packages));
        let bytes = size(&packages).saturating_sub(shared);
        let done = work.join("done");
        let value = serde_json::json!({
            "bytes": bytes,
            "below": below.map(|layer| layer.key.as_str()),
            "packages": packages.iter().map(install::to_json).collect::<Vec<_>>(),
        });
        let file = done.join("layer.json");
        fs::write(&file, value.to_string()).map_err(Error::file("write", &file))?;
        keep::touch(&done);
        keep::note_boot(&done)?;
        let dir = self.dir.join("layers").join(key);
        tree::remove_tree(&dir).map_err(Error::file("replace", &dir))?;
        fs::rename(&done, &dir).map_err(Error::file("move", &dir))?;
        keep::sync_later(&dir);
        let (key, overlay) = (key.to_owned(), self.overlay);
        let below = below.cloned();
        Ok(Arc::new(Layer { key, dir, packages, below, overlay, fresh: true }))
    }

    /// Removes the layers that were used least recently until the rest fits; those in use stay.
    pub fn trim(&self) {
        let in_use =
            |key: &str| self.lock().alive.get(key).is_some_and(|layer| layer.strong_count() > 0);
        if let Err(error) = keep::trim(&self.dir, self.limit, in_use) {
            tracing::warn!("layers were not removed: {error}");
        }
    }

    /// The bytes that are kept.
    pub fn bytes(&self) -> u64 {
        keep::list(&self.dir).iter().map(|kept| kept.bytes).sum()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes of the packages' files.
fn size(packages: &[Installed]) -> u64 {
    packages.iter().map(|package| u64::try_from(package.size).unwrap_or(0)).sum()
}
