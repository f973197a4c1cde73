//! `repomd.xml`, the entry point of a repository.

use crate::metadata::Summary;
use crate::xml::Xml;
use crate::{Result, reader};

/// The content of `repomd.xml`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repomd {
    /// Any text; a number that grows lets clients tell which copy is newer.
    pub revision: String,
    /// One for each metadata file.
    pub records: Vec<Record>,
}

/// One metadata file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// Such as `primary` or `group_gz`.
    pub kind: String,
    /// SHA-256 of the file in hexadecimal.
    pub checksum: String,
    /// SHA-256 of its content before compression, if it is compressed.
    pub open_checksum: Option<String>,
    /// Path from the repository's directory.
    pub href: String,
    /// Seconds since 1970.
    pub timestamp: i64,
    /// Size in bytes.
    pub size: u64,
    /// Size of its content before compression, if it is compressed.
    pub open_size: Option<u64>,
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
        let sha256: [(&str, &[u8]); 1] = [("type", b"sha256")];
        xml.open("data", &[("type", self.kind.as_bytes())]);
        xml.text("checksum", &sha256, self.checksum.as_bytes());
        if let Some(checksum) = &self.open_checksum {
            xml.text("open-checksum", &sha256, checksum.as_bytes());
        }
        xml.empty("location", &[("href", self.href.as_bytes())]);
        xml.text("timestamp", &[], self.timestamp.to_string().as_bytes());
        xml.text("size", &[], self.size.to_string().as_bytes());
        if let Some(size) = self.open_size {
            xml.text("open-size", &[], size.to_string().as_bytes());
        }
        xml.close("data");
    }
}
