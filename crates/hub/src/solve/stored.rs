//! Lockfiles of buildroots: stored by whoever fills them, read by everybody.

use std::io::Read;

use sha2::{Digest, Sha256};
use toji_db::{Row, lockfile as db};
use toji_repodata::{Compression, decoder, pack};
use toji_types::arch::canonical;
use toji_types::{BrState, Lockfile};
use toji_value::{Fault, Value, map};

use crate::{Call, buildroot};

/// Longest lockfile that is taken, in bytes; a package needs about 400.
const LENGTH: usize = 16 << 20;

/// How the text is kept.
const KEPT: Compression = Compression::Zstd(6);

/// Stores the lockfile by which the calling host has filled a buildroot of its task; its digest.
///
/// # Errors
/// `GenericError` for what is no lockfile, or one of another arch; `ActionNotAllowed` for a buildroot of others.
pub async fn set(call: &mut Call, id: i64, text: &str, task_id: i64) -> Result<String, Fault> {
    let state = buildroot::lock_own(call, id, Some(task_id)).await?;
    if state == BrState::Expired {
        return Err(Fault::generic(format!("buildroot {id} is EXPIRED")));
    }
    if text.len() > LENGTH {
        return Err(Fault::generic("the lockfile is too long"));
    }
    let lockfile = Lockfile::from_json(text).map_err(|e| Fault::generic(e.to_string()))?;
    keep(call, id, &lockfile, None).await
}

/// Keeps a lockfile as the one of a buildroot, planned at the event if there is one; its digest.
pub(super) async fn keep(
    call: &mut Call,
    id: i64,
    lockfile: &Lockfile,
    event: Option<i64>,
) -> Result<String, Fault> {
    let arch = db::arch(&mut call.tx, id).await?.unwrap_or_default();
    if canonical(&arch) != canonical(lockfile.arch()) {
        let other = lockfile.arch();
        return Err(Fault::generic(format!(
            "buildroot {id} is of {arch}, its lockfile of {other}"
        )));
    }
    // Written anew, so that the same list is the same text whoever sends it.
    let text = lockfile.to_json().map_err(|e| Fault::generic(e.to_string()))?;
    let data = pack(text.as_bytes(), KEPT).map_err(|e| Fault::unexpected(e.to_string()))?;
    let sha256 = hex::encode(Sha256::digest(&text));
    let digest = lockfile.digest();
    let kept = db::Lockfile {
        sha256: &sha256,
        digest: &digest,
        arch: lockfile.arch(),
        packages: lockfile.packages().len() as i64,
        data,
    };
    db::keep(&mut call.tx, &kept).await?;
    db::set(&mut call.tx, id, &sha256, event).await?;
    Ok(digest)
}

/// The answer to `solve.lockfile`.
pub async fn of_buildroot(call: &mut Call, id: i64) -> Result<Option<Value>, Fault> {
    db::of_buildroot(&mut call.tx, id).await?.map(|row| show(&row)).transpose()
}

/// The answer to `solve.lockfiles`.
pub async fn of_build(call: &mut Call, id: i64) -> Result<Vec<Value>, Fault> {
    db::of_build(&mut call.tx, id).await?.iter().map(show).collect()
}

fn show(row: &Row) -> Result<Value, Fault> {
    let data: Vec<u8> = row.get("data")?;
    let mut text = String::new();
    decoder("lockfile.zst", data.as_slice())
        .map_err(|e| Fault::unexpected(e.to_string()))?
        .take(LENGTH as u64)
        .read_to_string(&mut text)
        .map_err(|e| Fault::unexpected(e.to_string()))?;
    let field = |key: &str| row.value(key).clone();
    Ok(map! {
        "buildroot_id" => field("buildroot_id"),
        "task_id" => field("task_id"),
        "host_id" => field("host_id"),
        "arch" => field("arch"),
        "digest" => field("digest"),
        "sha256" => field("sha256"),
        "event" => field("event"),
        "planned" => field("planned").truthy(),
        "lockfile" => text,
    }
    .into())
}
