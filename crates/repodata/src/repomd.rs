//! `repomd.xml`, the entry point of a repository.

use crate::metadata::Summary;
use crate::xml::Xml;
use crate::{Result, Sum, reader};

/// The content of `repomd.xml`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repomd {
    /// Any text; a number that grows lets clients tell which copy is newer.
    pub revision: String,
    /// What the repository is, for people and programs.
    pub tags: Tags,
    /// One for each metadata file.
    pub records: Vec<Record>,
}

/// Words about a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags {
    /// What is in it.
    pub content: Vec<String>,
    /// What it is called.
    pub repo: Vec<String>,
    /// Distributions that it is for: an identifier (CPE) where there is one, and a name.
    pub distro: Vec<(Option<String>, String)>,
}

/// One metadata file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// Such as `primary` or `group_gz`.
    pub kind: String,
    /// Kind of the checksums.
    pub sum: Sum,
    /// Of the file, in hexadecimal.
    pub checksum: String,
    /// Of its content before compression, if it is compressed.
    pub open_checksum: Option<String>,
    /// Path from the repository's directory.
    pub href: String,
    /// Seconds since 1970.
    pub timestamp: i64,
    /// Size in bytes.
    pub size: u64,
    /// Size of its content before compression, if it is compressed.
    pub open_size: Option<u64>,
    /// Checksum of the head of a zchunk file.
    pub header_checksum: Option<String>,
    /// Size of the head of a zchunk file.
    pub header_size: Option<u64>,
    /// Version of the tables of an SQLite database.
    pub database_version: Option<u32>,
}

impl Record {
    /// The record of a compressed file below `repodata/`.
    pub(crate) fn new(kind: String, file_name: &str, timestamp: i64, summary: &Summary) -> Self {
        Self {
            kind,
            checksum: summary.checksum.clone(),
            open_checksum: Some(summary.open_checksum.clone()),
            href: format!("repodata/{file_name}"),
            timestamp,
            size: summary.size,
            open_size: Some(summary.open_size),
            ..Self::default()
        }
    }
}

impl Repomd {
    /// The record of this type.
    pub fn record(&self, kind: &str) -> Option<&Record> {
        self.records.iter().find(|record| record.kind == kind)
    }

    /// The document.
    pub fn to_xml(&self) -> String {
        let mut xml = Xml::default();
        let namespaces: [(&str, &[u8]); 2] = [
            ("xmlns", b"http://linux.duke.edu/metadata/repo"),
            ("xmlns:rpm", b"http://linux.duke.edu/metadata/rpm"),
        ];
        xml.open("repomd", &namespaces);
        xml.text("revision", &[], self.revision.as_bytes());
        self.tags.write(&mut xml);
        for record in &self.records {
            record.write(&mut xml);
        }
        xml.close("repomd");
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", xml.finish())
    }

    /// Reads a document of up to `limit` bytes.
    pub fn parse(source: impl std::io::BufRead, limit: u64) -> Result<Self> {
        reader::repomd(source, limit)
    }
}

impl Record {
    fn write(&self, xml: &mut Xml) {
        let sum: [(&str, &[u8]); 1] = [("type", self.sum.name().as_bytes())];
        xml.open("data", &[("type", self.kind.as_bytes())]);
        xml.text("checksum", &sum, self.checksum.as_bytes());
        if let Some(checksum) = &self.open_checksum {
            xml.text("open-checksum", &sum, checksum.as_bytes());
        }
        if let Some(checksum) = &self.header_checksum {
            xml.text("header-checksum", &sum, checksum.as_bytes());
        }
        xml.empty("location", &[("href", self.href.as_bytes())]);
        xml.text("timestamp", &[], self.timestamp.to_string().as_bytes());
        xml.text("size", &[], self.size.to_string().as_bytes());
        if let Some(size) = self.open_size {
            xml.text("open-size", &[], size.to_string().as_bytes());
        }
        if let Some(size) = self.header_size {
            xml.text("header-size", &[], size.to_string().as_bytes());
        }
        if let Some(version) = self.database_version {
            xml.text("database_version", &[], version.to_string().as_bytes());
        }
        xml.close("data");
    }
}

impl Tags {
    fn write(&self, xml: &mut Xml) {
        if *self == Self::default() {
            return;
        }
        xml.open("tags", &[]);
        for content in &self.content {
            xml.text("content", &[], content.as_bytes());
        }
        for repo in &self.repo {
            xml.text("repo", &[], repo.as_bytes());
        }
        for (id, name) in &self.distro {
            let id: Vec<_> = id.iter().map(|id| ("cpeid", id.as_bytes())).collect();
            xml.text("distro", &id, name.as_bytes());
        }
        xml.close("tags");
    }
}
