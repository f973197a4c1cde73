//! The files in the payload of an RPM: a cpio archive (the formats 070701 and 070702), compressed.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::MOST;
use super::tar::unpacked;
use crate::{Error, Result, normalize};

/// Bytes of the head of an entry.
const HEAD: usize = 110;
/// The longest name.
const LONGEST: u64 = 1 << 16;
/// The name that ends an archive.
const END: &str = "TRAILER!!!";
/// What may be unpacked in all, in bytes: a small package must not fill the disk.
const LARGEST: u64 = 16 << 30;

/// A file that was unpacked: its path in the package, which begins with a slash, and where it is now.
pub type Unpacked = (String, PathBuf);

/// Unpacks the regular files that `wanted` names into a directory, under their own paths.
///
/// `offset` is where the payload begins. Links are passed over.
///
/// # Errors
/// When the payload is broken, or leads out of the directory.
pub fn unpack(
    package: &Path,
    offset: u64,
    into: &Path,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Unpacked>> {
    let broken = |error: io::Error| Error::Container {
        path: package.to_owned(),
        problem: error.to_string(),
    };
    let mut file = File::open(package).map_err(Error::io(package))?;
    file.seek(SeekFrom::Start(offset)).map_err(Error::io(package))?;
    let mut reader = unpacked(file).map_err(broken)?;
    let (mut found, mut left) = (Vec::new(), LARGEST);
    // Of a file with several names only the last one has the content.
    let mut names: HashMap<u64, Vec<Unpacked>> = HashMap::new();
    for _ in 0..MOST {
        let Some(entry) = head(&mut reader).map_err(broken)? else { return Ok(found) };
        left = left.checked_sub(entry.size).ok_or_else(|| broken(wrong("is too large")))?;
        let mut content = (&mut reader).take(entry.size);
        if entry.is_file() {
            let path = entry.path();
            let known = names.entry(entry.inode).or_default();
            if wanted(&path) {
                known.push((path.clone(), into.join(normalize(path.trim_start_matches('/'))?)));
            }
            if entry.size > 0 || entry.links <= 1 {
                let known = std::mem::take(known);
                write(&mut content, &known)?;
                found.extend(known);
            }
        }
        io::copy(&mut content, &mut io::sink()).map_err(broken)?;
        skip(&mut reader, entry.size).map_err(broken)?;
    }
    Err(broken(wrong("has too many members")))
}

/// Writes the content under the first name, and copies it to the others.
fn write(content: &mut impl Read, names: &[Unpacked]) -> Result<()> {
    let Some(((_, first), others)) = names.split_first() else { return Ok(()) };
    for (_, path) in names {
        let dir = path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(dir).map_err(Error::io(dir))?;
    }
    let mut file = File::create_new(first).map_err(Error::io(first))?;
    io::copy(content, &mut file).map_err(Error::io(first))?;
    for (_, path) in others {
        fs::copy(first, path).map_err(Error::io(path))?;
    }
    Ok(())
}

/// The head of an entry.
struct Entry {
    name: String,
    inode: u64,
    mode: u64,
    links: u64,
    size: u64,
}

impl Entry {
    fn is_file(&self) -> bool {
        self.mode & 0o170_000 == 0o100_000
    }

    fn path(&self) -> String {
        format!("/{}", self.name.trim_start_matches("./").trim_start_matches('/'))
    }
}

/// Reads the head of the next entry; nothing at the end.
fn head(reader: &mut impl Read) -> io::Result<Option<Entry>> {
    let mut head = [0; HEAD];
    reader.read_exact(&mut head)?;
    if !matches!(&head[..6], b"070701" | b"070702") {
        return Err(wrong("is no cpio archive"));
    }
    let field = |at: usize| {
        let digits = head.get(6 + 8 * at..14 + 8 * at).unwrap_or_default();
        let digits = std::str::from_utf8(digits).ok();
        digits.and_then(|text| u64::from_str_radix(text, 16).ok()).ok_or_else(|| wrong("is broken"))
    };
    let (inode, mode, links, size) = (field(0)?, field(1)?, field(4)?, field(6)?);
    let length = field(11)?;
    if length == 0 || length > LONGEST {
        return Err(wrong("is broken"));
    }
    let mut name = Vec::new();
    reader.take(length).read_to_end(&mut name)?;
    name.pop();
    skip(reader, HEAD as u64 + length)?;
    let name = String::from_utf8_lossy(&name).into_owned();
    Ok((name != END).then_some(Entry { name, inode, mode, links, size }))
}

/// Skips what fills up to the next multiple of four.
fn skip(reader: &mut impl Read, size: u64) -> io::Result<()> {
    let mut rest = [0; 3];
    let count = usize::try_from((4 - size % 4) % 4).unwrap_or(0);
    reader.read_exact(&mut rest[..count])
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the payload {what}"))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn entry(name: &str, inode: u32, mode: u32, links: u32, content: &[u8]) -> Vec<u8> {
        let mut out = b"070701".to_vec();
        let size = u32::try_from(content.len()).unwrap();
        let length = u32::try_from(name.len() + 1).unwrap();
        for n in [inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, length, 0] {
            write!(out, "{n:08x}").unwrap();
        }
        out.extend(name.as_bytes());
        out.push(0);
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend(content);
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }

    fn unpack_all(entries: &[Vec<u8>]) -> (tempfile::TempDir, Result<Vec<Unpacked>>) {
        let dir = tempfile::tempdir().unwrap();
        let package = dir.path().join("package");
        let payload = zstd::encode_all(entries.concat().as_slice(), 1).unwrap();
        fs::write(&package, [b"head".to_vec(), payload].concat()).unwrap();
        let found = unpack(&package, 4, &dir.path().join("out"), |path| !path.ends_with(".no"));
        (dir, found)
    }

    #[test]
    fn files_come_out_and_links_do_not() {
        let (dir, found) = unpack_all(&[
            entry("./usr", 1, 0o040_755, 2, b""),
            entry("./usr/one.pom", 2, 0o100_644, 1, b"abcde"),
            entry("./usr/not.no", 3, 0o100_644, 1, b"xyz"),
            entry("./usr/link", 4, 0o120_777, 1, b"one.pom"),
            entry("./usr/two", 5, 0o100_644, 2, b""),
            entry("./usr/three", 5, 0o100_644, 2, b"same"),
            entry("./usr/empty", 6, 0o100_644, 1, b""),
            entry(END, 0, 0, 1, b""),
        ]);
        let paths: Vec<String> = found.unwrap().into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["/usr/one.pom", "/usr/two", "/usr/three", "/usr/empty"]);
        for (name, content) in
            [("one.pom", "abcde"), ("two", "same"), ("three", "same"), ("empty", "")]
        {
            let file = dir.path().join("out/usr").join(name);
            assert_eq!(fs::read_to_string(file).unwrap(), content);
        }
        assert!(!dir.path().join("out/usr/link").exists());
    }

    #[test]
    fn what_is_broken_is_refused() {
        let end = entry(END, 0, 0, 1, b"");
        for entries in [
            vec![entry("../../escape", 2, 0o100_644, 1, b"x"), end.clone()],
            vec![entry("short", 2, 0o100_644, 1, b"x")],
            vec![b"070707000000".to_vec(), vec![0; 200]],
        ] {
            let (dir, found) = unpack_all(&entries);
            assert!(found.is_err());
            assert!(!dir.path().join("escape").exists());
        }
    }
}
