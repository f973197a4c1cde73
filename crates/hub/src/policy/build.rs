//! What policies and listings need to know of a build.

use toji_types::Nvr;
use toji_value::{Fault, Value};

use crate::Call;
use crate::lookup::fit;

/// A build, as far as policies look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// The id.
    pub id: i64,
    /// The package.
    pub package_id: i64,
    /// Name of the package.
    pub name: String,
    /// The version.
    pub version: String,
    /// The release.
    pub release: String,
    /// Whether it is a draft.
    pub draft: bool,
    /// The owner.
    pub owner_id: i64,
    /// Where its source came from.
    pub source: Option<String>,
    /// The task that made it.
    pub task_id: Option<i64>,
    /// Name of the volume that holds its files.
    pub volume_name: String,
}

/// The build that a caller names by id, NVR, or a struct with its parts; or nothing.
///
/// # Errors
/// `GenericError` for a value that names no build.
pub async fn build(call: &mut Call, info: &Value) -> Result<Option<Build>, Fault> {
    let tx = &mut call.tx;
    let row = match info {
        Value::Int(id) => toji_db::policy::build_by_id(tx, fit(*id)).await?,
        Value::Str(text) => {
            let nvr = Nvr::parse(text).map_err(|error| Fault::generic(error.to_string()))?;
            let Nvr { name, version, release, .. } = nvr;
            toji_db::policy::build_by_nvr(tx, &name, &version, &release).await?
        }
        Value::Struct(map) => match (map.str("name"), map.str("version"), map.str("release")) {
            (Some(name), Some(version), Some(release)) => {
                toji_db::policy::build_by_nvr(tx, name, version, release).await?
            }
            _ => return Err(Fault::generic("did not provide name, version, and release")),
        },
        other => {
            let kind = Value::from(format!("<class '{}'>", other.type_name())).display();
            return Err(Fault::generic(format!("Invalid type for argument: {kind}")));
        }
    };
    row.map(|row| {
        Ok(Build {
            id: row.get("id")?,
            package_id: row.get("package_id")?,
            name: row.get("name")?,
            version: row.get("version")?,
            release: row.get("release")?,
            draft: row.get("draft")?,
            owner_id: row.get("owner_id")?,
            source: row.get("source")?,
            task_id: row.get("task_id")?,
            volume_name: row.get("volume_name")?,
        })
    })
    .transpose()
}
