//! In-toto statements (version 1) with SLSA provenance (version 1).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Error, Result};

/// The type of statements.
pub const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// The type of their content.
pub const PREDICATE: &str = "https://slsa.dev/provenance/v1";
/// The digest of an RPM's main header, which signatures of the package do not change.
pub const RPM_HEADER: &str = "rpmHeaderSha256";

/// Digests of one thing by algorithm, in hexadecimal.
pub type Digests = BTreeMap<String, String>;

/// What is said of some files.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    /// [`STATEMENT`].
    #[serde(rename = "_type")]
    pub kind: String,
    /// The files.
    pub subject: Vec<Resource>,
    /// [`PREDICATE`].
    pub predicate_type: String,
    /// How they came about.
    pub predicate: Provenance,
}

/// A file, a source, a package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Its digests.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digest: Digests,
    /// Where it was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download_location: Option<String>,
    /// Its media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What else there is to say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, Value>,
}

/// SLSA's provenance.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    /// What was to be built.
    pub build_definition: Definition,
    /// How it went.
    pub run_details: Run,
}

/// The inputs of a build.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Definition {
    /// Says what the parameters mean.
    pub build_type: String,
    /// What the submitter asked for.
    pub external_parameters: BTreeMap<String, Value>,
    /// What the system added.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub internal_parameters: BTreeMap<String, Value>,
    /// Sources, lockfiles and packages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolved_dependencies: Vec<Resource>,
}

/// The run of a build.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// Who answers for it.
    pub builder: Builder,
    /// Which run it was.
    pub metadata: Metadata,
    /// What came out beside the subjects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub byproducts: Vec<Resource>,
}

/// The system that built.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Builder {
    /// A URI.
    pub id: String,
    /// Versions of its parts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub version: BTreeMap<String, String>,
}

/// Which run, and when.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// A URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocation_id: Option<String>,
    /// As RFC 3339 has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_on: Option<String>,
    /// As RFC 3339 has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_on: Option<String>,
    /// The tasks: an extension field, as SLSA wants such to be named.
    #[serde(default, rename = "toji_tasks", skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<Value>,
}

impl Statement {
    /// A statement about these files.
    pub fn new(subject: Vec<Resource>, predicate: Provenance) -> Self {
        let (kind, predicate_type) = (STATEMENT.to_owned(), PREDICATE.to_owned());
        Self { kind, subject, predicate_type, predicate }
    }

    /// Reads the payload of an envelope that was opened.
    pub fn parse(payload: &[u8]) -> Result<Self> {
        let read: Self = serde_json::from_slice(payload)
            .map_err(|source| Error::Form { what: "a statement with SLSA provenance", source })?;
        for (what, found, wanted) in
            [("statement", &read.kind, STATEMENT), ("predicate", &read.predicate_type, PREDICATE)]
        {
            if found != wanted {
                return Err(Error::Kind { what, found: found.clone(), wanted });
            }
        }
        Ok(read)
    }

    /// The statement as JSON.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|source| Error::Form { what: "a statement", source })
    }

    /// The subject that a file with these digests is; a subject fits if the strongest digest that both have is the same.
    pub fn subject(&self, digests: &Digests) -> Option<&Resource> {
        const STRONG: [&str; 2] = ["sha256", RPM_HEADER];
        self.subject.iter().find(|subject| {
            STRONG.iter().any(|kind| {
                let theirs = subject.digest.get(*kind);
                theirs.is_some() && theirs == digests.get(*kind)
            })
        })
    }
}

/// A package URL of an RPM.
pub fn purl(name: &str, version: &str, release: &str, epoch: i64, arch: &str) -> String {
    let (name, version, release) = (escape(name), escape(version), escape(release));
    let epoch = if epoch == 0 { String::new() } else { format!("&epoch={epoch}") };
    format!("pkg:rpm/{name}@{version}-{release}?arch={arch}{epoch}")
}

/// Percent-encodes what package URLs do not allow.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digests(pairs: &[(&str, &str)]) -> Digests {
        pairs.iter().map(|(kind, digest)| (kind.to_string(), digest.to_string())).collect()
    }

    fn statement() -> Statement {
        let subject = Resource {
            name: Some("a.rpm".to_owned()),
            digest: digests(&[("sha256", "aa"), (RPM_HEADER, "bb"), ("md5", "cc")]),
            ..Resource::default()
        };
        let definition = Definition {
            build_type: "b".to_owned(),
            external_parameters: BTreeMap::new(),
            internal_parameters: BTreeMap::new(),
            resolved_dependencies: Vec::new(),
        };
        let builder = Builder { id: "i".to_owned(), version: BTreeMap::new() };
        let run = Run { builder, metadata: Metadata::default(), byproducts: Vec::new() };
        Statement::new(vec![subject], Provenance { build_definition: definition, run_details: run })
    }

    #[test]
    fn subjects_are_found_by_strong_digests() {
        let read = Statement::parse(&statement().to_json().unwrap()).unwrap();
        for (found, pairs) in [
            (true, [("sha256", "aa"), ("md5", "x")]),
            (true, [("sha256", "changed by a signature"), (RPM_HEADER, "bb")]),
            (false, [("sha256", "bb"), ("md5", "cc")]),
            (false, [("sha256", "x"), (RPM_HEADER, "aa")]),
        ] {
            assert_eq!(read.subject(&digests(&pairs)).is_some(), found, "{pairs:?}");
        }
    }

    #[test]
    fn other_documents_are_no_statements() {
        let mut other = statement();
        other.predicate_type = "https://slsa.dev/provenance/v0.2".to_owned();
        assert!(matches!(
            Statement::parse(&other.to_json().unwrap()),
            Err(Error::Kind { what: "predicate", .. })
        ));
        assert!(matches!(Statement::parse(b"[]"), Err(Error::Form { .. })));
    }

    #[test]
    fn package_urls() {
        assert_eq!(purl("a", "1", "2", 0, "noarch"), "pkg:rpm/a@1-2?arch=noarch");
        let odd = purl("libstdc++", "1^x", "2~y", 3, "x86_64");
        assert_eq!(odd, "pkg:rpm/libstdc%2B%2B@1%5Ex-2~y?arch=x86_64&epoch=3");
    }
}
