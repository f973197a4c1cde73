//! Sets of packages, repositories in directories, and metadata files cut into packages.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};
use toji_repodata::{
    Compression, Fragments, Options, PackageFile, Pieces, Repomd, RepositoryWriter, Sink, decoder,
    fragment,
};
use toji_rpmfile::{Limits, Package};

/// A repository that is a directory.
pub(crate) struct Dir(pub(crate) PathBuf);

impl Sink for Dir {
    type File = tempfile::NamedTempFile;

    fn create(&mut self) -> io::Result<Self::File> {
        tempfile::NamedTempFile::new_in(&self.0)
    }

    fn publish(&mut self, file: Self::File, path: &str) -> io::Result<()> {
        let path = self.0.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        file.persist(path)?;
        Ok(())
    }
}

/// The fragments of a package file below `root`.
pub(crate) fn fragments_of(root: &Path, href: &str) -> Fragments {
    let path = root.join(href);
    let package =
        Package::read(&mut BufReader::new(File::open(&path).unwrap()), &Limits::default())
            .unwrap_or_else(|error| panic!("{href}: {error}"));
    let data = fs::metadata(&path).unwrap();
    let file = PackageFile {
        href: href.to_owned(),
        base: None,
        size: data.len(),
        mtime: data.mtime(),
        sha256: hex::encode(Sha256::digest(fs::read(&path).unwrap())),
    };
    fragment(&package, &file, &Options::default()).unwrap_or_else(|e| panic!("{href}: {e}"))
}

/// Every package below `root`, as paths relative to it.
pub(crate) fn hrefs(root: &Path) -> Vec<String> {
    let rpms = toji_rpmgen::find_rpms(root).unwrap();
    let relative = |path: PathBuf| path.strip_prefix(root).unwrap().display().to_string();
    rpms.into_iter().map(relative).collect()
}

/// Writes a repository of these packages, in this order, beside them.
pub(crate) fn write_repository(root: &Path, hrefs: &[String], compression: Compression) -> Repomd {
    let mut dir = Dir(root.to_owned());
    let mut writer =
        RepositoryWriter::new(&mut dir, hrefs.len() as u64, compression, 1_700_000_000).unwrap();
    for href in hrefs {
        writer.add(Pieces::from(&fragments_of(root, href))).unwrap();
    }
    writer.finish("1").unwrap()
}

/// A metadata file of a repository, decompressed.
pub(crate) fn content(root: &Path, repomd: &Repomd, kind: &str) -> Vec<u8> {
    let record = repomd.record(kind).unwrap_or_else(|| panic!("no record {kind}"));
    let file = BufReader::new(File::open(root.join(&record.href)).unwrap());
    let mut out = Vec::new();
    decoder(&record.href, file).unwrap().read_to_end(&mut out).unwrap();
    assert_eq!(record.open_size, Some(out.len() as u64));
    assert_eq!(record.open_checksum, Some(hex::encode(Sha256::digest(&out))));
    out
}

/// The `repomd.xml` of a repository.
pub(crate) fn repomd(root: &Path) -> Repomd {
    let file = File::open(root.join("repodata/repomd.xml")).unwrap();
    Repomd::parse(BufReader::new(file), 1 << 20).unwrap()
}

/// Runs createrepo_c in `root` and takes its metadata away to `root/peer`.
pub(crate) fn createrepo(root: &Path, options: &[&str]) -> PathBuf {
    let peer = root.join("peer");
    fs::create_dir(&peer).unwrap();
    let mut command = Command::new("createrepo_c");
    command.args(["--quiet", "--no-database", "--outputdir"]).arg(&peer).args(options).arg(root);
    run(&mut command);
    peer
}

/// Runs a program that must be there and succeed; returns its output.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, log) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}:\n{out}\n{log}");
    out.into_owned()
}
