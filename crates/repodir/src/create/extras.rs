//! What a repository has beyond packages: groups, modules, and what the old one had.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use toji_repodata::{Record, decoder};

use super::Options;
use super::collect::Found;
use crate::error::At as _;
use crate::output::{Format, Staging, add_packed, add_plain};
use crate::{Error, Result, Watch, documents};

/// Types of records that come from packages.
const OWN: [&str; 3] = ["primary", "filelists", "other"];
/// Longest documents that are read.
const LONGEST: u64 = 512 << 20;

/// Adds groups and modules, and with an update what the old repository had; returns the records.
pub(super) fn add(
    dir: &Path,
    found: &Found,
    options: &Options,
    (staging, format): (&Staging, &Format),
    watch: &dyn Watch,
) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    if let Some(groups) = &options.groups {
        let beside = dir.join(groups);
        let path = if beside.is_file() { &beside } else { groups };
        records.extend(add_groups(path, staging, format)?);
    }
    let mut modules = Vec::new();
    for path in &found.modules {
        modules.push(read_document(path)?);
    }
    if !modules.is_empty() {
        let text = documents::join_yaml(&modules);
        let name = ("modules", "modules.yaml");
        let record = add_packed(staging, format, name, format.extra, &mut text.as_slice())?;
        records.push(record);
    }
    if let (true, true, Some(old)) = (options.update, options.keep_additional, staging.old()) {
        for record in &old.repomd.records {
            if comes_from_packages(&record.kind) || replaced(&records, &record.kind) {
                continue;
            }
            let name = record.href.strip_prefix("repodata/").filter(|name| !name.contains('/'));
            match name.filter(|_| old.path(&record.href).is_ok_and(|path| path.is_file())) {
                Some(name) => {
                    staging.carry(name)?;
                    records.push(record.clone());
                }
                None => watch.warn(&format!("{} is lost: {} is missing", record.kind, record.href)),
            }
        }
    }
    Ok(records)
}

/// Adds group definitions as they are and compressed.
pub(crate) fn add_groups(path: &Path, staging: &Staging, format: &Format) -> Result<[Record; 2]> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let text = read_document(path)?;
    let plain = documents::plain_name(&name);
    add_group_text(&text, plain, staging, format)
}

/// As [`add_groups`], from their text.
pub(crate) fn add_group_text(
    text: &[u8],
    plain: &str,
    staging: &Staging,
    format: &Format,
) -> Result<[Record; 2]> {
    let open = add_plain(staging, format, ("group", plain), &mut &*text)?;
    let kind = format!("group{}", format.extra.type_suffix());
    let packed = add_packed(staging, format, (&kind, plain), format.extra, &mut &*text)?;
    Ok([open, packed])
}

/// Reads a file, decompressed by its name.
pub(crate) fn read_document(path: &Path) -> Result<Vec<u8>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let file = BufReader::new(File::open(path).at(path)?);
    let content: Box<dyn Read> = match documents::is_packed(&name) {
        true => decoder(&name, file).at(path)?,
        false => Box::new(file),
    };
    let mut text = Vec::new();
    content.take(LONGEST + 1).read_to_end(&mut text).at(path)?;
    if text.len() as u64 > LONGEST {
        return Err(Error::Request(format!("{} is too long", path.display())));
    }
    Ok(text)
}

/// True for types that are made anew of the packages: plain, as databases, as zchunk.
pub(crate) fn comes_from_packages(kind: &str) -> bool {
    let plain = kind.strip_suffix("_db").or_else(|| kind.strip_suffix("_zck")).unwrap_or(kind);
    OWN.contains(&plain)
}

/// True for a type that is written, whatever its compression.
fn replaced(records: &[Record], kind: &str) -> bool {
    let plain = |kind: &str| kind.split('_').next().unwrap_or_default().to_owned();
    records.iter().any(|record| plain(&record.kind) == plain(kind))
}
