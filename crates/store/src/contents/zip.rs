//! The central directory of zip files.

use std::io::{Read, Seek};

use rawzip::{RECOMMENDED_BUFFER_SIZE, ZipArchive};

use toji_types::calendar::days_of;

use super::{MOST, Member};

pub(super) fn members(file: impl Read + Seek) -> Result<Vec<Member>, String> {
    let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
    let archive = ZipArchive::from_seekable(file, &mut buffer).map_err(|e| e.to_string())?;
    let mut entries = archive.entries(&mut buffer);
    let mut found = Vec::new();
    while let Some(entry) = entries.next_entry().map_err(|e| e.to_string())? {
        if found.len() == MOST {
            return Err("too many members".to_owned());
        }
        let raw = entry.file_path();
        let time = entry.last_modified_dos();
        let days = days_of(time.year().into(), time.month().into(), time.day().into());
        let seconds = |h: u8, m: u8, s: u8| i64::from(h) * 3600 + i64::from(m) * 60 + i64::from(s);
        found.push(Member {
            name: name(raw.as_bytes()),
            size: entry.uncompressed_size_hint(),
            mtime: days * 86_400 + seconds(time.hour(), time.minute(), time.second()),
            unix: None,
        });
    }
    Ok(found)
}

/// Names are UTF-8 in practice; what is not is shown with replacement characters.
fn name(raw: &[u8]) -> String {
    String::from_utf8_lossy(raw).into_owned()
}
