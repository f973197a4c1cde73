//! What a package is: its name parts, whether it is a source package, when it was built.

use std::borrow::Cow;

use toji_types::Nvr;

use crate::{Error, Header, Result, tag};

impl Header {
    /// Package name.
    pub fn name(&self) -> Result<Cow<'_, str>> {
        self.text(tag::NAME).ok_or(Error::Missing("NAME"))
    }

    /// Version.
    pub fn version(&self) -> Result<Cow<'_, str>> {
        self.text(tag::VERSION).ok_or(Error::Missing("VERSION"))
    }

    /// Release.
    pub fn release(&self) -> Result<Cow<'_, str>> {
        self.text(tag::RELEASE).ok_or(Error::Missing("RELEASE"))
    }

    /// Epoch; `None` if the package has none, which compares as 0.
    pub fn epoch(&self) -> Option<i64> {
        self.int(tag::EPOCH).map(|epoch| epoch as i64)
    }

    /// Name, version and release.
    pub fn nvr(&self) -> Result<Nvr> {
        Ok(Nvr {
            name: self.name()?.into_owned(),
            version: self.version()?.into_owned(),
            release: self.release()?.into_owned(),
            epoch: self.epoch().map(|e| e.to_string()).unwrap_or_default(),
        })
    }

    /// The arch the package was built on or for, also for a source package.
    pub fn build_arch(&self) -> Result<Cow<'_, str>> {
        self.text(tag::ARCH).ok_or(Error::Missing("ARCH"))
    }

    /// The arch in the file's name: `src` or `nosrc` for a source package.
    pub fn arch(&self) -> Result<Cow<'_, str>> {
        if !self.is_source() {
            self.build_arch()
        } else if self.is_nosrc() {
            Ok("nosrc".into())
        } else {
            Ok("src".into())
        }
    }

    /// The canonical file name.
    pub fn file_name(&self) -> Result<String> {
        Ok(format!("{}-{}-{}.{}.rpm", self.name()?, self.version()?, self.release()?, self.arch()?))
    }

    /// True for a source package.
    pub fn is_source(&self) -> bool {
        if let Some(number) = self.int(tag::SOURCEPACKAGE) {
            return number != 0;
        }
        if self.has(tag::SOURCERPM) {
            return false;
        }
        // packages of RPM 3 say neither; source packages have file names without directories
        let files = self.has(tag::DIRNAMES) || self.has(tag::OLDFILENAMES);
        let mut names = self.strs(tag::DIRNAMES).chain(self.strs(tag::OLDFILENAMES));
        files && !names.any(|name| name.starts_with(b"/"))
    }

    /// True for a source package that leaves out some of its sources or patches.
    pub fn is_nosrc(&self) -> bool {
        self.is_source() && (self.has(tag::NOSOURCE) || self.has(tag::NOPATCH))
    }

    /// When the package was built, in seconds since 1970.
    pub fn build_time(&self) -> Option<u64> {
        self.int(tag::BUILDTIME)
    }

    /// Size of the installed files in bytes.
    pub fn installed_size(&self) -> Option<u64> {
        self.int(tag::LONGSIZE).or_else(|| self.int(tag::SIZE))
    }

    /// File name of the source package it was built from; `None` for a source package.
    pub fn source_rpm(&self) -> Option<Cow<'_, str>> {
        self.text(tag::SOURCERPM)
    }

    /// SHA-256 of the compressed payload, in hexadecimal.
    pub fn payload_sha256(&self) -> Option<Cow<'_, str>> {
        self.text(tag::PAYLOADSHA256)
    }
}
