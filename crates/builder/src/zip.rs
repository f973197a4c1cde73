//! A directory as a zip archive, for those who want to see later what was built.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::DeflateEncoder;
use rawzip::time::UtcDateTime;
use rawzip::{CompressionMethod, ZipArchiveWriter};

/// Directories of source control, which are left out.
const CONTROL: [&str; 4] = ["CVS", ".svn", ".git", ".hg"];
/// The kind of a symbolic link among the permissions.
const LINK: u32 = 0o120_000;

/// Writes the files and links below a directory, under its own name, in the order of their names.
pub(crate) fn pack(dir: &Path, to: &Path) -> io::Result<()> {
    let mut archive = ZipArchiveWriter::new(BufWriter::new(File::create_new(to)?));
    let top = dir.file_name().map(PathBuf::from).unwrap_or_default();
    add(&mut archive, dir, &top)?;
    archive.finish().map_err(io::Error::other)?.flush()
}

fn add<W: Write>(archive: &mut ZipArchiveWriter<W>, dir: &Path, name: &Path) -> io::Result<()> {
    let mut entries = fs::read_dir(dir)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), name.join(entry.file_name()));
        let data = entry.metadata()?;
        let control = CONTROL.iter().any(|control| entry.file_name() == *control);
        if data.is_dir() && !control {
            add(archive, &path, &name)?;
        } else if data.is_file() {
            one(archive, &name, &data, &mut File::open(&path)?, data.permissions().mode())?;
        } else if data.is_symlink() {
            use std::os::unix::ffi::OsStrExt;
            let target = fs::read_link(&path)?;
            one(archive, &name, &data, &mut target.as_os_str().as_bytes(), LINK | 0o777)?;
        }
    }
    Ok(())
}

fn one<W: Write>(
    archive: &mut ZipArchiveWriter<W>,
    name: &Path,
    data: &fs::Metadata,
    content: &mut impl io::Read,
    mode: u32,
) -> io::Result<()> {
    let name = name.to_string_lossy();
    let builder = archive.new_file(name.as_ref()).compression_method(CompressionMethod::DEFLATE);
    let builder =
        builder.last_modified(UtcDateTime::from_unix(data.mtime())).unix_permissions(mode);
    let (mut entry, config) = builder.start().map_err(io::Error::other)?;
    let mut writer = config.wrap(DeflateEncoder::new(&mut entry, Compression::default()));
    io::copy(content, &mut writer)?;
    let (encoder, output) = writer.finish().map_err(io::Error::other)?;
    encoder.finish()?;
    entry.finish(output).map_err(io::Error::other)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_read_what_is_packed() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir_all(tree.join(".git")).unwrap();
        fs::create_dir_all(tree.join("src")).unwrap();
        fs::write(tree.join(".git/config"), "x").unwrap();
        fs::write(tree.join("src/a"), "content").unwrap();
        std::os::unix::fs::symlink("src/a", tree.join("link")).unwrap();
        let file = dir.path().join("tree.zip");
        pack(&tree, &file).unwrap();
        let script = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\n\
            print({n: z.read(n).decode() for n in z.namelist()})";
        let python = std::process::Command::new("python3").args(["-c", script]).arg(&file).output();
        let said = String::from_utf8(python.unwrap().stdout).unwrap();
        assert_eq!(said.trim(), "{'tree/link': 'src/a', 'tree/src/a': 'content'}");
    }
}
