//! The metadata of a directory of packages.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use toji_repodata::{Compression, Options, PackageFile, RepositoryWriter, Sink, fragment};
use toji_rpmfile::{Limits, Package};

/// Writes into a directory; what has no name yet is in a file beside.
struct Directory {
    root: PathBuf,
    files: usize,
}

/// A file that is being written.
struct Unnamed(PathBuf, File);

impl io::Write for Unnamed {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.1.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.1.flush()
    }
}

impl Sink for Directory {
    type File = Unnamed;

    fn create(&mut self) -> io::Result<Unnamed> {
        self.files += 1;
        let path = self.root.join(format!(".unnamed-{}", self.files));
        let file = File::create(&path)?;
        Ok(Unnamed(path, file))
    }

    fn publish(&mut self, file: Unnamed, path: &str) -> io::Result<()> {
        let target = self.root.join(path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::rename(file.0, target)
    }
}

/// Writes `repodata` for all packages below a directory.
pub(super) fn repository(root: &Path) -> Result<()> {
    let packages = crate::find_rpms(root)?;
    let mut sink = Directory { root: root.to_owned(), files: 0 };
    // Fixed, so that the same packages give the same metadata.
    let mut writer =
        RepositoryWriter::new(&mut sink, packages.len() as u64, Compression::Gzip(1), 0)?;
    for path in packages {
        let described = describe(root, &path);
        let (package, file) =
            described.with_context(|| format!("failed to read {}", path.display()))?;
        writer.add((&fragment(&package, &file, &Options::default())?).into())?;
    }
    writer.finish("1")?;
    Ok(())
}

fn describe(root: &Path, path: &Path) -> Result<(Package, PackageFile)> {
    let package = Package::read(&mut BufReader::new(File::open(path)?), &Limits::default())?;
    let (mut file, mut hash, mut size) = (File::open(path)?, Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hash.update(&buffer[..count]);
        size += count as u64;
    }
    let href = path.strip_prefix(root)?.to_string_lossy().into_owned();
    let sha256 = hex::encode(hash.finalize());
    Ok((package, PackageFile { href, base: None, size, mtime: 0, sha256 }))
}
