//! An RPM whose metadata are wanted, and where its file is.

use std::path::PathBuf;

use toji_db::Row;
use toji_store::Store;
use toji_types::PathInfo;
use toji_types::path::{BuildRef, RpmRef};
use toji_value::Fault;

use super::Stored;
use crate::Hub;

/// An RPM and where it is.
pub(super) struct Wanted {
    pub(super) rpm: i64,
    pub(super) build: i64,
    pub(super) volume: i64,
    /// From a repository's directory of an arch.
    href: String,
    file: PathBuf,
    /// What is there as long as the volume is.
    pub(super) store: PathBuf,
}

/// What came of an RPM.
pub(super) struct Read {
    pub(super) wanted: Wanted,
    pub(super) made: Result<Stored, Fault>,
}

impl Wanted {
    /// Of a row of `toji_db::fragment::missing`.
    pub(super) fn of(hub: &Hub, row: &Row) -> Result<Wanted, Fault> {
        let text = |key: &str| row.get::<String>(key);
        let layout = PathInfo::new("toplink");
        let (volume, package) = (text("volume_name")?, text("package_name")?);
        let (version, release) = (text("build_version")?, text("build_release")?);
        let at = BuildRef {
            volume: Some(&volume),
            name: &package,
            version: &version,
            release: &release,
        };
        let dir = layout.build(at);
        let (name, version) = (text("name")?, text("version")?);
        let (release, arch) = (text("release")?, text("arch")?);
        let rpm = RpmRef { name: &name, version: &version, release: &release, arch: &arch };
        let href = format!("{dir}/{}", layout.rpm(rpm));
        let file = format!("{}{}", hub.paths.topdir(), href.trim_start_matches("toplink"));
        Ok(Wanted {
            rpm: row.get("id")?,
            build: row.get("build_id")?,
            volume: row.get("volume_id")?,
            href,
            file: file.into(),
            store: PathBuf::from(hub.paths.volumedir(Some(&volume))).join("packages"),
        })
    }

    /// Reads the file. Blocks.
    pub(super) fn read(self, store: &Store) -> Read {
        let made = super::make(store, &self.file, self.href.clone());
        Read { wanted: self, made }
    }
}
