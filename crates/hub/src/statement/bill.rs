//! From the facts about a build to its bill of materials: what was made, and what it was made with.

use std::collections::BTreeSet;

use toji_attest::spdx::{Document, Package, Relation};
use toji_attest::{Digests, Error};

use super::compose::rfc3339;
use super::gather::Facts;
use super::write::Seen;

/// The bill as JSON; the same for the same facts.
pub(super) fn bill(facts: &Facts, seen: &[Seen], web_url: &str) -> Result<String, Error> {
    let build = &facts.build;
    let completed = build.shown.value("completion_ts").as_f64().and_then(rfc3339);
    let mut out = Document {
        name: build.nvr(),
        namespace: format!(
            "{}/buildinfo?buildID={}&sbom={}",
            web_url.trim_end_matches('/'),
            build.id,
            // another content is another document
            contents(seen),
        ),
        created: completed.unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned()),
        tool: format!("toji-{}", env!("CARGO_PKG_VERSION")),
        ..Document::default()
    };
    let mut used: BTreeSet<i64> = BTreeSet::new();
    for (rpm, seen) in facts.rpms.iter().zip(seen) {
        let key = format!("result.{}", rpm.file);
        out.described.push(key.clone());
        if let Some(root) = rpm.buildroot {
            used.insert(root);
            out.relations.push((buildroot(root), Relation::BuildToolOf, key.clone()));
        }
        out.packages.push(Package {
            key,
            name: rpm.name.clone(),
            version: rpm.version.clone(),
            file: Some(rpm.file.clone()),
            purl: Some(rpm.purl.clone()),
            license: seen.license.clone(),
            supplier: seen.vendor.clone(),
            summary: seen.summary.clone(),
            digests: Digests::from([("sha256".to_owned(), seen.sha256.clone())]),
            ..Package::default()
        });
    }
    let source = facts.rpms.iter().find(|rpm| matches!(rpm.arch.as_str(), "src" | "nosrc"));
    if let Some(source) = source {
        let made = facts.rpms.iter().filter(|rpm| rpm.file != source.file);
        let (from, to) = (format!("result.{}", source.file), Relation::Generates);
        let lines = made.map(|rpm| (from.clone(), to, format!("result.{}", rpm.file)));
        out.relations.extend(lines.collect::<Vec<_>>());
    }
    for archive in &facts.archives {
        let key = format!("archive.{}", archive.file);
        if let Some(root) = archive.buildroot {
            used.insert(root);
            out.relations.push((buildroot(root), Relation::BuildToolOf, key.clone()));
        }
        out.described.push(key.clone());
        let (file, digests) = (Some(archive.file.clone()), archive.digests.clone());
        out.packages.push(Package {
            key,
            name: archive.file.clone(),
            version: build.nvr(),
            file,
            digests,
            ..Package::default()
        });
    }
    add_buildroots(facts, &used, &mut out);
    out.to_json()
}

fn buildroot(id: i64) -> String {
    format!("buildroot.{id}")
}

/// The buildroots in which files were made, with the packages in them.
fn add_buildroots(facts: &Facts, used: &BTreeSet<i64>, out: &mut Document) {
    for root in &facts.buildroots {
        let Some(id) = root.value("id").as_int().filter(|id| used.contains(id)) else { continue };
        out.packages.push(Package {
            key: buildroot(id),
            name: format!("buildroot-{id}"),
            version: root.str("arch").unwrap_or_default().to_owned(),
            purpose: Some("CONTAINER"),
            ..Package::default()
        });
    }
    for (number, one) in facts.components.iter().enumerate() {
        let inside: Vec<i64> = one.buildroots.intersection(used).copied().collect();
        if inside.is_empty() {
            continue;
        }
        let key = format!("tool.{number}.{}", one.name);
        let lines = inside.into_iter().map(|id| (buildroot(id), Relation::Contains, key.clone()));
        out.relations.extend(lines);
        out.packages.push(Package {
            key,
            name: one.name.clone(),
            version: one.version.clone(),
            purl: Some(one.purl.clone()),
            location: one.location.clone(),
            digests: one.digests.clone(),
            ..Package::default()
        });
    }
}

/// A digest of all files.
fn contents(seen: &[Seen]) -> String {
    use sha2::{Digest as _, Sha256};
    let all = seen.iter().fold(Sha256::new(), |hash, seen| hash.chain_update(&seen.sha256));
    hex::encode(all.finalize())
}
