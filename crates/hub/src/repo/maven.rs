//! The Maven part of a tag's repository: links to the builds' directories, and what lists the versions.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use toji_store::{Algorithm, Hasher};
use toji_types::PathInfo;
use toji_types::evr::compare_segments;
use toji_types::path::{BuildRef, MavenRef};
use toji_value::{Fault, Map};

use crate::Call;
use crate::archive::maven;

/// What lists the versions of an artifact.
const METADATA: &str = "maven-metadata.xml";

/// Directories of artifacts, by group and artifact.
pub(super) struct Artifacts {
    all: BTreeMap<(String, String), BTreeSet<Version>>,
    /// Seconds since 1970.
    now: f64,
}

/// A version of an artifact.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    version: String,
    /// Its directory, relative to Koji's top directory.
    place: String,
}

/// What a tag offers at an event.
///
/// # Errors
/// When the hub has no Maven support.
pub(super) async fn gather(call: &mut Call, tag: i64, event: i64) -> Result<Artifacts, Fault> {
    if !call.hub.config.enable_maven {
        return Err(Fault::generic("Maven support not enabled"));
    }
    let mut all: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for archive in maven::in_tag(call, tag, Some(event), true).await? {
        let text = |key: &str| archive.str(key).unwrap_or_default().to_owned();
        let (group, artifact, version) = (text("group_id"), text("artifact_id"), text("version"));
        // What was imported by others than the hub may have any name.
        let plain = |name: &str| !name.contains('/') && !["", ".", ".."].contains(&name);
        if !plain(&artifact) || !plain(&version) || !group.split('.').all(plain) {
            continue;
        }
        let place = place(&archive, &group, &artifact, &version);
        all.entry((group, artifact)).or_default().insert(Version { version, place });
    }
    Ok(Artifacts { all, now: call.now() })
}

fn place(archive: &Map, group_id: &str, artifact_id: &str, version: &str) -> String {
    let text = |key: &str| archive.str(key).unwrap_or_default();
    let build = BuildRef {
        volume: Some(text("volume_name")),
        name: text("build_name"),
        version: text("build_version"),
        release: text("build_release"),
    };
    let paths = PathInfo::new("");
    let own = paths.mavenrepo(MavenRef { group_id, artifact_id, version });
    format!("{}/{own}", paths.typedir(build, "maven").trim_start_matches('/'))
}

impl Artifacts {
    /// Writes the directory `maven` of a repository.
    pub(super) fn write(&self, repository: &Path) -> std::io::Result<()> {
        let top = repository.join("maven");
        std::fs::create_dir_all(&top)?;
        for ((group, artifact), versions) in &self.all {
            let relative = PathBuf::from(group.replace('.', "/")).join(artifact);
            let dir = top.join(&relative);
            std::fs::create_dir_all(&dir)?;
            // repos/TAG/ID/maven/GROUP/ARTIFACT
            let up: PathBuf =
                std::iter::repeat_n("..", 4 + relative.components().count()).collect();
            let mut sorted: Vec<&str> = Vec::new();
            for Version { version, place } in versions {
                symlink(up.join(place), dir.join(version))?;
                sorted.push(version);
            }
            sorted.sort_by(|a, b| compare_segments(a, b));
            let text = self.metadata(group, artifact, &sorted);
            for (end, algorithm) in [("md5", Algorithm::Md5), ("sha1", Algorithm::Sha1)] {
                let mut sum = Hasher::new(algorithm);
                sum.update(text.as_bytes());
                std::fs::write(dir.join(format!("{METADATA}.{end}")), sum.finish())?;
            }
            std::fs::write(dir.join(METADATA), text)?;
        }
        Ok(())
    }

    /// The list of versions, the last of which is the latest.
    fn metadata(&self, group: &str, artifact: &str, versions: &[&str]) -> String {
        let latest = escaped(versions.last().copied().unwrap_or_default());
        let versions: String = versions
            .iter()
            .map(|version| format!("<version>{}</version>", escaped(version)))
            .collect();
        format!(
            "<?xml version=\"1.0\"?>\n<metadata><groupId>{}</groupId><artifactId>{}</artifactId><versioning>\
             <latest>{latest}</latest><release>{latest}</release><versions>{versions}</versions>\
             <lastUpdated>{}</lastUpdated></versioning></metadata>\n",
            escaped(group),
            escaped(artifact),
            stamp(self.now),
        )
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Year to second as digits, in UTC.
fn stamp(now: f64) -> String {
    let seconds = now as i64;
    let (year, month, day) = toji_types::calendar::date_of(seconds.div_euclid(86_400));
    let rest = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_links_and_listed() {
        let version = |text: &str| Version {
            version: text.to_owned(),
            place: format!("packages/o-a/{text}/1/maven/org/x/a/{text}"),
        };
        let versions = BTreeSet::from([version("1.10"), version("1.9")]);
        let key = ("org.x".to_owned(), "a".to_owned());
        let artifacts = Artifacts { all: BTreeMap::from([(key, versions)]), now: 1_000_000_000.0 };
        let top = tempfile::tempdir().unwrap();
        let repository = top.path().join("repos/t/5");
        artifacts.write(&repository).unwrap();
        let real = top.path().join("packages/o-a/1.9/1/maven/org/x/a/1.9");
        std::fs::create_dir_all(&real).unwrap();
        std::fs::write(real.join("a.pom"), "x").unwrap();
        let dir = repository.join("maven/org/x/a");
        assert_eq!(std::fs::read_to_string(dir.join("1.9/a.pom")).unwrap(), "x");
        let text = std::fs::read_to_string(dir.join(METADATA)).unwrap();
        assert!(text.contains("<latest>1.10</latest>"), "{text}");
        assert!(text.contains("<version>1.9</version><version>1.10</version>"), "{text}");
        assert!(text.contains("<lastUpdated>20010909014640</lastUpdated>"), "{text}");
        assert_eq!(std::fs::read(dir.join("maven-metadata.xml.sha1")).unwrap().len(), 40);
    }
}
