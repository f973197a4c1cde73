//! Builds and RPMs of tags.

use toji_types::BuildState;

use crate::{Param, Result, Row, Select, Tx, params};

/// Which builds of some tags are asked for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The event to look at; nothing is now.
    pub event: Option<i64>,
    /// Only this package.
    pub package: Option<String>,
    /// Only builds of this user.
    pub owner: Option<String>,
    /// Only builds of this type, by name.
    pub btype: Option<String>,
    /// Only drafts, or only regular builds.
    pub draft: Option<bool>,
    /// Also the builds' extra data.
    pub extra: bool,
}

const BUILD_FIELDS: &[(&str, &str)] = &[
    ("tag.id", "tag_id"),
    ("tag.name", "tag_name"),
    ("build.id", "id"),
    ("build.id", "build_id"),
    ("build.version", "version"),
    ("build.release", "release"),
    ("build.epoch", "epoch"),
    ("build.state", "state"),
    ("build.completion_time", "completion_time"),
    ("build.promotion_time", "promotion_time"),
    ("build.start_time", "start_time"),
    ("build.task_id", "task_id"),
    ("build.draft", "draft"),
    ("users.id", "owner_id"),
    ("users.name", "owner_name"),
    ("promoter.id", "promoter_id"),
    ("promoter.name", "promoter_name"),
    ("events.id", "creation_event_id"),
    ("events.time", "creation_time"),
    ("volume.id", "volume_id"),
    ("volume.name", "volume_name"),
    ("package.id", "package_id"),
    ("package.name", "package_name"),
    ("package.name", "name"),
    ("package.name || '-' || build.version || '-' || build.release", "nvr"),
    ("tag_listing.create_event", "create_event"),
];

/// The complete builds in any of the tags, newest tagging first, then newest build first.
pub async fn builds(tx: &mut Tx, tags: &[i64], filter: &Filter) -> Result<Vec<Row>> {
    let mut select = Select::from("tag_listing")
        .fields(BUILD_FIELDS)
        .join("tag ON tag.id = tag_listing.tag_id")
        .join("build ON build.id = tag_listing.build_id")
        .join("events ON events.id = build.create_event")
        .join("package ON package.id = build.pkg_id")
        .join("volume ON volume.id = build.volume_id")
        .join("users ON users.id = build.owner")
        .join("LEFT JOIN users AS promoter ON promoter.id = build.promoter");
    select = match filter.btype.as_deref() {
        None => select,
        Some("maven") => select
            .join("maven_builds ON maven_builds.build_id = build.id")
            .field("maven_builds.group_id", "maven_group_id")
            .field("maven_builds.artifact_id", "maven_artifact_id")
            .field("maven_builds.version", "maven_version"),
        Some("win") => select
            .join("win_builds ON win_builds.build_id = build.id")
            .field("win_builds.platform", "platform"),
        Some("image") => select.join("image_builds ON image_builds.build_id = build.id"),
        Some(name) => select.join("build_types ON build_types.build_id = build.id").join_with(
            "btype ON btype.id = build_types.btype_id AND btype.name = ?",
            vec![name.into()],
        ),
    };
    if filter.extra {
        select = select.field("build.extra", "extra");
    }
    at(select, filter.event)
        .filter("tag_listing.tag_id = ANY(?)", tags)
        .filter("build.state = ?", BuildState::Complete as i64)
        .filter_opt("package.name = ?", filter.package.as_deref())
        .filter_opt("users.name = ?", filter.owner.as_deref())
        .filter_opt("build.draft = ?", filter.draft)
        .order_default("-create_event,-id")
        .rows(tx)
        .await
}

/// Tag listings that hold now, or held at an event.
pub(crate) fn at(select: Select, event: Option<i64>) -> Select {
    match event {
        None => select.filter_text("tag_listing.active = TRUE"),
        Some(event) => select.filter_with(
            "tag_listing.create_event <= ? AND
             (tag_listing.revoke_event IS NULL OR tag_listing.revoke_event > ?)",
            vec![event.into(), event.into()],
        ),
    }
}

/// Which RPMs of some builds are asked for.
#[derive(Clone, Debug, Default)]
pub struct RpmFilter {
    /// Only these arches.
    pub arches: Option<Vec<String>>,
    /// One row for each signature, with its `sigkey`.
    pub signatures: bool,
    /// Also the RPMs' extra data.
    pub extra: bool,
    /// Only drafts, or only regular ones.
    pub draft: Option<bool>,
}

/// The RPMs of builds, in the order of their ids.
pub async fn rpms(tx: &mut Tx, builds: &[i64], filter: &RpmFilter) -> Result<Vec<Row>> {
    let mut select = Select::from("rpminfo").fields(&[
        ("rpminfo.name", "name"),
        ("rpminfo.version", "version"),
        ("rpminfo.release", "release"),
        ("rpminfo.arch", "arch"),
        ("rpminfo.id", "id"),
        ("rpminfo.epoch", "epoch"),
        ("rpminfo.draft", "draft"),
        ("rpminfo.payloadhash", "payloadhash"),
        ("rpminfo.size", "size"),
        ("rpminfo.buildtime", "buildtime"),
        ("rpminfo.buildroot_id", "buildroot_id"),
        ("rpminfo.build_id", "build_id"),
        ("rpminfo.metadata_only", "metadata_only"),
    ]);
    if filter.signatures {
        select = select
            .field("rpmsigs.sigkey", "sigkey")
            .join("LEFT JOIN rpmsigs ON rpmsigs.rpm_id = rpminfo.id");
    }
    if filter.extra {
        select = select.field("rpminfo.extra", "extra");
    }
    let arches = filter.arches.clone().map(Param::Texts);
    select
        .filter("rpminfo.build_id = ANY(?)", builds)
        .filter_opt("rpminfo.arch = ANY(?)", arches)
        .filter_opt("rpminfo.draft = ?", filter.draft)
        .order_default("id")
        .rows(tx)
        .await
}

/// Whether there is a build type of this name.
pub async fn has_btype(tx: &mut Tx, name: &str) -> Result<bool> {
    Ok(tx.query_opt("SELECT id FROM btype WHERE name = $1", params![name]).await?.is_some())
}
