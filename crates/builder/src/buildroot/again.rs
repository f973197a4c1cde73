//! A room like an earlier one: its packages by their lockfile, and who was said to have built there.

use toji_client::args;
use toji_types::Lockfile;
use toji_value::list;

use super::settings::Makers;
use crate::context::Context;
use crate::failure::{Failure, Result};

/// What is known of an earlier buildroot.
pub(super) struct Earlier {
    pub(super) lockfile: Lockfile,
    /// As its packages say; nothing if it has made none.
    pub(super) makers: Option<Makers>,
}

/// What the hub knows of a buildroot; nothing if it keeps no lockfile of it.
///
/// # Errors
/// When there is one that cannot be read.
pub(super) async fn find(task: &Context, root: i64) -> Result<Option<Earlier>> {
    let found = task.call("solve.lockfile", (root,)).await?;
    let Some(text) = found.get("lockfile").as_str() else { return Ok(None) };
    let lockfile = Lockfile::from_json(text).map_err(Failure::local("read the lockfile"))?;
    Ok(Some(Earlier { lockfile, makers: makers(task, root).await? }))
}

async fn makers(task: &Context, root: i64) -> Result<Option<Makers>> {
    let rpms = task.call("listRPMs", args!(; "buildrootID" => root)).await?;
    let first =
        rpms.as_array().and_then(|rpms| rpms.first()).and_then(|rpm| rpm.get("id").as_int());
    let Some(rpm) = first else { return Ok(None) };
    let names = list!["PACKAGER", "VENDOR", "DISTRIBUTION"];
    let said = task.call("getRPMHeaders", args!(; "rpmID" => rpm, "headers" => names)).await?;
    let text = |name: &str| said.get(name).as_str().unwrap_or_default().to_owned();
    let (packager, vendor, distribution) = (text("PACKAGER"), text("VENDOR"), text("DISTRIBUTION"));
    Ok(Some(Makers { packager, vendor, distribution }))
}
