//! Uploaded RPM files: what they say, and whether they are whole.

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use md5::{Digest as _, Md5};
use toji_rpmfile::{Limits, Package, tag};
use toji_store::{Algorithm, Hasher};

/// An uploaded RPM that was read, checked and hashed.
#[derive(Clone, Debug)]
pub struct Source {
    /// The path that the builder named.
    pub rel: String,
    /// The file.
    pub path: PathBuf,
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Release.
    pub release: String,
    /// Epoch.
    pub epoch: Option<i64>,
    /// Arch; `src` for a source package.
    pub arch: String,
    /// Whether it is a source package.
    pub is_source: bool,
    /// The name of the source package that it was built from.
    pub source_rpm: String,
    /// When it was built, seconds since 1970.
    pub buildtime: i64,
    /// Size in bytes.
    pub size: u64,
    /// When the file was written, seconds since 1970.
    pub mtime: i64,
    /// MD5 of header and payload; for RPM 6 packages a digest of the header.
    pub payloadhash: String,
    /// The digests that the signature header states.
    pub digests: toji_db::rpm::Digests,
    /// The signature header.
    pub sighdr: Vec<u8>,
    /// MD5 of the signature header.
    pub sighash: String,
    /// What its signature is filed under: the key's id as Koji writes it, empty for none.
    pub sigkey: String,
    /// The signatures that it has, each with its key.
    pub signers: Vec<toji_db::rpm::signer::Signer>,
    /// SHA-256 of the whole file.
    pub sha256: String,
    package: std::sync::Arc<Package>,
}

/// Why an uploaded RPM is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The path that the builder named.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is no whole RPM.
    #[error("{path} is not a usable rpm: {source}")]
    Rpm {
        /// The path that the builder named.
        path: String,
        /// Why.
        source: toji_rpmfile::Error,
    },
    /// Its name is not the one that its header gives it.
    #[error("bad filename: {found} (expected {expected})")]
    Name {
        /// The name of the file.
        found: String,
        /// The name by the header.
        expected: String,
    },
    /// No repository metadata can be made of it.
    #[error("no repository metadata for {path}: {source}")]
    Metadata {
        /// The path that the builder named.
        path: String,
        /// Why.
        source: toji_repodata::Error,
    },
}

/// Reads through and hashes on the way.
struct Tee<R> {
    inner: R,
    hasher: Hasher,
    size: u64,
}

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..n]);
        self.size += n as u64;
        Ok(n)
    }
}

impl Source {
    /// Reads an RPM, written then (seconds since 1970), to its end and checks every digest and its file name.
    ///
    /// # Errors
    /// When it is cut, broken, or named otherwise than its header says.
    pub fn read(rel: &str, file: impl Read, written: i64, path: &Path) -> Result<Self, Error> {
        let read = |source| Error::Read { path: rel.to_owned(), source };
        let rpm = |source| Error::Rpm { path: rel.to_owned(), source };
        let hasher = Hasher::new(Algorithm::Sha256);
        let mut tee = Tee { inner: BufReader::with_capacity(1 << 18, file), hasher, size: 0 };
        let package = toji_rpmfile::digest::verify(&mut tee, &Limits::default()).map_err(rpm)?;
        std::io::copy(&mut tee, &mut std::io::sink()).map_err(read)?;
        let header = package.header();
        let sighdr = package.signature_bytes();
        // A source package of the kind that lacks some sources is stored as any other.
        let arch = if header.is_source() { "src".into() } else { header.arch().map_err(rpm)? };
        let (name, version) = (header.name().map_err(rpm)?, header.version().map_err(rpm)?);
        let release = header.release().map_err(rpm)?;
        let source = Source {
            rel: rel.to_owned(),
            path: path.to_owned(),
            name: name.into_owned(),
            version: version.into_owned(),
            release: release.into_owned(),
            epoch: header.epoch(),
            arch: arch.into_owned(),
            is_source: header.is_source(),
            source_rpm: header.source_rpm().unwrap_or_default().into_owned(),
            buildtime: header.build_time().and_then(|t| i64::try_from(t).ok()).unwrap_or(0),
            size: tee.size,
            mtime: written,
            payloadhash: package.content_id().unwrap_or_default(),
            digests: digests(&package),
            sighash: hex::encode(Md5::digest(&sighdr)),
            sighdr,
            sigkey: toji_rpmfile::splice::label(package.signature()),
            signers: crate::rpm::signer::of_header(package.signature()),
            sha256: tee.hasher.finish(),
            package: std::sync::Arc::new(package),
        };
        let found = rel.rsplit('/').next().unwrap_or(rel).to_owned();
        let expected = source.file_name();
        if found != expected {
            return Err(Error::Name { found, expected });
        }
        Ok(source)
    }

    /// The name of the file by the header.
    pub fn file_name(&self) -> String {
        format!("{}-{}-{}.{}.rpm", self.name, self.version, self.release, self.arch)
    }

    /// Repository metadata for the file at `href`, compressed: kind and data.
    ///
    /// # Errors
    /// When the header lacks what the metadata need.
    pub fn fragments(&self, href: &str) -> Result<Vec<(&'static str, Vec<u8>)>, Error> {
        let metadata = |source| Error::Metadata { path: self.rel.clone(), source };
        crate::fragment::pieces(
            &self.package,
            href.to_owned(),
            self.size,
            self.mtime,
            self.sha256.clone(),
        )
        .map_err(metadata)
    }
}

fn digests(package: &Package) -> toji_db::rpm::Digests {
    let text = |tag: u32| {
        let found = package.signature().str(tag);
        found.map(|text| String::from_utf8_lossy(text).into_owned())
    };
    toji_db::rpm::Digests {
        sigmd5: package.sigmd5().map(hex::encode),
        sha1header: text(tag::SHA1HEADER),
        sha256header: text(tag::SHA256HEADER),
        sha3_256header: text(tag::SHA3_256HEADER),
    }
}

/// Dependencies that name the version of RPM itself, which arches may differ in.
fn counts(dep: &toji_rpmfile::Dep<'_>) -> bool {
    !dep.text().starts_with("rpmlib(")
}

impl Source {
    /// How two builds of one package differ in what a user of it would notice.
    pub(crate) fn differences(&self, other: &Source) -> Vec<String> {
        let facts = |source: &Source| -> std::collections::BTreeSet<String> {
            let header = source.package.header();
            let mut facts = std::collections::BTreeSet::new();
            for kind in toji_rpmfile::DepKind::ALL {
                let deps = header.deps(*kind).filter(counts);
                facts.extend(deps.map(|dep| format!("{kind:?} {}", dep.text())));
            }
            for file in header.files().unwrap_or_default() {
                let path = String::from_utf8_lossy(&file.path()).into_owned();
                facts.insert(format!("{:o} {path}", file.mode));
            }
            facts
        };
        let (own, theirs) = (facts(self), facts(other));
        let removed = own.difference(&theirs).map(|f| format!("removed {f}"));
        removed.chain(theirs.difference(&own).map(|f| format!("added   {f}"))).collect()
    }
}
