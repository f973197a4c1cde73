//! Finding things by name.

use toji_value::Value;

use crate::{Param, QueryOpts, Result, Select, Tx, sql};

/// What is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Packages.
    Package,
    /// Builds, by NVR.
    Build,
    /// Tags that are not deleted.
    Tag,
    /// Build targets that are not deleted.
    Target,
    /// Users, hosts' and groups included.
    User,
    /// Hosts.
    Host,
    /// RPMs, by file name.
    Rpm,
    /// Maven files, by file name or coordinates.
    Maven,
    /// Windows files, by path or file name.
    Win,
}

/// How terms are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// As LIKE understands them, in any case.
    Like,
    /// As a regular expression, in any case.
    Regexp,
    /// As they are.
    Exact,
}

const NVR: &str = "package.name || '-' || build.version || '-' || build.release";
const RPM: &str = "name || '-' || version || '-' || release || '.' || arch || '.rpm'";
const GAV: &str = "maven_archives.group_id || '-' || maven_archives.artifact_id || '-' ||
                   maven_archives.version";
const PATH: &str = "win_archives.relpath || '/' || archiveinfo.filename";

/// Finds things: `id`, `name`, as the options want.
pub async fn find(
    tx: &mut Tx,
    kind: Kind,
    how: Match,
    terms: &str,
    opts: &QueryOpts,
) -> Result<Value> {
    let test = match how {
        Match::Like => "ILIKE ?",
        Match::Regexp => "~* ?",
        Match::Exact => "= ?",
    };
    let named = |table: &'static str| Select::from(table).fields(&[("id", "id"), ("name", "name")]);
    let archives = || Select::from("archiveinfo").field("archiveinfo.id", "id");
    let (select, exprs) = match kind {
        Kind::Package => (named("package"), vec!["name"]),
        Kind::User => (named("users"), vec!["name"]),
        Kind::Host => (named("host"), vec!["name"]),
        Kind::Tag => {
            let select = named("tag")
                .join("tag_config ON tag_config.tag_id = tag.id")
                .filter_text("tag_config.active = TRUE");
            (select, vec!["name"])
        }
        Kind::Target => {
            let select = named("build_target")
                .join(
                    "build_target_config ON build_target_config.build_target_id = build_target.id",
                )
                .filter_text("build_target_config.active = TRUE");
            (select, vec!["name"])
        }
        Kind::Build => {
            let select = Select::from("build").fields(&[("build.id", "id"), (NVR, "name")]);
            (select.join("package ON package.id = build.pkg_id"), vec![NVR])
        }
        Kind::Rpm => (Select::from("rpminfo").fields(&[("id", "id"), (RPM, "name")]), vec![RPM]),
        Kind::Maven => {
            let select = archives()
                .field("archiveinfo.filename", "name")
                .join("maven_archives ON maven_archives.archive_id = archiveinfo.id");
            (select, vec!["archiveinfo.filename", GAV])
        }
        Kind::Win => {
            let shown = sql!["ltrim(", PATH, ", '/')"];
            let select = archives()
                .field(shown, "name")
                .join("win_archives ON win_archives.archive_id = archiveinfo.id");
            (select, vec!["archiveinfo.filename", PATH])
        }
    };
    let any = exprs.into_iter().map(|expr| (sql![expr, " ", test], vec![Param::from(terms)]));
    let any = any.collect();
    select.filter_any(any).order_default("id").opts(opts).fetch(tx).await
}
