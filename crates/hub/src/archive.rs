//! Archives: what is known of them, where their files are, and what is in these.

pub mod file;
pub mod import;
pub mod kind;
pub mod maven;
pub mod pom;
pub mod used;

use std::path::PathBuf;

use toji_db::archive as db;
use toji_store::contents::{self, Container, Member};
use toji_types::path::MavenRef;
use toji_value::{Fault, Map, Value, map};

use crate::build::Build;
use crate::lookup::fit;
use crate::{Call, build, files};

/// An archive with what its type adds, as `getArchive` shows it.
///
/// # Errors
/// When the database fails.
pub async fn get(call: &mut Call, id: i64) -> Result<Option<Map>, Fault> {
    let id = fit(id);
    let Some(row) = db::get(&mut call.tx, id).await? else { return Ok(None) };
    let mut shown = row.into_map();
    let maven = db::maven_archive(&mut call.tx, id).await?;
    let win = db::win_archive(&mut call.tx, id).await?;
    let image = db::image_archive(&mut call.tx, id).await?;
    for row in [maven, win, image].into_iter().flatten() {
        let mut more = row.into_map();
        more.remove("archive_id");
        shown.extend(more);
    }
    Ok(Some(shown))
}

/// An archive that must exist.
///
/// # Errors
/// A generic fault when there is none.
pub async fn need(call: &mut Call, id: i64) -> Result<Map, Fault> {
    get(call, id).await?.ok_or_else(|| Fault::generic(format!("No such archive: {id}")))
}

/// The file of an archive.
///
/// # Errors
/// When a part of its place is missing.
pub fn path(call: &Call, build: &Build, archive: &Map) -> Result<PathBuf, Fault> {
    let part = |key: &str| {
        let missing = || Fault::generic("query returned no rows");
        archive.str(key).ok_or_else(missing)
    };
    let (btype, filename) = (part("btype")?, part("filename")?);
    let paths = &call.hub.paths;
    let within = match btype {
        "maven" => {
            let maven = MavenRef {
                group_id: part("group_id")?,
                artifact_id: part("artifact_id")?,
                version: part("version")?,
            };
            paths.mavenfile(maven, filename)
        }
        "win" => paths.winfile(Some(part("relpath")?), filename),
        _ => filename.to_owned(),
    };
    Ok(format!("{}/{within}", paths.typedir(build.at(), btype)).into())
}

/// The files in an archive, as `listArchiveFiles` shows them.
///
/// # Errors
/// When the archive does not exist or is broken; with `strict` also for one that has no files.
pub async fn list(call: &mut Call, id: i64, strict: bool) -> Result<Vec<Value>, Fault> {
    let archive = need(call, id).await?;
    let build = build::need(call, archive.value("build_id")).await?;
    let path = path(call, &build, &archive)?;
    let container = match archive.str("compression_type") {
        Some("zip") => Container::Zip,
        Some("tar") => Container::Tar,
        _ if strict => {
            let name = archive.value("type_name").display();
            return Err(Fault::generic(format!("Unsupported archive type: {name}")));
        }
        _ => return Ok(Vec::new()),
    };
    // A Koji hub answers a broken file with an error of its own (code 1).
    let store = call.hub.store.clone();
    let listed = files::blocking(move || match store.open(&path) {
        Ok(file) => contents::members_of(file, &path, container),
        Err(error) if error.is_missing() => Ok(Vec::new()),
        Err(error) => Err(error),
    })
    .await;
    let listed = listed.map_err(|fault| Fault::unexpected(fault.message))?;
    Ok(listed.into_iter().map(|member| shown(id, member).into()).collect())
}

fn shown(id: i64, member: Member) -> Map {
    let mut shown = map! {
        "archive_id" => id, "name" => member.name, "size" => member.size, "mtime" => member.mtime,
    };
    if let Some(unix) = member.unix {
        shown.insert("mode", unix.mode);
        shown.insert("user", unix.user);
        shown.insert("group", unix.group);
    }
    shown
}
