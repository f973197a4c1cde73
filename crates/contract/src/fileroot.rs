//! The file root of a data set: unpacked into a directory of its own.

use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

/// What is not part of the file root lies here: the embedded database, the client's configuration.
const OWN: &str = ".contract";

/// Directories that a file root can have.
const PARTS: [&str; 8] =
    ["packages", "repos", "repos-dist", "scratch", "work", "vol", "ext", "kickstarts"];

/// A file root that this program filled.
pub(crate) struct FileRoot {
    topdir: PathBuf,
}

impl FileRoot {
    /// Makes `topdir` an empty file root.
    ///
    /// What an earlier run left there is removed; a directory with files of somebody else is refused.
    pub(crate) fn create(topdir: &Path) -> anyhow::Result<FileRoot> {
        let topdir = std::path::absolute(topdir).context("failed to find the file root")?;
        let fail = || format!("failed to make {}", topdir.display());
        let own = topdir.join(OWN);
        for part in PARTS.iter().map(|p| topdir.join(p)).filter(|p| p.exists()) {
            ensure!(own.exists(), "{} is there already, from another program", part.display());
            std::fs::remove_dir_all(part).with_context(fail)?;
        }
        if own.exists() {
            std::fs::remove_dir_all(&own).with_context(fail)?;
        }
        for dir in [OWN, "packages", "repos", "scratch", "work"] {
            std::fs::create_dir_all(topdir.join(dir)).with_context(fail)?;
        }
        Ok(FileRoot { topdir })
    }

    /// The file root's path, absolute.
    pub(crate) fn path(&self) -> &Path {
        &self.topdir
    }

    /// A path beside the file root's own directories.
    pub(crate) fn own(&self, name: &str) -> PathBuf {
        self.topdir.join(OWN).join(name)
    }

    /// Unpacks a tar stream, and points the volumes back at this root.
    ///
    /// Files and links are made in the order of the stream, which is that of the recorded
    /// directories (the program `tar` makes links last).
    pub(crate) fn unpack(&self, stream: impl Read) -> anyhow::Result<()> {
        let mut archive = tar::Archive::new(stream);
        archive.set_preserve_mtime(true);
        archive.unpack(&self.topdir).context("failed to unpack the files")?;
        self.link_volumes()
    }

    /// A volume's `toplink` names the root that it was recorded in.
    fn link_volumes(&self) -> anyhow::Result<()> {
        let Ok(volumes) = std::fs::read_dir(self.topdir.join("vol")) else { return Ok(()) };
        for volume in volumes {
            let link = volume?.path().join("toplink");
            if link.is_symlink() {
                std::fs::remove_file(&link)?;
                symlink(&self.topdir, &link)
                    .with_context(|| format!("failed to make {}", link.display()))?;
            }
        }
        Ok(())
    }
}
