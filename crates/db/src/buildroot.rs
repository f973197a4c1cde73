//! Buildroots: making, states, what is installed in them, and their listing.

use toji_types::{BrState, BrType};
use toji_value::Value;

use crate::{QueryOpts, Result, Row, Select, Tx, params, sql};

/// Whether there is such a buildroot.
pub async fn exists(tx: &mut Tx, id: i64) -> Result<bool> {
    let sql = "SELECT id FROM buildroot WHERE id = $1";
    Ok(tx.query_opt(sql, params![id]).await?.is_some())
}

/// The newest buildroot of a task.
pub async fn newest_of_task(tx: &mut Tx, task: i64) -> Result<Option<i64>> {
    let sql = "SELECT max(buildroot_id) AS id FROM standard_buildroot WHERE task_id = $1";
    tx.scalar(sql, params![task]).await
}

/// A buildroot with what is known of it if builders of this system manage it, locked.
pub async fn lock(tx: &mut Tx, id: i64) -> Result<Option<Row>> {
    let sql = "SELECT buildroot.id AS id, buildroot.br_type AS br_type, s.host_id AS host_id,
                      s.task_id AS task_id, s.state AS state, repo.tag_id AS tag_id
                 FROM buildroot
                 LEFT JOIN standard_buildroot s ON s.buildroot_id = buildroot.id
                 LEFT JOIN repo ON repo.id = s.repo_id
                WHERE buildroot.id = $1 FOR UPDATE OF buildroot";
    tx.query_opt(sql, params![id]).await
}

/// Makes a buildroot of a task on a host and returns its number.
pub async fn insert(
    tx: &mut Tx,
    host_id: i64,
    repo_id: i64,
    task_id: i64,
    arch: &str,
) -> Result<i64> {
    let event = crate::versioned::event(tx).await?;
    let id: i64 = tx
        .scalar(
            "INSERT INTO buildroot (br_type, container_type, container_arch)
             VALUES ($1, 'chroot', $2) RETURNING id",
            params![BrType::Standard.number(), arch],
        )
        .await?;
    tx.execute(
        "INSERT INTO standard_buildroot
                (buildroot_id, host_id, repo_id, task_id, state, create_event)
         VALUES ($1, $2, $3, $4, $5, $6)",
        params![id, host_id, repo_id, task_id, BrState::Init.number(), event],
    )
    .await?;
    Ok(id)
}

/// Sets the state of a buildroot; one that expires gets its event of retirement.
pub async fn set_state(tx: &mut Tx, id: i64, state: BrState) -> Result<()> {
    if state == BrState::Expired {
        let event = crate::versioned::event(tx).await?;
        let sql = "UPDATE standard_buildroot SET state = $2, retire_event = $3
                    WHERE buildroot_id = $1";
        return tx.execute(sql, params![id, state.number(), event]).await.map(drop);
    }
    let sql = "UPDATE standard_buildroot SET state = $2 WHERE buildroot_id = $1";
    tx.execute(sql, params![id, state.number()]).await.map(drop)
}

/// An RPM of an external repository.
#[derive(Clone, Debug)]
pub struct ExternalRpm<'a> {
    /// The repository.
    pub repo_id: i64,
    /// Name.
    pub name: &'a str,
    /// Version.
    pub version: &'a str,
    /// Release.
    pub release: &'a str,
    /// Epoch.
    pub epoch: Option<i64>,
    /// Arch.
    pub arch: &'a str,
    /// MD5 of header and payload.
    pub payloadhash: &'a str,
    /// Size in bytes.
    pub size: i64,
    /// When it was built, seconds since 1970.
    pub buildtime: i64,
}

/// Enters an RPM of an external repository; nothing if there is one of its name already.
pub async fn insert_external(tx: &mut Tx, rpm: &ExternalRpm<'_>) -> Result<Option<i64>> {
    tx.scalar_opt(
        "INSERT INTO rpminfo (external_repo_id, name, version, release, epoch, arch, payloadhash,
                              size, buildtime)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING id",
        params![
            rpm.repo_id,
            rpm.name,
            rpm.version,
            rpm.release,
            rpm.epoch,
            rpm.arch,
            rpm.payloadhash,
            rpm.size,
            rpm.buildtime
        ],
    )
    .await
}

/// A content generator's buildroot.
#[derive(Clone, Debug, Default)]
pub struct External {
    /// The content generator.
    pub cg_id: i64,
    /// Its version.
    pub cg_version: String,
    /// What kind of container it was.
    pub container_type: String,
    /// Arch of the container.
    pub container_arch: String,
    /// Operating system of the host.
    pub host_os: String,
    /// Arch of the host.
    pub host_arch: String,
    /// Further data, as JSON text.
    pub extra: Option<String>,
}

/// Enters the buildroot of a content generator and returns its number.
pub async fn insert_of_generator(tx: &mut Tx, new: &External) -> Result<i64> {
    let row = [
        ("br_type", BrType::External.number().into()),
        ("cg_id", new.cg_id.into()),
        ("cg_version", (&new.cg_version).into()),
        ("container_type", (&new.container_type).into()),
        ("container_arch", (&new.container_arch).into()),
        ("host_os", (&new.host_os).into()),
        ("host_arch", (&new.host_arch).into()),
        ("extra", new.extra.as_deref().into()),
    ];
    crate::versioned::insert_id(tx, "buildroot", &row).await
}

/// Adds archives to what is in a buildroot; those that are there already are left as they are.
pub async fn add_archives(tx: &mut Tx, id: i64, archives: &[i64], project: bool) -> Result<()> {
    let sql = "INSERT INTO buildroot_archives (buildroot_id, archive_id, project_dep)
               SELECT $1::int, a.id, $3::bool FROM archiveinfo a
                WHERE a.id = ANY($2) AND NOT EXISTS (
                          SELECT 1 FROM buildroot_archives b
                           WHERE b.buildroot_id = $1::int AND b.archive_id = a.id)
                ORDER BY a.id";
    tx.execute(sql, params![id, archives, project]).await.map(drop)
}

/// Enters a tool of a buildroot with its version.
pub async fn add_tool(tx: &mut Tx, id: i64, tool: &str, version: &str) -> Result<()> {
    let row = [("buildroot_id", id.into()), ("tool", tool.into()), ("version", version.into())];
    crate::versioned::insert_row(tx, "buildroot_tools_info", &row).await
}

/// The repository that a buildroot was made from: `repo_id`, `tag_id`, `create_event`.
pub async fn repository(tx: &mut Tx, id: i64) -> Result<Option<Row>> {
    let sql = "SELECT repo.id AS repo_id, repo.tag_id AS tag_id, repo.create_event AS create_event
                 FROM standard_buildroot s JOIN repo ON repo.id = s.repo_id
                WHERE s.buildroot_id = $1";
    tx.query_opt(sql, params![id]).await
}

/// Adds RPMs to what is installed in a buildroot; those that are there already are left as they are.
pub async fn install(tx: &mut Tx, id: i64, rpms: &[i64], update: bool) -> Result<()> {
    let sql = "INSERT INTO buildroot_listing (buildroot_id, rpm_id, is_update)
               SELECT $1::int, rpminfo.id, $3::bool FROM rpminfo
                WHERE rpminfo.id = ANY($2) AND NOT EXISTS (
                          SELECT 1 FROM buildroot_listing b
                           WHERE b.buildroot_id = $1::int AND b.rpm_id = rpminfo.id)
                ORDER BY rpminfo.id";
    tx.execute(sql, params![id, rpms, update]).await.map(drop)
}

/// What is installed in a buildroot.
pub async fn installed(tx: &mut Tx, id: i64) -> Result<Vec<Value>> {
    tx.maps(
        "SELECT rpminfo.arch AS arch, rpminfo.build_id AS build_id, rpminfo.draft AS draft,
                rpminfo.epoch AS epoch, rpminfo.external_repo_id AS external_repo_id,
                external_repo.name AS external_repo_name,
                buildroot_listing.is_update AS is_update, rpminfo.name AS name,
                rpminfo.release AS release, buildroot_listing.rpm_id AS rpm_id,
                rpminfo.version AS version
           FROM buildroot_listing
           JOIN rpminfo ON buildroot_listing.rpm_id = rpminfo.id
           JOIN external_repo ON rpminfo.external_repo_id = external_repo.id
          WHERE buildroot_listing.buildroot_id = $1
          ORDER BY buildroot_listing.rpm_id",
        params![id],
    )
    .await
}

/// Which buildroots are wanted; everything that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// One of these.
    pub ids: Option<Vec<i64>>,
    /// On this host.
    pub host: Option<i64>,
    /// Made from repositories of this tag.
    pub tag: Option<i64>,
    /// In one of these states.
    pub states: Option<Vec<i64>>,
    /// With this RPM.
    pub rpm: Option<i64>,
    /// With this archive.
    pub archive: Option<i64>,
    /// Of this task.
    pub task: Option<i64>,
    /// Made from this repository.
    pub repo: Option<i64>,
}

impl Filter {
    /// Whether content, task or repository are asked for, which few buildroots match.
    pub fn is_narrow(&self) -> bool {
        [self.rpm, self.archive, self.task, self.repo].iter().any(Option::is_some)
    }
}

/// Buildroots as the options want them.
pub async fn list(tx: &mut Tx, filter: Filter, opts: &QueryOpts) -> Result<Value> {
    // A condition on what only a task's buildroot has leaves no others; said to the planner, it begins there.
    let of_tasks = filter.host.is_some()
        || filter.tag.is_some()
        || filter.states.is_some()
        || filter.task.is_some()
        || filter.repo.is_some();
    let side = if of_tasks { "JOIN" } else { "LEFT JOIN" };
    let mut select = Select::from("buildroot");
    // The first joins are those to begin with.
    if let Some(rpm) = filter.rpm {
        let text = "buildroot_listing AS listed
                      ON listed.buildroot_id = buildroot.id AND listed.rpm_id = ?";
        select = select.join_with(text, vec![rpm.into()]);
    }
    if let Some(archive) = filter.archive {
        let text = "buildroot_archives AS used
                      ON used.buildroot_id = buildroot.id AND used.archive_id = ?";
        select = select.join_with(text, vec![archive.into()]);
    }
    select
        .fields(&[
            ("buildroot.container_arch", "arch"),
            ("buildroot.br_type", "br_type"),
            ("buildroot.cg_id", "cg_id"),
            ("content_generator.name", "cg_name"),
            ("buildroot.cg_version", "cg_version"),
            ("buildroot.container_arch", "container_arch"),
            ("buildroot.container_type", "container_type"),
            ("create_events.id", "create_event_id"),
            ("create_events.time", "create_event_time"),
            ("date_part('epoch', create_events.time)", "create_ts"),
            ("buildroot.extra", "extra:json"),
            ("buildroot.host_arch", "host_arch"),
            ("host.id", "host_id"),
            ("host.name", "host_name"),
            ("buildroot.host_os", "host_os"),
            ("buildroot.id", "id"),
            ("repo_create.id", "repo_create_event_id"),
            ("repo_create.time", "repo_create_event_time"),
            ("repo.id", "repo_id"),
            ("repo.state", "repo_state"),
            ("retire_events.id", "retire_event_id"),
            ("retire_events.time", "retire_event_time"),
            ("date_part('epoch', retire_events.time)", "retire_ts"),
            ("standard_buildroot.state", "state"),
            ("tag.id", "tag_id"),
            ("tag.name", "tag_name"),
            ("standard_buildroot.task_id", "task_id"),
        ])
        .join(sql![side, " standard_buildroot ON standard_buildroot.buildroot_id = buildroot.id"])
        .join("LEFT JOIN content_generator ON buildroot.cg_id = content_generator.id")
        .join(sql![side, " host ON host.id = standard_buildroot.host_id"])
        .join(sql![side, " repo ON repo.id = standard_buildroot.repo_id"])
        .join(sql![side, " tag ON tag.id = repo.tag_id"])
        .join(
            "LEFT JOIN events AS create_events
                 ON create_events.id = standard_buildroot.create_event",
        )
        .join(
            "LEFT JOIN events AS retire_events
                 ON retire_events.id = standard_buildroot.retire_event",
        )
        .join("LEFT JOIN events AS repo_create ON repo_create.id = repo.create_event")
        .filter_opt("buildroot.id = ANY(?)", filter.ids)
        .filter_opt("host.id = ?", filter.host)
        .filter_opt("tag.id = ?", filter.tag)
        .filter_opt("standard_buildroot.state = ANY(?)", filter.states)
        .filter_opt("standard_buildroot.task_id = ?", filter.task)
        .filter_opt("standard_buildroot.repo_id = ?", filter.repo)
        .opts(opts)
        .fetch(tx)
        .await
}
