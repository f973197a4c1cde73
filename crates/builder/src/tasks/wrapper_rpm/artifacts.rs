//! What a wrapper is about: the files of a task or of a build, and what a template is told of them.

use std::path::Path;

use toji_client::{Download, args};
use toji_types::path::{BuildRef, MavenRef};
use toji_types::{BuildState, PathInfo};
use toji_value::{Map, Value, map};

use super::template::file_name;
use crate::context::{Context, int_of, text_of};
use crate::failure::{Failure, Result};

/// Tasks of images, whose results are a name, a version and a release.
const IMAGES: [&str; 4] = ["createLiveCD", "createAppliance", "createImage", "createLiveMedia"];

/// The files, and what is said of them.
#[derive(Default)]
pub(super) struct Artifacts {
    /// For each end of a name the names.
    by_end: Map,
    names: Vec<Value>,
    /// With their places as templates see them.
    places: Vec<Value>,
    /// Below the hub's published files.
    paths: Vec<String>,
}

impl Artifacts {
    /// Names what a task has made; logs do not count.
    pub(super) async fn of_task(task: &Context, id: i64) -> Result<Artifacts> {
        let asked = args!(id; "all_volumes" => true);
        let output = task.call("listTaskOutput", asked).await?;
        let (mut found, files) = (Artifacts::default(), PathInfo::new(""));
        for (path, volumes) in output.as_struct().into_iter().flat_map(Map::iter) {
            let name = file_name(Path::new(path));
            if end_of(&name) == ".log" {
                continue;
            }
            for volume in volumes.as_array().unwrap_or_default() {
                let place = format!("{}/{path}", files.task(id, volume.as_str()));
                let place = place.trim_start_matches('/').to_owned();
                found.add(&name, place.clone(), place);
            }
        }
        Ok(found)
    }

    /// Names the archives of a finished build.
    pub(super) async fn of_build(
        task: &Context,
        build: &Value,
        kind: &'static str,
    ) -> Result<Artifacts> {
        let asked = args!(; "buildID" => int_of(build, "id")?, "type" => kind);
        let archives = task.call("listArchives", asked).await?;
        let (mut found, files) = (Artifacts::default(), PathInfo::new(""));
        let dir = files.typedir(
            BuildRef {
                name: text_of(build, "name")?,
                version: text_of(build, "version")?,
                release: text_of(build, "release")?,
                volume: build.get("volume_name").as_str(),
            },
            kind,
        );
        for archive in archives.as_array().unwrap_or_default() {
            let name = text_of(archive, "filename")?;
            let place = match kind {
                "maven" => {
                    let maven = MavenRef {
                        group_id: text_of(archive, "group_id")?,
                        artifact_id: text_of(archive, "artifact_id")?,
                        version: text_of(archive, "version")?,
                    };
                    files.mavenfile(maven, name)
                }
                "win" => files.winfile(archive.get("relpath").as_str(), name),
                _ => name.to_owned(),
            };
            let path = format!("{dir}/{place}").trim_start_matches('/').to_owned();
            found.add(name, place, path);
        }
        Ok(found)
    }

    fn add(&mut self, name: &str, place: String, path: String) {
        let end = end_of(name);
        let mut list = self.by_end.get(end).and_then(Value::as_array).unwrap_or_default().to_vec();
        list.push(name.into());
        self.by_end.insert(end.to_owned(), list);
        self.names.push(name.into());
        self.places.push(place.into());
        self.paths.push(path);
    }

    /// Whether there is nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Puts what a template is told of the files among its values.
    pub(super) fn tell(&self, values: &mut Map) {
        values.insert("artifacts", self.by_end.clone());
        values.insert("all_artifacts", self.names.clone());
        values.insert("all_artifacts_with_path", self.places.clone());
    }

    /// Fetches the files into a directory; names that are taken get their path in front.
    pub(super) async fn fetch(&self, task: &Context, dir: &Path) -> Result<()> {
        for path in &self.paths {
            let plain = dir.join(file_name(Path::new(path)));
            let to = if plain.exists() { dir.join(path.replace('/', "-")) } else { plain };
            let what = Download { url: path, ..Download::default() };
            task.hub.download(&what, &to).await?;
        }
        Ok(())
    }
}

/// The end of a name with its dot, as Python's `splitext` sees it.
fn end_of(name: &str) -> &str {
    let start = name.len() - name.trim_start_matches('.').len();
    name[start..].rfind('.').map_or("", |at| &name[start + at..])
}

/// A build with what its type knows of it.
pub(super) struct Typed {
    pub(super) kind: &'static str,
    info: Value,
}

impl Typed {
    /// The type of a build that can have a wrapper.
    pub(super) async fn of(task: &Context, build: &Value) -> Result<Typed> {
        let id = int_of(build, "id")?;
        for (kind, call) in
            [("maven", "getMavenBuild"), ("win", "getWinBuild"), ("image", "getImageBuild")]
        {
            let info = task.call(call, args!(id; "strict" => false)).await?;
            if !info.is_nil() {
                return Ok(Typed { kind, info });
            }
        }
        Err(Failure::build("unsupported build type"))
    }

    /// Puts what a template is told of the build among its values.
    pub(super) fn tell(&self, build: &Value, values: &mut Map) {
        copy(build, values);
        values.insert(format!("{}_info", self.kind), self.info.clone());
    }
}

/// Refuses a build that is not complete.
pub(super) fn need_complete(build: &Value) -> Result<()> {
    if build.get("state").as_int() == Some(BuildState::Complete as i64) {
        return Ok(());
    }
    Err(Failure::build("cannot call wrapperRPM on a build that did not complete successfully"))
}

/// What a template is told where there is no build yet: the result of the task.
pub(super) async fn tell_result(task: &Context, source: &Value, values: &mut Map) -> Result<()> {
    let method = text_of(source, "method")?;
    let result = task.call("getTaskResult", (int_of(source, "id")?,)).await?;
    match method {
        "buildMaven" => {
            let info = result.get("maven_info");
            let (group, artifact) = (text_of(info, "group_id")?, text_of(info, "artifact_id")?);
            let nvr = map! {
                "epoch" => Value::Nil,
                "name" => format!("{group}-{artifact}"),
                "version" => text_of(info, "version")?.replace('-', "_"),
                "release" => "0.scratch",
            };
            values.extend(nvr);
            values.insert("maven_info", info);
        }
        "vmExec" => {
            copy(&result, values);
            values.insert("win_info", map! {"platform" => result.get("platform")});
        }
        image if IMAGES.contains(&image) => copy(&result, values),
        other => return Err(Failure::build(format!("no wrapper for the output of {other}"))),
    }
    Ok(())
}

fn copy(from: &Value, values: &mut Map) {
    for key in ["epoch", "name", "version", "release"] {
        values.insert(key, from.get(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_pythons() {
        for (name, end) in [
            ("a-1.0.jar", ".jar"),
            ("x.tar.gz", ".gz"),
            ("none", ""),
            (".hidden", ""),
            ("..a.b", ".b"),
        ] {
            assert_eq!(end_of(name), end, "{name}");
        }
    }

    #[test]
    fn files_are_told_by_their_ends() {
        let mut found = Artifacts::default();
        found.add("a.jar", "org/a.jar".to_owned(), "packages/org/a.jar".to_owned());
        found.add("b.jar", "org/b.jar".to_owned(), "packages/org/b.jar".to_owned());
        let mut values = Map::new();
        found.tell(&mut values);
        let names = toji_value::list!["a.jar", "b.jar"];
        assert_eq!(values.value("artifacts").get(".jar"), &names);
        assert_eq!(values.value("all_artifacts"), &names);
        assert_eq!(
            values.value("all_artifacts_with_path"),
            &toji_value::list!["org/a.jar", "org/b.jar"]
        );
    }
}
