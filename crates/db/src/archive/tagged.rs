//! Archives of builds that tags hold.

use crate::{Result, Row, Select, Tx};

/// The archives of builds, in the order of their ids; `btype` is `maven` or `win` and adds that
/// type's members.
pub async fn of_builds(
    tx: &mut Tx,
    builds: &[i64],
    btype: Option<&str>,
    extra: bool,
) -> Result<Vec<Row>> {
    let mut select = Select::from("archiveinfo")
        .fields(&[
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
        ])
        .join("btype ON btype.id = archiveinfo.btype_id");
    select = match btype {
        Some("maven") => select
            .join("maven_archives ON maven_archives.archive_id = archiveinfo.id")
            .field("maven_archives.group_id", "maven_group_id")
            .field("maven_archives.artifact_id", "maven_artifact_id")
            .field("maven_archives.version", "maven_version"),
        Some("win") => select
            .join("win_archives ON win_archives.archive_id = archiveinfo.id")
            .field("win_archives.relpath", "relpath")
            .field("win_archives.platforms", "platforms")
            .field("win_archives.flags", "flags"),
        _ => select,
    };
    if extra {
        select = select.field("archiveinfo.extra", "extra:json");
    }
    select.filter("archiveinfo.build_id = ANY(?)", builds).order_default("id").rows(tx).await
}

/// The Maven archives of the builds in any of the tags, newest tagging first; blocked packages
/// included.
pub async fn maven_in_tags(tx: &mut Tx, tags: &[i64], event: Option<i64>) -> Result<Vec<Row>> {
    let select = Select::from("tag_listing")
        .fields(&[
            ("tag.id", "tag_id"),
            ("tag.name", "tag_name"),
            ("build.pkg_id", "pkg_id"),
            ("build.id", "build_id"),
            ("package.name", "build_name"),
            ("build.version", "build_version"),
            ("build.release", "build_release"),
            ("build.epoch", "build_epoch"),
            ("build.state", "state"),
            ("build.task_id", "task_id"),
            ("build.owner", "owner"),
            ("volume.id", "volume_id"),
            ("volume.name", "volume_name"),
            ("archiveinfo.id", "id"),
            ("archiveinfo.type_id", "type_id"),
            ("archiveinfo.buildroot_id", "buildroot_id"),
            ("archiveinfo.filename", "filename"),
            ("archiveinfo.size", "size"),
            ("archiveinfo.checksum", "checksum"),
            ("archiveinfo.checksum_type", "checksum_type"),
            ("archiveinfo.metadata_only", "metadata_only"),
            ("archiveinfo.extra", "extra:json"),
            ("maven_archives.group_id", "group_id"),
            ("maven_archives.artifact_id", "artifact_id"),
            ("maven_archives.version", "version"),
            ("tag_listing.create_event", "tag_event"),
        ])
        .join("tag ON tag.id = tag_listing.tag_id")
        .join("build ON build.id = tag_listing.build_id")
        .join("volume ON volume.id = build.volume_id")
        .join("package ON package.id = build.pkg_id")
        .join("archiveinfo ON archiveinfo.build_id = build.id")
        .join("maven_archives ON maven_archives.archive_id = archiveinfo.id");
    crate::tagged::at(select, event)
        .filter("tag_listing.tag_id = ANY(?)", tags)
        .order_default("-tag_event,id")
        .rows(tx)
        .await
}
