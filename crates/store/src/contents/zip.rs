//! The central directory of zip files.

use std::io::{Read, Seek};

use rawzip::{RECOMMENDED_BUFFER_SIZE, ZipArchive};

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
        let days = days(time.year().into(), time.month().into(), time.day().into());
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

/// Days since 1970-01-01 in the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March here, so that the leap day is the last one.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::days;

    #[test]
    fn days_since_1970() {
        for (date, want) in [
            ((1970, 1, 1), 0),
            ((1980, 1, 1), 3652),
            ((2000, 2, 29), 11_016),
            ((2026, 11, 22), 20_779),
        ] {
            assert_eq!(days(date.0, date.1, date.2), want, "{date:?}");
        }
    }
}
