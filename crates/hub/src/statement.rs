//! Statements about builds: SLSA provenance and a bill of materials, signed by the hub and kept with the build.
//!
//! A build that is completed asks for its statement in its own transaction; the statement is written afterwards, by
//! [`serve`], as often as it takes. What it says comes from the hub's own records and from the imported files: nothing
//! that a build uploads becomes a part of it unseen.

mod bill;
mod compose;
mod gather;
mod key;
mod write;

pub use key::open as open_key;
pub use write::{Writer, serve};

use toji_bus::Topic;
use toji_db::{Time, statement as sql};
use toji_types::BuildState;
use toji_value::{Fault, Value, map};

use crate::build::Build;
use crate::{Call, build};

/// Below the directory of a build.
const DIR: &str = "data/attestation";
/// The envelope with the provenance: a line of JSON.
const ENVELOPE: &str = "provenance.intoto.jsonl";
/// The bill of materials.
const BILL: &str = "sbom.spdx.json";
/// Larger files are not answered by calls; they are there to be fetched.
const MOST: i64 = 8 << 20;

/// Asks for the statement of a complete build: its files are new, or others than before.
pub(crate) async fn ask(call: &mut Call, build_id: i64) -> Result<(), Fault> {
    if call.hub.config.provenance_key.is_none() {
        return Ok(());
    }
    let now = Time::from_epoch(call.now())?;
    sql::ask(&mut call.tx, build_id, now).await?;
    call.signal(Topic::Statements);
    Ok(())
}

/// Follows a change of a build's state.
pub(crate) async fn follow(call: &mut Call, build: &Build, to: BuildState) -> Result<(), Fault> {
    match to {
        BuildState::Complete => ask(call, build.id).await,
        _ if build.state == BuildState::Complete => Ok(sql::forget(&mut call.tx, build.id).await?),
        _ => Ok(()),
    }
}

/// One of the two files of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The signed provenance.
    Envelope,
    /// The bill of materials.
    Bill,
}

/// The answer to `provenance.get` and `provenance.sbom`.
///
/// # Errors
/// `GenericError` when there is none and the caller is strict, and for a file that is not the one that was written.
pub(crate) async fn show(
    call: &mut Call,
    build: &Value,
    part: Part,
    strict: bool,
) -> Result<Value, Fault> {
    let build = build::need(call, build).await?;
    let row = sql::get(&mut call.tx, build.id).await?;
    let row = row.filter(|row| !row.value("sha256").is_nil());
    let Some(row) = row else {
        let text = format!("no statement about {} is written", build.nvr());
        return if strict { Err(Fault::generic(text)) } else { Ok(Value::Nil) };
    };
    let (name, size, sha256) = match part {
        Part::Envelope => (ENVELOPE, "size", "sha256"),
        Part::Bill => (BILL, "bill_size", "bill_sha256"),
    };
    let path = format!("{}/{DIR}/{name}", call.hub.paths.build(build.at()));
    let (size, sha256): (i64, String) = (row.get(size)?, row.get(sha256)?);
    let content = if size <= MOST { Some(read(call, path.clone(), &sha256).await?) } else { None };
    Ok(map! {
        "build_id" => build.id, "nvr" => build.nvr(), "due" => row.value("due").truthy(),
        "keyid" => row.value("keyid").clone(), "written" => row.value("written").clone(),
        "path" => build::import::relative(call, &path), "size" => size, "sha256" => sha256,
        "content" => content,
    }
    .into())
}

async fn read(call: &Call, path: String, sha256: &str) -> Result<String, Fault> {
    use sha2::{Digest as _, Sha256};
    let store = call.hub.store.clone();
    let bytes = crate::files::blocking(move || store.read(path.as_ref())).await?;
    let text = String::from_utf8(bytes);
    let text = text.map_err(|_| Fault::generic("the file of the statement is no text"))?;
    if hex::encode(Sha256::digest(&text)) != sha256 {
        return Err(Fault::generic("the file of the statement is not the one that was written"));
    }
    Ok(text)
}

/// The answer to `provenance.keys`.
///
/// # Errors
/// When the database fails.
pub(crate) async fn keys(call: &mut Call) -> Result<Vec<Value>, Fault> {
    let rows = sql::keys(&mut call.tx).await?;
    Ok(rows.into_iter().map(|row| row.into_map().into()).collect())
}

/// The public keys as one text in PEM, the one that was taken up last first.
///
/// # Errors
/// When the database fails.
pub async fn keys_as_pem(hub: &crate::Hub) -> Result<String, Fault> {
    let rows = sql::keys(&mut hub.db.begin()).await?;
    let texts: Vec<String> = rows.iter().map(|row| row.get("pem")).collect::<Result<_, _>>()?;
    Ok(texts.concat())
}

/// Has the statement of a build written anew, as with a new key.
///
/// # Errors
/// `GenericError` for a build without one: the hub does not vouch for what it has not seen completed.
pub(crate) async fn renew(call: &mut Call, build: &Value) -> Result<(), Fault> {
    let build = build::need(call, build).await?;
    if sql::get(&mut call.tx, build.id).await?.is_none() {
        let text = format!("{} was not completed under this hub", build.nvr());
        return Err(Fault::generic(text));
    }
    ask(call, build.id).await
}
