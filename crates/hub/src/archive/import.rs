//! Archives that are about to be imported: their type, their place, their rows.

use toji_db::archive as db;
use toji_types::ChecksumType;
use toji_value::{Fault, Map, Value, map};

use super::file::{self, Found};
use super::kind::Kind;
use super::pom::{self, Gav};
use crate::Call;
use crate::build::Build;
use crate::build::typed::lacks;
use crate::lookup::Entry;

/// What an archive is for its build type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Part of a Maven repository.
    Maven(Gav),
    /// Built for Windows.
    Win {
        /// Directory below that of the build.
        relpath: String,
        /// Platforms, between spaces.
        platforms: String,
        /// Flags, between spaces.
        flags: Option<String>,
    },
    /// An image.
    Image {
        /// Arch of the image.
        arch: String,
    },
    /// Of another type, which has no table of its own.
    Other {
        /// Directory below that of the type.
        subdir: Option<String>,
    },
}

/// Reads what a caller tells of an archive.
///
/// # Errors
/// When a member that the type needs is missing.
pub fn content(btype: &str, info: &Value, subdir: Option<&str>) -> Result<Content, Fault> {
    let need = |key: &str| match info.as_struct() {
        Some(map) => map.get(key).ok_or_else(|| lacks(key)),
        None => Err(Fault::unexpected(format!("the type info is no mapping: {}", info.repr()))),
    };
    Ok(match btype {
        "maven" => Content::Maven(Gav {
            group_id: need("group_id")?.display(),
            artifact_id: need("artifact_id")?.display(),
            version: need("version")?.display(),
        }),
        "win" => {
            let relpath = need("relpath")?.display();
            let platforms = words(need("platforms")?);
            let platforms = platforms.ok_or_else(|| Fault::build("no value for platforms"))?;
            let flags = words(need("flags")?);
            Content::Win { relpath: relpath.trim_matches('/').to_owned(), platforms, flags }
        }
        "image" => Content::Image { arch: need("arch")?.display() },
        _ => Content::Other { subdir: subdir.filter(|s| !s.is_empty()).map(str::to_owned) },
    })
}

/// The words of a list between spaces, or nothing for an empty one.
fn words(value: &Value) -> Option<String> {
    if !value.truthy() {
        return None;
    }
    Some(match value {
        Value::Array(words) => words.iter().map(Value::display).collect::<Vec<_>>().join(" "),
        one => one.display(),
    })
}

/// An archive that is about to be imported.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Name of the file.
    pub filename: String,
    /// Size in bytes.
    pub size: i64,
    /// The checksum that is stored with it.
    pub checksum: String,
    /// Type of that checksum.
    pub checksum_type: ChecksumType,
    /// The file; nothing where only the metadata are imported.
    pub file: Option<Found>,
    /// Type of the file.
    pub kind: Kind,
    /// Build type: id and name.
    pub btype: Entry,
    /// What it is for that type.
    pub content: Content,
    /// The buildroot that it was made in.
    pub buildroot_id: Option<i64>,
    /// What a content generator tells of it.
    pub extra: Option<Value>,
    /// RPMs in it.
    pub rpms: Vec<i64>,
    /// Archives in it.
    pub archives: Vec<i64>,
}

impl Incoming {
    /// An archive with the SHA-256 of its file.
    pub fn new(file: Found, kind: Kind, btype: Entry, content: Content) -> Self {
        Incoming {
            filename: file.name.clone(),
            size: file.size,
            checksum: file.sha256.clone(),
            checksum_type: ChecksumType::Sha256,
            file: Some(file),
            kind,
            btype,
            content,
            buildroot_id: None,
            extra: None,
            rpms: Vec::new(),
            archives: Vec::new(),
        }
    }

    /// Its directory, relative to that of its type in the build.
    ///
    /// # Errors
    /// For parts that lead out of the type's directory.
    pub fn dir(&self) -> Result<String, Fault> {
        match &self.content {
            Content::Maven(gav) => {
                let group = gav.group_id.replace('.', "/");
                file::plain(&format!("{group}/{}/{}", gav.artifact_id, gav.version))
            }
            Content::Win { relpath, .. } => file::plain(relpath),
            Content::Image { .. } => Ok(String::new()),
            Content::Other { subdir } => file::plain(subdir.as_deref().unwrap_or_default()),
        }
    }

    /// Refuses a Maven project file that tells other coordinates than the caller.
    ///
    /// # Errors
    /// `BuildError` when they differ.
    pub async fn check_pom(&self) -> Result<(), Fault> {
        let (Content::Maven(gav), "pom", Some(file)) =
            (&self.content, &*self.kind.name, &self.file)
        else {
            return Ok(());
        };
        let path = file.path.clone();
        let read = tokio::task::spawn_blocking(move || pom::read(&path)).await;
        let own = read.map_err(|_| Fault::unexpected("reading of a pom ended early"))??;
        let (own, label) = (own.label(), gav.label());
        if own != label {
            return Err(Fault::build(format!(
                "Maven info from .pom file ({own}) does not match user-supplied typeInfo ({label})"
            )));
        }
        if self.filename != format!("{}-{}.pom", gav.artifact_id, gav.version) {
            let name = &self.filename;
            return Err(Fault::build(format!(
                "Maven info ({label}) is not consistent with pom filename ({name})"
            )));
        }
        Ok(())
    }
}

/// The build types that callers name: id and name.
///
/// # Errors
/// `BuildError` for a type that does not exist.
pub async fn btype(call: &mut Call, name: &str) -> Result<Entry, Fault> {
    let found = call.find(toji_db::lookup::Names::Btype, &name.into()).await?;
    found.ok_or_else(|| Fault::build(format!("unsupported build type: {name}")))
}

/// Refuses a build that is not of a type.
///
/// # Errors
/// `ImportError`.
pub async fn check_type(call: &mut Call, build_id: i64, btype: &Entry) -> Result<(), Fault> {
    let known = toji_db::policy::build_types(&mut call.tx, build_id).await?;
    if known.contains(&btype.name) {
        return Ok(());
    }
    Err(Fault::import(format!("Build does not have type {}", btype.name)))
}

/// Enters the rows of an archive and returns its number.
///
/// # Errors
/// When the database fails.
pub async fn enter(call: &mut Call, build: &Build, new: &Incoming) -> Result<i64, Fault> {
    let build_id = build.id;
    let mut body: Map = map! {
        "build_id" => build_id, "buildroot_id" => new.buildroot_id,
        "btype" => &new.btype.name, "btype_id" => new.btype.id, "type_id" => new.kind.id,
        "type_name" => &new.kind.name, "filename" => &new.filename, "size" => new.size,
        "checksum" => &new.checksum, "checksum_type" => new.checksum_type.number(),
        "metadata_only" => new.file.is_none(), "extra" => new.extra.clone(),
    };
    call.callback("preImport", || told(build, new, body.clone())).await?;
    let tx = &mut call.tx;
    let row = db::New {
        type_id: new.kind.id,
        btype_id: new.btype.id,
        build_id,
        buildroot_id: new.buildroot_id,
        filename: new.filename.clone(),
        size: new.size,
        checksum: new.checksum.clone(),
        checksum_type: new.checksum_type.number(),
        metadata_only: new.file.is_none(),
        extra: new.extra.as_ref().map(crate::json::dumps),
    };
    let id = db::insert(tx, &row).await?;
    match &new.content {
        Content::Maven(gav) => db::insert_maven(tx, id, gav.parts()).await?,
        Content::Win { relpath, platforms, flags } => {
            db::insert_win(tx, id, relpath, platforms, flags.as_deref()).await?;
        }
        Content::Image { arch } => db::insert_image(tx, id, arch).await?,
        Content::Other { .. } => {}
    }
    if !new.rpms.is_empty() {
        db::add_rpms(tx, &[id], &new.rpms).await?;
    }
    if !new.archives.is_empty() {
        db::add_components(tx, id, &new.archives).await?;
    }
    body.insert("id", id);
    let mut said = body.clone();
    said.extend(map! {
        "package" => &build.name, "owner_id" => build.owner_id, "task_id" => build.task_id,
    });
    call.emit("archive.import", &format!("build:{build_id}"), said);
    if build.state == toji_types::BuildState::Complete {
        crate::statement::ask(call, build_id).await?;
    }
    call.callback("postImport", || told(build, new, body)).await?;
    Ok(id)
}

/// What plugins are told of the import of an archive.
fn told(build: &Build, new: &Incoming, archive: Map) -> Map {
    let filepath = new.file.as_ref().map(|file| file.path.display().to_string());
    map! {
        "type" => "archive", "archive" => archive, "build" => build.shown.clone(),
        "build_type" => &new.btype.name, "filepath" => filepath, "fileinfo" => Value::Nil,
    }
}
