//! The members of tarballs, whatever they are compressed with.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use super::{MOST, Member, Unix};

/// The dictionary of an xz file may take this much, in KiB.
const XZ_MEMORY: u32 = 512 << 10;

pub(super) fn members(file: impl Read + Seek + 'static) -> Result<Vec<Member>, String> {
    let reader = unpacked(file).map_err(|e| e.to_string())?;
    let mut archive = tar::Archive::new(reader);
    let mut found = Vec::new();
    for entry in archive.entries().map_err(|e| e.to_string())? {
        let entry = entry.map_err(|e| e.to_string())?;
        if found.len() == MOST {
            return Err("too many members".to_owned());
        }
        let header = entry.header();
        let text = |bytes: Option<&[u8]>| {
            bytes.map(|b| String::from_utf8_lossy(b).into_owned()).unwrap_or_default()
        };
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        found.push(Member {
            name: name.trim_end_matches('/').to_owned(),
            size: if header.entry_type().is_dir() { 0 } else { entry.size() },
            mtime: header.mtime().ok().and_then(|t| i64::try_from(t).ok()).unwrap_or(0),
            unix: Some(Unix {
                mode: header.mode().map_err(|e| e.to_string())? & 0o7777,
                user: text(header.username_bytes()),
                group: text(header.groupname_bytes()),
            }),
        });
    }
    Ok(found)
}

/// The stream behind the compression that the first bytes announce.
pub(super) fn unpacked(mut file: impl Read + Seek + 'static) -> io::Result<Box<dyn Read>> {
    let start = file.stream_position()?;
    let mut magic = [0; 6];
    let mut known = 0;
    while known < magic.len() {
        match file.read(&mut magic[known..])? {
            0 => break,
            n => known += n,
        }
    }
    if known == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "empty file"));
    }
    file.seek(SeekFrom::Start(start))?;
    let file = BufReader::with_capacity(1 << 17, file);
    Ok(match magic[..known] {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        [b'B', b'Z', b'h', ..] => Box::new(bzip2::bufread::MultiBzDecoder::new(file)),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            Box::new(lzma_rust2::XzReader::new_mem_limit(file, true, XZ_MEMORY))
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::Decoder::with_buffer(file)?),
        _ => Box::new(file),
    })
}
