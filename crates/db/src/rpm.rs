//! RPMs: look-ups, listing, imports, signatures and checksums.

mod list;
pub mod signature;
pub mod signer;

pub use list::{Filter, list};
pub use signature::{checksums, insert_checksum, insert_signature, sigkeys};

use crate::{Result, Row, Tx, params};

macro_rules! fields {
    () => {
        "rpminfo.arch AS arch, rpminfo.build_id AS build_id,
         rpminfo.buildroot_id AS buildroot_id, rpminfo.buildtime AS buildtime,
         rpminfo.draft AS draft, rpminfo.epoch AS epoch,
         rpminfo.external_repo_id AS external_repo_id,
         external_repo.name AS external_repo_name, rpminfo.extra AS \"extra:json\",
         rpminfo.id AS id, rpminfo.metadata_only AS metadata_only, rpminfo.name AS name,
         rpminfo.payloadhash AS payloadhash, rpminfo.release AS release, rpminfo.size AS size,
         rpminfo.version AS version
         FROM rpminfo JOIN external_repo ON rpminfo.external_repo_id = external_repo.id"
    };
}

/// RPMs by number, one or none.
pub async fn by_id(tx: &mut Tx, id: i64) -> Result<Vec<Row>> {
    tx.query(concat!("SELECT ", fields!(), " WHERE rpminfo.id = $1"), params![id]).await
}

/// RPMs by number, several at once.
pub async fn by_ids(tx: &mut Tx, ids: &[i64]) -> Result<Vec<Row>> {
    tx.query(concat!("SELECT ", fields!(), " WHERE rpminfo.id = ANY($1)"), params![ids]).await
}

/// RPMs by name, version, release and arch, optionally of one external repository.
pub async fn by_nvra(
    tx: &mut Tx,
    nvra: (&str, &str, &str, &str),
    external: Option<i64>,
) -> Result<Vec<Row>> {
    let sql = concat!(
        "SELECT ",
        fields!(),
        " WHERE rpminfo.name = $1 AND rpminfo.version = $2 AND rpminfo.release = $3
            AND rpminfo.arch = $4
            AND ($5::int IS NULL OR rpminfo.external_repo_id = $5::int) ORDER BY rpminfo.id"
    );
    let (name, version, release, arch) = nvra;
    tx.query(sql, params![name, version, release, arch, external]).await
}

/// RPMs with one of these names, versions and releases: `id`, `name`, `version`, `release`,
/// `epoch`, `arch`, `draft`, `external_repo_id`, `payloadhash`.
pub async fn candidates(
    tx: &mut Tx,
    names: &[String],
    versions: &[String],
    releases: &[String],
) -> Result<Vec<Row>> {
    let sql = "SELECT id, name, version, release, epoch, arch, draft, external_repo_id, payloadhash
                 FROM rpminfo
                WHERE name = ANY($1) AND version = ANY($2) AND release = ANY($3) ORDER BY id";
    tx.query(sql, params![names, versions, releases]).await
}

/// The digests that an RPM's signature header states, in hexadecimal.
///
/// `payloadhash` is the first of them that there is: RPM 6 packages have no MD5.
#[derive(Clone, Debug, Default)]
pub struct Digests {
    /// MD5 of header and payload.
    pub sigmd5: Option<String>,
    /// SHA-1 of the main header.
    pub sha1header: Option<String>,
    /// SHA-256 of the main header.
    pub sha256header: Option<String>,
    /// SHA3-256 of the main header.
    pub sha3_256header: Option<String>,
}

/// An RPM to be entered.
#[derive(Clone, Debug, Default)]
pub struct New {
    /// Its build.
    pub build_id: i64,
    /// The buildroot that it was made in.
    pub buildroot_id: Option<i64>,
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Release, never with a draft's suffix.
    pub release: String,
    /// Epoch.
    pub epoch: Option<i64>,
    /// Arch; `src` for a source package.
    pub arch: String,
    /// Whether its build is a draft.
    pub draft: bool,
    /// What tells its content from others (see [`Digests`]).
    pub payloadhash: String,
    /// The digests that the signature header states.
    pub digests: Digests,
    /// Size of the file in bytes.
    pub size: i64,
    /// When it was built, seconds since 1970.
    pub buildtime: i64,
    /// Further data, as JSON text.
    pub extra: Option<String>,
}

/// Enters an RPM of this system and returns its number.
pub async fn insert(tx: &mut Tx, new: &New) -> Result<i64> {
    tx.scalar(
        "INSERT INTO rpminfo (build_id, buildroot_id, name, version, release, epoch, arch, draft,
                              external_repo_id, payloadhash, size, buildtime, extra, sigmd5,
                              sha1header, sha256header, sha3_256header)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, $10, $11, $12, $13, $14, $15, $16)
         RETURNING id",
        params![
            new.build_id,
            new.buildroot_id,
            &new.name,
            &new.version,
            &new.release,
            new.epoch,
            &new.arch,
            new.draft,
            &new.payloadhash,
            new.size,
            new.buildtime,
            new.extra.as_deref(),
            new.digests.sigmd5.as_ref(),
            new.digests.sha1header.as_ref(),
            new.digests.sha256header.as_ref(),
            new.digests.sha3_256header.as_ref()
        ],
    )
    .await
}

/// Stores a piece of repository metadata of an RPM; `data` is compressed.
pub async fn insert_fragment(tx: &mut Tx, rpm: i64, kind: &str, data: Vec<u8>) -> Result<()> {
    let sql = "INSERT INTO toji_rpm_fragment (rpm_id, sigkey, kind, data) VALUES ($1, '', $2, $3)
               ON CONFLICT (rpm_id, sigkey, kind) DO UPDATE SET data = excluded.data";
    tx.execute(sql, params![rpm, kind, data]).await.map(drop)
}

/// Tags that hold a build, for telling them that its content changed.
pub async fn tags_of_build(tx: &mut Tx, build: i64) -> Result<Vec<i64>> {
    let sql = "SELECT tag_id FROM tag_listing WHERE build_id = $1 AND active = TRUE
                ORDER BY tag_id";
    let rows = tx.query(sql, params![build]).await?;
    rows.iter().map(|row| row.get("tag_id")).collect()
}

/// Records that a tag's content changed without a change of its rows.
pub async fn tag_updated(tx: &mut Tx, tag: i64, kind: i64, user: i64) -> Result<()> {
    let event = crate::versioned::event(tx).await?;
    let sql = "INSERT INTO tag_updates (tag_id, update_event, updater_id, update_type)
               VALUES ($1, $2, $3, $4)";
    tx.execute(sql, params![tag, event, user, kind]).await.map(drop)
}
