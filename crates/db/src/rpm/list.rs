//! The listing of RPMs.

use toji_value::Value;

use crate::{QueryOpts, Result, Select, Tx};

/// Which RPMs are wanted; everything that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this build.
    pub build: Option<i64>,
    /// Made in this buildroot.
    pub buildroot: Option<i64>,
    /// Installed in this buildroot.
    pub component_of: Option<i64>,
    /// Part of this image.
    pub image: Option<i64>,
    /// Made on this host.
    pub host: Option<i64>,
    /// Of one of these arches.
    pub arches: Option<Vec<String>>,
    /// Whether RPMs of drafts are wanted, or the others.
    pub draft: Option<bool>,
}

/// RPMs as the options want them.
pub async fn list(tx: &mut Tx, filter: Filter, opts: &QueryOpts) -> Result<Value> {
    let mut select = Select::from("rpminfo").fields(&[
        ("rpminfo.arch", "arch"),
        ("rpminfo.build_id", "build_id"),
        ("rpminfo.buildroot_id", "buildroot_id"),
        ("rpminfo.buildtime", "buildtime"),
    ]);
    if filter.component_of.is_some() {
        select = select.field("buildroot_listing.buildroot_id", "component_buildroot_id");
    }
    select = select.fields(&[
        ("rpminfo.draft", "draft"),
        ("rpminfo.epoch", "epoch"),
        ("rpminfo.external_repo_id", "external_repo_id"),
        ("external_repo.name", "external_repo_name"),
        ("rpminfo.extra", "extra:json"),
        ("rpminfo.id", "id"),
    ]);
    if filter.component_of.is_some() {
        select = select.field("buildroot_listing.is_update", "is_update");
    }
    select = select
        .fields(&[
            ("rpminfo.metadata_only", "metadata_only"),
            ("rpminfo.name", "name"),
            ("rpminfo.name || '-' || rpminfo.version || '-' || rpminfo.release", "nvr"),
            ("rpminfo.payloadhash", "payloadhash"),
            ("rpminfo.release", "release"),
            ("rpminfo.size", "size"),
            ("rpminfo.version", "version"),
        ])
        .join("LEFT JOIN external_repo ON rpminfo.external_repo_id = external_repo.id")
        .opts(opts)
        .filter_opt("rpminfo.build_id = ?", filter.build)
        .filter_opt("rpminfo.buildroot_id = ?", filter.buildroot)
        .filter_opt("rpminfo.arch = ANY(?)", filter.arches);
    if let Some(buildroot) = filter.component_of {
        select = select
            .join("buildroot_listing ON rpminfo.id = buildroot_listing.rpm_id")
            .filter("buildroot_listing.buildroot_id = ?", buildroot);
    }
    if let Some(image) = filter.image {
        select = select
            .join("archive_rpm_components ON rpminfo.id = archive_rpm_components.rpm_id")
            .filter("archive_rpm_components.archive_id = ?", image);
    }
    if let Some(host) = filter.host {
        select = select
            .join("standard_buildroot ON rpminfo.buildroot_id = standard_buildroot.buildroot_id")
            .filter("standard_buildroot.host_id = ?", host);
    }
    select = match filter.draft {
        Some(true) => select.filter_text("rpminfo.draft IS TRUE"),
        Some(false) => select.filter_text("rpminfo.draft IS NOT TRUE"),
        None => select,
    };
    select.fetch(tx).await
}
