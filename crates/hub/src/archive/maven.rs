//! Which Maven archives a tag offers.

use std::collections::{HashMap, HashSet};

use toji_db::archive as db;
use toji_value::{Fault, Map, Value};

use crate::Call;
use crate::package::{self, Question};
use crate::tag::{self, inherit};

/// The Maven archives of a tag, now or at an event.
///
/// Of each group and artifact the version counts that was tagged last, in the nearest tag; tags with
/// `maven_include_all` add the versions that are not there yet. All archives of one version come
/// from one build.
///
/// # Errors
/// When a tag of the inheritance does not exist at the event.
pub async fn in_tag(
    call: &mut Call,
    tag_id: i64,
    event: Option<i64>,
    inherits: bool,
) -> Result<Vec<Map>, Fault> {
    let question = Question {
        tag: Some(tag_id),
        event,
        inherit: true,
        with_owners: false,
        ..Question::default()
    };
    let listed = package::read(call, &question).await?;
    let allowed: HashSet<i64> =
        listed.into_iter().filter(|entry| !entry.blocked).map(|entry| entry.package_id).collect();
    let mut order = vec![tag_id];
    if inherits {
        let links = inherit::full(call, tag_id, event).await?;
        order.extend(links.into_iter().map(|link| link.parent_id));
    }
    let tags = tag::find_all(call, &order, event).await?;
    let mut by_tag: HashMap<i64, Vec<Map>> = HashMap::new();
    for row in db::maven_in_tags(&mut call.tx, &order, event).await? {
        by_tag.entry(row.get("tag_id")?).or_default().push(row.into_map());
    }
    let mut taken = Taken::default();
    let mut found = Vec::new();
    for id in order {
        let tag = tags.get(&id).ok_or_else(|| tag::missing(&Value::Int(id)))?;
        for archive in by_tag.remove(&id).unwrap_or_default() {
            let package = archive.int("pkg_id").unwrap_or_default();
            if allowed.contains(&package) && taken.takes(&archive, tag.config.maven_include_all) {
                found.push(archive);
            }
        }
    }
    Ok(found)
}

/// Versions of each group and artifact with their builds, and the archives taken so far.
#[derive(Default)]
struct Taken {
    versions: HashMap<(String, String), HashMap<String, i64>>,
    archives: HashSet<i64>,
}

impl Taken {
    fn takes(&mut self, archive: &Map, include_all: bool) -> bool {
        let text = |key: &str| archive.str(key).unwrap_or_default().to_owned();
        let build = archive.int("build_id").unwrap_or_default();
        let versions = self.versions.entry((text("group_id"), text("artifact_id"))).or_default();
        let wanted = match versions.get(&text("version")) {
            Some(known) => *known == build,
            None if versions.is_empty() || include_all => {
                versions.insert(text("version"), build);
                true
            }
            None => false,
        };
        wanted && self.archives.insert(archive.int("id").unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::Taken;
    use toji_value::map;

    #[test]
    fn one_build_for_each_version() {
        let archive = |id: i64, version: &str, build: i64| {
            map! {
                "id" => id, "group_id" => "g", "artifact_id" => "a", "version" => version,
                "build_id" => build,
            }
        };
        let mut taken = Taken::default();
        for (archive, all, want) in [
            (archive(1, "2", 20), false, true),
            (archive(2, "2", 20), false, true),
            (archive(2, "2", 20), true, false),
            (archive(3, "2", 21), true, false),
            (archive(4, "1", 10), false, false),
            (archive(4, "1", 10), true, true),
            (archive(5, "1", 11), true, false),
        ] {
            assert_eq!(taken.takes(&archive, all), want, "{archive:?} {all}");
        }
    }
}
