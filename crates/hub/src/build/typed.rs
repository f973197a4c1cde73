//! What makes a build one of Maven, Windows or an image.

use toji_db::{archive as db, build};
use toji_value::{Fault, Map, Value};

use crate::Call;
use crate::archive::pom::Gav;

/// The fault of a Koji hub for a member that is not there (its own error, code 1).
pub fn lacks(key: &str) -> Fault {
    Fault::unexpected(format!("'{key}' is missing"))
}

/// Refuses builds that are drafts.
///
/// # Errors
/// A generic fault for a draft.
pub fn reject_draft(draft: bool) -> Result<(), Fault> {
    if draft { Err(Fault::generic("Draft build not supported")) } else { Ok(()) }
}

fn mapping<'v>(info: &'v Value, name: &str) -> Result<&'v Map, Fault> {
    let kind = info.type_name();
    let wrong = || Fault::generic(format!("Invalid type for {name}: <class '{kind}'>"));
    info.as_struct().ok_or_else(wrong)
}

/// The Maven coordinates of a build.
///
/// # Errors
/// A generic fault for a build of another type.
pub async fn gav(call: &mut Call, id: i64) -> Result<Gav, Fault> {
    let missing = || Fault::generic(format!("no such maven build: {id}"));
    let row = db::maven_build(&mut call.tx, id).await?.ok_or_else(missing)?;
    Ok(Gav {
        group_id: row.get("group_id")?,
        artifact_id: row.get("artifact_id")?,
        version: row.get("version")?,
    })
}

/// Makes a build a Maven build; one that is must have the same coordinates.
///
/// # Errors
/// `BuildError` for other coordinates, a generic fault for incomplete ones.
pub async fn make_maven(call: &mut Call, id: i64, info: &Value) -> Result<(), Fault> {
    let info = mapping(info, "maven_info")?;
    const FIELDS: [&str; 3] = ["group_id", "artifact_id", "version"];
    if let Some(row) = db::maven_build(&mut call.tx, id).await? {
        for field in FIELDS {
            let known = row.value(field);
            let new = info.get(field).ok_or_else(|| lacks(field))?;
            if known != new {
                let (known, new) = (known.display(), new.display());
                let text = format!("{field} mismatch (current: {known}, new: {new})");
                return Err(Fault::build(text));
            }
        }
        return Ok(());
    }
    if info.is_empty() {
        return Err(Fault::generic("Maven info is empty"));
    }
    let mut parts = Vec::new();
    for field in FIELDS {
        let missing = || Fault::generic(format!("Maven info doesn't have mandatory '{field}' key"));
        parts.push(info.get(field).ok_or_else(missing)?.display());
    }
    let [group_id, artifact_id, version] = parts.try_into().unwrap_or_default();
    let gav = Gav { group_id, artifact_id, version };
    db::insert_maven_build(&mut call.tx, id, gav.parts()).await?;
    Ok(build::add_type(&mut call.tx, id, "maven").await?)
}

/// Makes a build a Windows build, or changes the platform of one.
///
/// # Errors
/// A generic fault without a platform.
pub async fn make_win(call: &mut Call, id: i64, info: &Value) -> Result<(), Fault> {
    let info = mapping(info, "win_info")?;
    if info.is_empty() {
        return Err(Fault::generic("Windows info is empty"));
    }
    let missing = || Fault::generic("Windows info doesn't have mandatory platform key");
    let platform = info.get("platform").ok_or_else(missing)?.display();
    match db::win_build(&mut call.tx, id).await? {
        Some(row) if row.value("platform").as_str() == Some(&platform) => Ok(()),
        Some(_) => Ok(db::set_platform(&mut call.tx, id, &platform).await?),
        None => {
            db::insert_win_build(&mut call.tx, id, &platform).await?;
            Ok(build::add_type(&mut call.tx, id, "win").await?)
        }
    }
}

/// Makes a build an image build.
///
/// # Errors
/// When the database fails.
pub async fn make_image(call: &mut Call, id: i64) -> Result<(), Fault> {
    db::insert_image_build(&mut call.tx, id).await?;
    Ok(build::add_type(&mut call.tx, id, "image").await?)
}

/// Makes a build one of any type.
///
/// # Errors
/// As the functions of the types.
pub async fn make(call: &mut Call, id: i64, btype: &str, info: &Value) -> Result<(), Fault> {
    match btype {
        "maven" => make_maven(call, id, info).await,
        "win" => make_win(call, id, info).await,
        "image" => make_image(call, id).await,
        other => Ok(build::add_type(&mut call.tx, id, other).await?),
    }
}
