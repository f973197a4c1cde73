//! The points of a backup: each a directory with a description, a list of files and a database.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toji_db::{Engine, Time};
use toji_store::vault::Vault;
use toji_store::{Algorithm, Error, Result, write_durably};

const DIR: &str = "points";
const FILE: &str = "point.json";
/// The longest description that is read, in bytes.
const LONGEST: u64 = 16 << 20;

/// A file of a point.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its name in the point's directory.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// SHA-256 of it.
    pub sha256: String,
}

/// A volume at the time of a point.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// Whether it was in an object store.
    pub remote: bool,
}

/// A file that a point's database has and that was not there, or not right, when the point was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// The path below the top directory.
    pub path: String,
    /// The name of what is wrong, as fsck has it.
    pub kind: String,
    /// More about it.
    pub detail: String,
}

/// A point.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The moment of its database, which is its name: `20261123T114012Z`.
    pub id: String,
    /// The moment in seconds since 1970.
    pub moment: f64,
    /// The version of the program that has taken it.
    pub version: String,
    /// `sqlite` or `postgres`.
    pub engine: String,
    /// Where the store was.
    pub topdir: String,
    /// Its volumes.
    pub volumes: Vec<Place>,
    /// The database: an SQLite file compressed with zstd, or an archive of `pg_dump`.
    pub database: Part,
    /// The list of files.
    pub manifest: Part,
    /// Files in the list.
    pub files: u64,
    /// The length of their contents, in bytes.
    pub bytes: u64,
    /// Links in the list.
    pub links: u64,
    /// Files in the list whose contents are in buckets alone.
    pub elsewhere: u64,
    /// Contents that no earlier point has.
    pub new_files: u64,
    /// Their length in bytes.
    pub new_bytes: u64,
    /// How often the database had to be taken anew because files had gone meanwhile.
    pub rounds: u64,
    /// Whether results of tasks, scratch builds and uploads are in it.
    pub tasks: bool,
    /// What was wrong with the store.
    pub damages: Vec<Damage>,
}

impl Point {
    /// The name of the engine.
    pub(super) fn engine_name(engine: Engine) -> &'static str {
        match engine {
            Engine::Sqlite => "sqlite",
            Engine::Postgres => "postgres",
        }
    }

    /// Which engine the database is for.
    pub fn engine(&self) -> Engine {
        if self.engine == "sqlite" { Engine::Sqlite } else { Engine::Postgres }
    }

    /// The directory of it.
    pub fn dir(&self, vault: &Vault) -> PathBuf {
        dir(vault).join(&self.id)
    }

    /// A file of it, whose content is what it was.
    ///
    /// # Errors
    /// [`Error::Digest`] when it is not.
    pub fn part(&self, vault: &Vault, part: &Part) -> Result<PathBuf> {
        let path = self.dir(vault).join(toji_store::join(&[&part.name])?);
        let (sums, _) = toji_store::hash(&path, &[Algorithm::Sha256])?;
        if sums != [part.sha256.as_str()] {
            return Err(Error::Digest {
                path: path.display().to_string(),
                expected: part.sha256.clone(),
                found: sums.concat(),
            });
        }
        Ok(path)
    }
}

/// Where points are.
pub(super) fn dir(vault: &Vault) -> PathBuf {
    vault.dir().join(DIR)
}

/// What a file of a point is.
pub(super) fn describe(dir: &Path, name: &str) -> Result<Part> {
    let (sums, size) = toji_store::hash(&dir.join(name), &[Algorithm::Sha256])?;
    Ok(Part { name: name.to_owned(), size, sha256: sums.concat() })
}

/// The directory that a point is made in.
pub(super) fn begin(vault: &Vault) -> Result<PathBuf> {
    clean(vault)?;
    let making = dir(vault).join(".making");
    fs::create_dir_all(&making).map_err(Error::io(&making))?;
    Ok(making)
}

/// Removes what interrupted backups and removals have left beside the points.
pub(super) fn clean(vault: &Vault) -> Result<()> {
    let dir = dir(vault);
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::io(&dir)(e)),
    };
    for entry in entries {
        let entry = entry.map_err(Error::io(&dir))?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            toji_store::remove_tree(&entry.path())?;
        }
    }
    Ok(())
}

/// The name of a moment that no point has yet.
pub(super) fn name(vault: &Vault, moment: f64) -> Result<String> {
    let time =
        Time::from_epoch(moment).map_err(|e| Error::io("clock")(std::io::Error::other(e)))?;
    let digits: String = time.to_text().chars().take(19).filter(char::is_ascii_digit).collect();
    let (date, clock) = digits.split_at_checked(8).unwrap_or((&digits, ""));
    let plain = format!("{date}T{clock}Z");
    let mut id = plain.clone();
    for number in 2.. {
        if !dir(vault).join(&id).exists() {
            break;
        }
        id = format!("{plain}-{number}");
    }
    Ok(id)
}

/// Makes what is in the directory a point; until now there is none.
pub(super) fn finish(vault: &Vault, making: &Path, point: &Point) -> Result<()> {
    let file = making.join(FILE);
    let text = serde_json::to_vec_pretty(point).map_err(|e| Error::io(&file)(e.into()))?;
    write_durably(&file, &text)?;
    // All that it needs is on the disk before it has its name.
    vault.sync()?;
    let to = point.dir(vault);
    fs::rename(making, &to).map_err(Error::io(&to))?;
    vault.sync()
}

/// Removes points; what they were made of stays.
pub(super) fn remove(vault: &Vault, point: &Point) -> Result<()> {
    let (from, to) = (point.dir(vault), dir(vault).join(format!(".gone-{}", point.id)));
    fs::rename(&from, &to).map_err(Error::io(&from))?;
    toji_store::remove_tree(&to)
}

/// All points, the oldest first.
///
/// # Errors
/// When one cannot be read.
pub fn points(vault: &Vault) -> Result<Vec<Point>> {
    let dir = dir(vault);
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io(&dir)(e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(Error::io(&dir))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let file = path.join(FILE);
        let io = |e| Error::io(&file)(e);
        let mut text = Vec::new();
        let opened = fs::File::open(&file).map_err(io)?;
        std::io::Read::read_to_end(&mut std::io::Read::take(opened, LONGEST), &mut text)
            .map_err(io)?;
        let point: Point = serde_json::from_slice(&text).map_err(|e| io(e.into()))?;
        if point.id != name {
            return Err(io(std::io::Error::other("it is of another point")));
        }
        found.push(point);
    }
    found.sort_by(|a, b| a.moment.total_cmp(&b.moment).then_with(|| a.id.cmp(&b.id)));
    Ok(found)
}

/// The point of this name, or the newest.
///
/// # Errors
/// When there is none.
pub fn newest(vault: &Vault, id: Option<&str>) -> Result<Point> {
    let mut all = points(vault)?;
    let found = match id {
        None => all.pop(),
        Some(id) => all.into_iter().find(|point| point.id == id),
    };
    let words = || match id {
        None => "there is no point".to_owned(),
        Some(id) => format!("there is no point {id}"),
    };
    found.ok_or_else(|| Error::io(vault.dir())(std::io::Error::other(words())))
}
