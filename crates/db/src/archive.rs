//! Archives and the builds that consist of them.

mod import;
mod look;
mod tagged;

pub use import::*;
pub use look::*;
pub use tagged::*;

use crate::{QueryOpts, Result, Row, Select, Tx, params, sql};
use toji_value::{Map, Value};

/// What makes a build a Maven build.
pub async fn maven_build(tx: &mut Tx, build: i64) -> Result<Option<Row>> {
    let sql = "SELECT build_id, group_id, artifact_id, version FROM maven_builds
                WHERE build_id = $1";
    tx.query_opt(sql, params![build]).await
}

/// What makes a build a Windows build.
pub async fn win_build(tx: &mut Tx, build: i64) -> Result<Option<Row>> {
    tx.query_opt("SELECT build_id, platform FROM win_builds WHERE build_id = $1", params![build])
        .await
}

/// The row that makes a build an image build.
pub async fn image_build(tx: &mut Tx, build: i64) -> Result<Option<Row>> {
    tx.query_opt("SELECT build_id FROM image_builds WHERE build_id = $1", params![build]).await
}

/// Which archives are asked for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this build.
    pub build: Option<i64>,
    /// Built in this buildroot.
    pub buildroot: Option<i64>,
    /// Present in this buildroot.
    pub component_of: Option<i64>,
    /// Built on this host.
    pub host: Option<i64>,
    /// Of this type, by name.
    pub btype: Option<String>,
    /// Of this file name.
    pub filename: Option<String>,
    /// Of this size.
    pub size: Option<i64>,
    /// Of this checksum.
    pub checksum: Option<String>,
    /// Of this type of checksum.
    pub checksum_type: Option<i64>,
    /// With these members of the type.
    pub type_info: Map,
    /// Part of this archive.
    pub image: Option<i64>,
    /// This archive.
    pub archive: Option<i64>,
}

const FIELDS: &[(&str, &str)] = &[
    ("archiveinfo.id", "id"),
    ("archiveinfo.type_id", "type_id"),
    ("archiveinfo.btype_id", "btype_id"),
    ("btype.name", "btype"),
    ("archiveinfo.build_id", "build_id"),
    ("archiveinfo.buildroot_id", "buildroot_id"),
    ("archiveinfo.filename", "filename"),
    ("archiveinfo.size", "size"),
    ("archiveinfo.checksum", "checksum"),
    ("archiveinfo.checksum_type", "checksum_type"),
    ("archiveinfo.metadata_only", "metadata_only"),
    ("archiveinfo.extra", "extra:json"),
    ("archivetypes.name", "type_name"),
    ("archivetypes.description", "type_description"),
    ("archivetypes.extensions", "type_extensions"),
    ("archivetypes.compression_type", "compression_type"),
];

/// The archives that fit, as the caller's options want them.
pub async fn list(tx: &mut Tx, filter: &Filter, opts: &QueryOpts) -> Result<Value> {
    let mut select = Select::from("archiveinfo")
        .fields(FIELDS)
        .join("archivetypes ON archivetypes.id = archiveinfo.type_id")
        .join("btype ON btype.id = archiveinfo.btype_id");
    if let Some(buildroot) = filter.component_of {
        select = select
            .join("buildroot_archives ON buildroot_archives.archive_id = archiveinfo.id")
            .field("buildroot_archives.buildroot_id", "component_buildroot_id")
            .field("buildroot_archives.project_dep", "project")
            .filter("buildroot_archives.buildroot_id = ?", buildroot);
    }
    if let Some(image) = filter.image {
        select = select
            .join("archive_components ON archive_components.component_id = archiveinfo.id")
            .filter("archive_components.archive_id = ?", image);
    }
    if let Some(host) = filter.host {
        select = select
            .join(
                "standard_buildroot ON standard_buildroot.buildroot_id = archiveinfo.buildroot_id",
            )
            .field("standard_buildroot.host_id", "host_id")
            .filter("standard_buildroot.host_id = ?", host);
    }
    of_type(select, filter)
        .filter_opt("archiveinfo.build_id = ?", filter.build)
        .filter_opt("archiveinfo.buildroot_id = ?", filter.buildroot)
        .filter_opt("archiveinfo.filename = ?", filter.filename.as_deref())
        .filter_opt("archiveinfo.size = ?", filter.size)
        .filter_opt("archiveinfo.checksum = ?", filter.checksum.as_deref())
        .filter_opt("archiveinfo.checksum_type = ?", filter.checksum_type)
        .filter_opt("archiveinfo.id = ?", filter.archive)
        .order_default("-id")
        .opts(opts)
        .fetch(tx)
        .await
}

/// Joins what a type adds, and restricts by its members.
fn of_type(select: Select, filter: &Filter) -> Select {
    let wanted = |key: &str| filter.type_info.str(key).map(str::to_owned);
    match filter.btype.as_deref() {
        None => select,
        Some("maven") => select
            .join("maven_archives ON maven_archives.archive_id = archiveinfo.id")
            .field("maven_archives.group_id", "group_id")
            .field("maven_archives.artifact_id", "artifact_id")
            .field("maven_archives.version", "version")
            .filter_opt("maven_archives.group_id = ?", wanted("group_id"))
            .filter_opt("maven_archives.artifact_id = ?", wanted("artifact_id"))
            .filter_opt("maven_archives.version = ?", wanted("version")),
        Some("win") => {
            let select = select
                .join("win_archives ON win_archives.archive_id = archiveinfo.id")
                .field("win_archives.relpath", "relpath")
                .field("win_archives.platforms", "platforms")
                .field("win_archives.flags", "flags")
                .filter_opt("win_archives.relpath = ?", wanted("relpath"));
            let select = with_words(select, "win_archives.platforms", filter, "platforms");
            with_words(select, "win_archives.flags", filter, "flags")
        }
        Some("image") => {
            let select = select
                .join("image_archives ON image_archives.archive_id = archiveinfo.id")
                .field("image_archives.arch", "arch");
            select.filter_opt("image_archives.arch = ?", wanted("arch"))
        }
        Some(name) => select.filter("btype.name = ?", name),
    }
}

/// Demands that a list of words, separated by spaces, holds each of the words asked for.
fn with_words(mut select: Select, column: &'static str, filter: &Filter, key: &str) -> Select {
    let words: Vec<&str> = match filter.type_info.value(key) {
        Value::Str(word) => vec![word.as_str()],
        Value::Array(words) => words.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    for word in words {
        let text = sql!["' ' || ", column, " || ' ' LIKE '% ' || ? || ' %'"];
        select = select.filter(text, word);
    }
    select
}
