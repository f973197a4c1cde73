//! The SQLite databases that old readers of repositories want, filled from the finished XML.
//!
//! Their tables are a file format (version 10 of yum's), not Toji's database.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};
use toji_repodata::reader::{
    Dependency, Filelists, FilelistsEntry, Other, OtherEntry, Primary, PrimaryEntry, ReadLimits,
};
use toji_repodata::{Compression, Part, Record, Summary, decoder};

use crate::error::At as _;
use crate::output::{Format, Staging, add_packed};
use crate::{Error, Result};

const VERSION: u32 = 10;

/// Makes a database of each file; returns their records.
pub(crate) fn add(
    staging: &Staging,
    format: &Format,
    compression: Compression,
    files: &[(Part, PathBuf, Summary)],
) -> Result<Vec<Record>> {
    let one = |(part, path, summary): &(Part, PathBuf, Summary)| -> Result<Record> {
        let database = staging.room().join(format!(".{}.sqlite", part.name()));
        fill(*part, path, &summary.checksum, &database)?;
        let names = (format!("{}_db", part.name()), format!("{}.sqlite", part.name()));
        let mut content = File::open(&database).at(&database)?;
        let names = (names.0.as_str(), names.1.as_str());
        let record = add_packed(staging, format, names, compression, &mut content)?;
        std::fs::remove_file(&database).at(&database)?;
        Ok(Record { database_version: Some(VERSION), ..record })
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = files.iter().map(|file| scope.spawn(move || one(file))).collect();
        let stopped = || Error::Request("a writer of databases stopped".to_owned());
        threads.into_iter().map(|t| t.join().unwrap_or_else(|_| Err(stopped()))).collect()
    })
}

fn fill(part: Part, xml: &Path, checksum: &str, database: &Path) -> Result<()> {
    let db = Connection::open(database)?;
    // a file that is thrown away if anything fails
    db.pragma_update(None, "journal_mode", "OFF")?;
    db.pragma_update(None, "synchronous", "OFF")?;
    let name = xml.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let file = BufReader::with_capacity(128 << 10, File::open(xml).at(xml)?);
    let source = BufReader::with_capacity(128 << 10, decoder(&name, file).at(xml)?);
    let (tables, indexes) = match part {
        Part::Primary => {
            (include_str!("sqlite/primary.sql"), include_str!("sqlite/primary_index.sql"))
        }
        Part::Filelists => {
            (include_str!("sqlite/filelists.sql"), include_str!("sqlite/filelists_index.sql"))
        }
        Part::Other => (include_str!("sqlite/other.sql"), include_str!("sqlite/other_index.sql")),
    };
    db.execute_batch(tables)?;
    db.execute_batch("BEGIN")?;
    match part {
        Part::Primary => primary(&db, source, xml)?,
        Part::Filelists => filelists(&db, source, xml)?,
        Part::Other => other(&db, source, xml)?,
    }
    db.execute(
        "INSERT INTO db_info (dbversion, checksum) VALUES (?1, ?2)",
        params![VERSION, checksum],
    )?;
    db.execute_batch(indexes)?;
    db.execute_batch("COMMIT")?;
    db.close().map_err(|(_, error)| error.into())
}

/// Empty values are missing ones there.
fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn primary(db: &Connection, source: impl BufRead, xml: &Path) -> Result<()> {
    let mut insert = db.prepare(
        "INSERT INTO packages VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, \
         ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26)",
    )?;
    for (key, package) in (1_i64..).zip(Primary::new(source, ReadLimits::default())) {
        let p: PrimaryEntry = package.at(xml)?;
        insert.execute(params![
            key,
            p.checksum,
            p.name,
            p.arch,
            p.version.version,
            p.version.epoch,
            p.version.release,
            some(&p.summary),
            some(&p.description),
            some(&p.url),
            p.file_time,
            p.build_time,
            some(&p.license),
            some(&p.vendor),
            some(&p.group),
            some(&p.buildhost),
            some(&p.sourcerpm),
            p.header_range.0 as i64,
            p.header_range.1 as i64,
            some(&p.packager),
            p.package_size as i64,
            p.installed_size as i64,
            p.archive_size as i64,
            p.href,
            p.base.as_deref().and_then(some),
            p.checksum_type,
        ])?;
        dependencies(db, key, &p)?;
        let mut files = db.prepare_cached("INSERT INTO files VALUES (?1, ?2, ?3)")?;
        for file in &p.files {
            files.execute(params![file.path, kind(&file.kind), key])?;
        }
    }
    Ok(())
}

fn dependencies(db: &Connection, key: i64, p: &PrimaryEntry) -> Result<()> {
    let lists: [(&str, &[Dependency]); 7] = [
        ("INSERT INTO provides VALUES (?1, ?2, ?3, ?4, ?5, ?6)", &p.provides),
        ("INSERT INTO conflicts VALUES (?1, ?2, ?3, ?4, ?5, ?6)", &p.conflicts),
        ("INSERT INTO obsoletes VALUES (?1, ?2, ?3, ?4, ?5, ?6)", &p.obsoletes),
        ("INSERT INTO suggests VALUES (?1, ?2, ?3, ?4, ?5, ?6)", &p.suggests),
        ("INSERT INTO enhances VALUES (?1, ?2, ?3, ?4, ?5, ?6)", &p.enhances),
        ("INSERT INTO recommends VALUES (?1, ?2, ?3, ?4, ?5, ?6)", &p.recommends),
        ("INSERT INTO supplements VALUES (?1, ?2, ?3, ?4, ?5, ?6)", &p.supplements),
    ];
    for (sql, list) in lists {
        let mut insert = db.prepare_cached(sql)?;
        for d in list {
            let v = &d.version;
            let (epoch, version, release) = (some(&v.epoch), some(&v.version), some(&v.release));
            insert.execute(params![d.name, some(&d.flags), epoch, version, release, key])?;
        }
    }
    let mut insert =
        db.prepare_cached("INSERT INTO requires VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    for d in &p.requires {
        let v = &d.version;
        let (epoch, version, release) = (some(&v.epoch), some(&v.version), some(&v.release));
        let pre = if d.pre { "TRUE" } else { "FALSE" };
        insert.execute(params![d.name, some(&d.flags), epoch, version, release, key, pre])?;
    }
    Ok(())
}

fn kind(kind: &str) -> &str {
    if kind.is_empty() { "file" } else { kind }
}

fn filelists(db: &Connection, source: impl BufRead, xml: &Path) -> Result<()> {
    let mut insert = db.prepare("INSERT INTO packages VALUES (?1, ?2)")?;
    let mut lists = db.prepare("INSERT INTO filelist VALUES (?1, ?2, ?3, ?4)")?;
    for (key, package) in (1_i64..).zip(Filelists::new(source, ReadLimits::default())) {
        let package: FilelistsEntry = package.at(xml)?;
        insert.execute(params![key, package.pkgid])?;
        let mut dirs: BTreeMap<&str, (String, String)> = BTreeMap::new();
        for file in &package.files {
            let (dir, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
            let dir = if dir.is_empty() && file.path.starts_with('/') { "/" } else { dir };
            let (names, kinds) = dirs.entry(dir).or_default();
            if !kinds.is_empty() {
                names.push('/');
            }
            names.push_str(name);
            kinds.push(kind(&file.kind).chars().next().unwrap_or('f'));
        }
        for (dir, (names, kinds)) in dirs {
            lists.execute(params![key, dir, names, kinds])?;
        }
    }
    Ok(())
}

fn other(db: &Connection, source: impl BufRead, xml: &Path) -> Result<()> {
    let mut insert = db.prepare("INSERT INTO packages VALUES (?1, ?2)")?;
    let mut changes = db.prepare("INSERT INTO changelog VALUES (?1, ?2, ?3, ?4)")?;
    for (key, package) in (1_i64..).zip(Other::new(source, ReadLimits::default())) {
        let package: OtherEntry = package.at(xml)?;
        insert.execute(params![key, package.pkgid])?;
        for change in &package.changelogs {
            changes.execute(params![key, change.author, change.date, change.text])?;
        }
    }
    Ok(())
}
