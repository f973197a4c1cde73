//! Hosts: finding them, and what they are configured to do.

use toji_db::host::{self, Config};
use toji_db::lookup::Names;
use toji_value::{Fault, Map, Value};

use crate::{Call, target};

/// A host.
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    /// The id.
    pub id: i64,
    /// The name.
    pub name: String,
    /// The user that it logs in as.
    pub user_id: i64,
    /// Its options.
    pub config: Config,
    /// The host as `getHost` shows it.
    pub shown: Map,
}

/// The host that a caller's value names, now or at an event; or nothing.
///
/// # Errors
/// `ParameterError` for a value that names nothing.
pub async fn find(
    call: &mut Call,
    info: &Value,
    event: Option<i64>,
) -> Result<Option<Host>, Fault> {
    let key = target::key(info)?;
    let row = host::find(&mut call.tx, &key, event).await?;
    row.map(|row| {
        Ok(Host {
            id: row.get("id")?,
            name: row.get("name")?,
            user_id: row.get("user_id")?,
            config: Config {
                arches: row.get("arches")?,
                capacity: row.get("capacity")?,
                description: row.get("description")?,
                comment: row.get("comment")?,
                enabled: row.get("enabled")?,
            },
            shown: row.into_map(),
        })
    })
    .transpose()
}

/// The host that a caller's value names, held until the end of the call; or nothing.
///
/// # Errors
/// `ParameterError` for a value that names nothing.
pub async fn hold(call: &mut Call, info: &Value) -> Result<Option<Host>, Fault> {
    match call.hold(Names::Host, info).await? {
        Some(entry) => find(call, &Value::Int(entry.id), None).await,
        None => Ok(None),
    }
}

/// The fault for a value that names no host.
pub fn missing(info: &Value) -> Fault {
    Fault::generic(format!("Invalid hostInfo: {}", info.display()))
}

/// The host that a caller's value names, now or at an event.
///
/// # Errors
/// `GenericError` when there is none.
pub async fn need(call: &mut Call, info: &Value, event: Option<i64>) -> Result<Host, Fault> {
    find(call, info, event).await?.ok_or_else(|| missing(info))
}
