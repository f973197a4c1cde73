//! Bills of materials as SPDX 2.3 documents: what a build has made, and what it was made with.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{Digests, Error, Result};

/// A package for a document.
#[derive(Clone, Debug, Default)]
pub struct Package {
    /// Tells it from the others of the document.
    pub key: String,
    /// Name.
    pub name: String,
    /// `[epoch:]version-release`.
    pub version: String,
    /// File name, if it is a file.
    pub file: Option<String>,
    /// Package URL.
    pub purl: Option<String>,
    /// Where it is to be had.
    pub location: Option<String>,
    /// The packager's words; where they are no expression of SPDX, the document has them as a text of their own.
    pub license: Option<String>,
    /// What it is, in SPDX's words, as `CONTAINER`; nothing is said without it.
    pub purpose: Option<&'static str>,
    /// Who supplies it.
    pub supplier: Option<String>,
    /// `sha256` and the like.
    pub digests: Digests,
    /// What the packager says of it.
    pub summary: Option<String>,
}

/// How two packages of a document hang together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The second was made of the first.
    Generates,
    /// The first is a tool with which the second was made.
    BuildToolOf,
    /// The first has the second in it.
    Contains,
}

/// A bill of materials.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// Its name.
    pub name: String,
    /// A URI that no other document has.
    pub namespace: String,
    /// When it was made, as RFC 3339 has it, in UTC and without fractions.
    pub created: String,
    /// The program, as `name-version`.
    pub tool: String,
    /// All packages.
    pub packages: Vec<Package>,
    /// Keys of those that it is about.
    pub described: Vec<String>,
    /// Relations between keys.
    pub relations: Vec<(String, Relation, String)>,
}

/// One line of a document's `relationships`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    spdx_element_id: String,
    relationship_type: &'static str,
    related_spdx_element: String,
}

impl Document {
    /// The document as JSON.
    pub fn to_json(&self) -> Result<String> {
        let line = |one: String, relationship_type, other: String| Line {
            spdx_element_id: one,
            relationship_type,
            related_spdx_element: other,
        };
        let described = self.described.iter();
        let described =
            described.map(|key| line("SPDXRef-DOCUMENT".to_owned(), "DESCRIBES", id(key)));
        let related = self.relations.iter().map(|(one, relation, other)| {
            let kind = match relation {
                Relation::Generates => "GENERATES",
                Relation::BuildToolOf => "BUILD_TOOL_OF",
                Relation::Contains => "CONTAINS",
            };
            line(id(one), kind, id(other))
        });
        let lines: Vec<Line> = described.chain(related).collect();
        let form = |source| Error::Form { what: "an SPDX document", source };
        let mut others = BTreeMap::new();
        let mut document = json!({
            "spdxVersion": "SPDX-2.3",
            "dataLicense": "CC0-1.0",
            "SPDXID": "SPDXRef-DOCUMENT",
            "name": self.name,
            "documentNamespace": self.namespace,
            "creationInfo": {"created": self.created, "creators": [format!("Tool: {}", self.tool)]},
            "packages": self.packages.iter().map(|one| package(one, &mut others)).collect::<Vec<_>>(),
            "hasExtractedLicensingInfos": extracted(&others),
            "relationships": serde_json::to_value(lines).map_err(form)?,
        });
        if let Some(members) = document.as_object_mut().filter(|_| others.is_empty()) {
            members.remove("hasExtractedLicensingInfos");
        }
        serde_json::to_string(&document).map(|text| text + "\n").map_err(form)
    }
}

/// The words of packagers that are no expressions of SPDX, by the names that they have here.
type Others = BTreeMap<String, String>;

fn extracted(others: &Others) -> Vec<Value> {
    let one = |(id, text): (&String, &String)| json!({"licenseId": id, "extractedText": text});
    others.iter().map(one).collect()
}

/// What is declared: an expression, or the name of the packager's words.
fn license(words: &str, others: &mut Others) -> String {
    if let Some(expression) = expression(words) {
        return expression;
    }
    let id = format!("LicenseRef-{}", hex::encode(&Sha256::digest(words)[..6]));
    others.insert(id.clone(), words.to_owned());
    id
}

fn package(package: &Package, others: &mut Others) -> Value {
    let words = package.license.as_deref().filter(|words| !words.trim().is_empty());
    let mut out = json!({
        "SPDXID": id(&package.key),
        "name": package.name,
        "downloadLocation": package.location.as_deref().unwrap_or("NOASSERTION"),
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": words.map_or_else(|| "NOASSERTION".to_owned(), |words| license(words, others)),
        "copyrightText": "NOASSERTION",
    });
    let mut set = |key: &str, value: Value| out[key] = value;
    if !package.version.is_empty() {
        set("versionInfo", package.version.clone().into());
    }
    if let Some(file) = &package.file {
        set("packageFileName", file.clone().into());
    }
    if let Some(supplier) = &package.supplier {
        set("supplier", format!("Organization: {supplier}").into());
    }
    if let Some(purpose) = package.purpose {
        set("primaryPackagePurpose", purpose.into());
    }
    if let Some(summary) = &package.summary {
        set("summary", summary.clone().into());
    }
    if let Some(purl) = &package.purl {
        let reference = json!({
            "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl,
        });
        set("externalRefs", json!([reference]));
    }
    let sums: Vec<Value> = package
        .digests
        .iter()
        .filter_map(|(kind, digest)| {
            let name = match kind.as_str() {
                "md5" => "MD5",
                "sha1" => "SHA1",
                "sha256" => "SHA256",
                "sha384" => "SHA384",
                "sha512" => "SHA512",
                _ => return None,
            };
            Some(json!({"algorithm": name, "checksumValue": digest}))
        })
        .collect();
    if !sums.is_empty() {
        set("checksums", sums.into());
    }
    out
}

/// The identifier of a key: letters, digits, dots and dashes.
fn id(key: &str) -> String {
    let mut out = "SPDXRef-Package-".to_owned();
    for c in key.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') {
            out.push(c);
        } else {
            // distinct keys stay distinct: no other text has such a number between dots
            out.push_str(&format!(".x{:x}.", u32::from(c)));
        }
    }
    out
}

/// Identifiers of SPDX's list of licences that packages often have.
const KNOWN: &[&str] = &[
    "0BSD",
    "AFL-2.1",
    "AGPL-3.0-only",
    "AGPL-3.0-or-later",
    "Apache-1.1",
    "Apache-2.0",
    "Artistic-1.0-Perl",
    "Artistic-2.0",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSD-4-Clause",
    "BSL-1.0",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "CC-BY-SA-3.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "CDDL-1.0",
    "CPL-1.0",
    "EPL-1.0",
    "EPL-2.0",
    "FSFAP",
    "FSFUL",
    "FSFULLR",
    "FTL",
    "GFDL-1.2-or-later",
    "GFDL-1.3-no-invariants-or-later",
    "GFDL-1.3-or-later",
    "GPL-1.0-or-later",
    "GPL-2.0-only",
    "GPL-2.0-or-later",
    "GPL-3.0-only",
    "GPL-3.0-or-later",
    "HPND",
    "ICU",
    "IJG",
    "ISC",
    "LGPL-2.0-only",
    "LGPL-2.0-or-later",
    "LGPL-2.1-only",
    "LGPL-2.1-or-later",
    "LGPL-3.0-only",
    "LGPL-3.0-or-later",
    "Libpng",
    "LPPL-1.3c",
    "MIT",
    "MIT-0",
    "MPL-1.1",
    "MPL-2.0",
    "MS-PL",
    "NCSA",
    "OFL-1.1",
    "OLDAP-2.8",
    "OpenSSL",
    "PHP-3.01",
    "PostgreSQL",
    "PSF-2.0",
    "Python-2.0",
    "Ruby",
    "SISSL",
    "TCL",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Vim",
    "W3C",
    "WTFPL",
    "X11",
    "Zlib",
    "ZPL-2.1",
    "bzip2-1.0.6",
    "curl",
    "blessing",
    "libtiff",
];

/// The expression if it is one of SPDX: known identifiers with AND, OR and parentheses.
fn expression(words: &str) -> Option<String> {
    let spaced = words.replace('(', " ( ").replace(')', " ) ");
    let (mut depth, mut wants) = (0u32, true);
    for token in spaced.split_whitespace() {
        match (token, wants) {
            ("(", true) => depth += 1,
            (")", false) => depth = depth.checked_sub(1)?,
            ("AND" | "OR", false) => wants = true,
            (name, true) if KNOWN.contains(&name) => wants = false,
            _ => return None,
        }
    }
    (depth == 0 && !wants).then(|| words.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn identifiers_are_legal_and_distinct() {
        let keys = ["libstdc++", "libstdc+", "a_b", "a-b", "a:b", "1"];
        let ids: BTreeSet<String> = keys.iter().map(|key| id(key)).collect();
        assert_eq!(ids.len(), keys.len());
        let legal = |id: &String| id.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c));
        assert!(ids.iter().all(legal), "{ids:?}");
    }

    #[test]
    fn only_expressions_of_spdx_are_licenses() {
        let good = ["MIT", "MIT AND  Zlib", "(MIT OR GPL-2.0-only) AND MIT"];
        for words in good {
            assert!(expression(words).is_some(), "{words}");
        }
        for words in ["GPLv2+", "MIT and MIT", "MIT MIT", "MIT AND", "(MIT", "MIT)", "", "AND MIT"]
        {
            assert!(expression(words).is_none(), "{words}");
        }
    }

    #[test]
    fn documents_have_what_the_standard_wants() {
        let package = |key: &str| Package {
            key: key.to_owned(),
            name: key.to_owned(),
            digests: Digests::from([("sha256".to_owned(), "aa".to_owned())]),
            ..Package::default()
        };
        let document = Document {
            name: "n".to_owned(),
            packages: vec![
                Package { license: Some("MIT".to_owned()), ..package("a") },
                Package { license: Some("as is".to_owned()), ..package("b") },
            ],
            described: vec!["a".to_owned()],
            relations: vec![("b".to_owned(), Relation::BuildToolOf, "a".to_owned())],
            ..Document::default()
        };
        let text: Value = serde_json::from_str(&document.to_json().unwrap()).unwrap();
        assert_eq!(text["packages"][0]["checksums"][0]["algorithm"], "SHA256");
        assert_eq!(text["packages"][1]["downloadLocation"], "NOASSERTION");
        assert_eq!(text["packages"][0]["licenseDeclared"], "MIT");
        let other = &text["hasExtractedLicensingInfos"][0];
        assert_eq!(other["extractedText"], "as is");
        assert_eq!(other["licenseId"], text["packages"][1]["licenseDeclared"]);
        let lines = text["relationships"].as_array().unwrap();
        assert_eq!(lines[0]["spdxElementId"], "SPDXRef-DOCUMENT");
        assert_eq!(lines[1]["relatedSpdxElement"], "SPDXRef-Package-a");
    }
}
