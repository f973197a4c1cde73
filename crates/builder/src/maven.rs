//! What Maven is told, and what it leaves: settings, command line, the lists of artifacts.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use toji_types::path::BuildRef;
use toji_types::{Nvr, PathInfo, glob_match_any};
use toji_value::{Map, Value, map};

use crate::failure::{Failure, Result};
use crate::tasks::texts;

/// The directories of a build, as seen inside.
pub(crate) const PLACE: &str = "/builddir/maven";
/// Maven's own repository and settings, relative to the home directory inside.
pub(crate) const OWN: &str = ".m2";
/// The archive of the sources as they were checked out.
pub(crate) const SOURCES: &str = "scm-sources.zip";
/// The archive of the patches.
pub(crate) const PATCHES: &str = "patches.zip";
/// How much memory Java may take where a build does not say so.
const MEMORY: &str = "-Xmx2048m";

/// Where Maven fetches from and where it puts what it made.
pub(crate) struct Settings<'s> {
    pub(crate) task: i64,
    /// The URL of the hub's files.
    pub(crate) topurl: &'s str,
    pub(crate) tag: &'s str,
    pub(crate) repo_id: i64,
    /// Builds by NVR and tasks by number, whose output comes before the repository's.
    pub(crate) deps: &'s Value,
}

impl Settings<'_> {
    /// The text of `settings.xml`: the tag's repository stands for all others.
    ///
    /// # Errors
    /// For a dependency that is neither a task nor an NVR.
    pub(crate) fn text(&self) -> Result<String> {
        let Settings { task, tag, repo_id, .. } = self;
        let files = PathInfo::new(self.topurl);
        let url = format!("{}/maven", files.repo(*repo_id, tag));
        let (mut mirrors, mut own, mut plugins) = ("*".to_owned(), String::new(), String::new());
        for dep in self.deps.as_array().unwrap_or_default() {
            let (id, entry) = repository(&files, dep)?;
            write!(mirrors, ",!{id}").map_err(Failure::local("write the settings"))?;
            own.push_str(&element("repository", &entry));
            plugins.push_str(&element("pluginRepository", &entry));
        }
        let mut profile = element("id", &format!("koji-task-{task}"));
        let place = format!("koji-output::default::file://{PLACE}/output");
        profile.push_str(&element("properties", &element("altDeploymentRepository", &place)));
        if !own.is_empty() {
            profile.push_str(&element("repositories", &own));
            profile.push_str(&element("pluginRepositories", &plugins));
        }
        let mirror = [
            element("id", &text(&format!("koji-maven-repo-{tag}-{repo_id}"))),
            element("url", &text(&url)),
            element("mirrorOf", &text(&mirrors)),
        ]
        .concat();
        let settings = [
            element("interactiveMode", "false"),
            element("mirrors", &element("mirror", &mirror)),
            element("profiles", &element("profile", &profile)),
            element("activeProfiles", &element("activeProfile", &format!("koji-task-{task}"))),
        ]
        .concat();
        Ok(format!(
            "<settings xmlns=\"http://maven.apache.org/SETTINGS/1.0.0\">{settings}</settings>\n"
        ))
    }
}

/// Id and inner text of the repository that is the output of a build or of a task.
fn repository(files: &PathInfo, dep: &Value) -> Result<(String, String)> {
    let (kind, url, snapshots) = match (dep.as_int(), dep.as_str()) {
        (Some(task), _) => ("task", files.task(task, None), true),
        (None, Some(nvr)) => {
            let nvr = Nvr::parse(nvr).map_err(Failure::local("find a dependency"))?;
            let build = BuildRef {
                name: &nvr.name,
                version: &nvr.version,
                release: &nvr.release,
                volume: None,
            };
            ("build", files.typedir(build, "maven"), false)
        }
        _ => return Err(Failure::build(format!("not a dependency: {}", dep.repr()))),
    };
    let id = text(&format!("koji-{kind}-{}-repo", dep.display()));
    let policy = |enabled: bool| {
        let enabled = if enabled { "true" } else { "false" };
        [
            element("enabled", enabled),
            element("updatePolicy", "never"),
            element("checksumPolicy", "fail"),
        ]
        .concat()
    };
    let entry = [
        element("id", &id),
        element("url", &text(&url)),
        element("layout", "default"),
        element("releases", &policy(true)),
        element("snapshots", &policy(snapshots)),
    ];
    Ok((id, entry.concat()))
}

fn element(name: &str, inner: &str) -> String {
    format!("<{name}>{inner}</{name}>\n")
}

fn text(plain: &str) -> String {
    plain.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The command: strict about checksums, with the options of the task, `deploy` last.
pub(crate) fn command(opts: &Value) -> Vec<String> {
    let mut java = texts(opts.get("jvm_options"));
    if !java.iter().any(|option| option.starts_with("-Xmx")) {
        java.push(MEMORY.to_owned());
    }
    let mut words = vec!["env".to_owned(), format!("MAVEN_OPTS={}", java.join(" "))];
    for (name, value) in members(opts.get("envs")) {
        words.push(format!("{name}={}", value.display()));
    }
    words.extend(["mvn", "-B", "-C"].map(str::to_owned));
    words.extend(texts(opts.get("maven_options")));
    let profiles = texts(opts.get("profiles"));
    if !profiles.is_empty() {
        words.push(format!("-P{}", profiles.join(",")));
    }
    for (name, value) in members(opts.get("properties")) {
        words.push(match value {
            Value::Nil => format!("-D{name}"),
            value => format!("-D{name}={}", value.display()),
        });
    }
    words.extend(texts(opts.get("goals")));
    words.push("deploy".to_owned());
    words
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_struct().into_iter().flat_map(Map::iter)
}

/// The project file that Maven's options name.
///
/// # Errors
/// For an option without its file.
pub(crate) fn project_file(options: &[String]) -> Result<&str> {
    for (at, option) in options.iter().enumerate() {
        if option == "-f" || option == "--file" {
            let lacks = || Failure::build(format!("{option} option requires a file path"));
            return options.get(at + 1).map(String::as_str).ok_or_else(lacks);
        }
        if let Some((_, file)) =
            option.split_once('=').filter(|(name, _)| ["-f", "--file"].contains(name))
        {
            return Ok(file);
        }
        if let Some(file) = option.strip_prefix("-f") {
            return Ok(file);
        }
    }
    Ok("pom.xml")
}

/// The artifacts of a local repository, a directory each: group, artifact and version, and the files.
///
/// # Errors
/// For a file that is not where Maven keeps such.
pub(crate) fn artifacts(dir: &Path, ignore: &[String]) -> Result<Vec<Value>> {
    let unreadable = || Failure::local::<io::Error>("read Maven's repository");
    let mut found: Vec<(String, Vec<Value>)> = Vec::new();
    for path in toji_sandbox::results::list(dir).map_err(unreadable())? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let parent = path.parent().unwrap_or(Path::new("")).display().to_string();
        let whole = path.display().to_string();
        let ignored = [&name, &whole].into_iter().any(|text| glob_match_any(text, ignore));
        if ignored || (parent.is_empty() && [SOURCES, PATCHES].contains(&name.as_str())) {
            continue;
        }
        let size = std::fs::symlink_metadata(dir.join(&path)).map_err(unreadable())?.len();
        let file = Value::Struct(map! {
            "path" => parent.as_str(),
            "filename" => name,
            "size" => i64::try_from(size).unwrap_or(i64::MAX),
        });
        match found.last_mut() {
            Some((last, files)) if *last == parent => files.push(file),
            _ => found.push((parent, vec![file])),
        }
    }
    found.into_iter().map(artifact).collect()
}

fn artifact((path, files): (String, Vec<Value>)) -> Result<Value> {
    let parts: Vec<&str> = path.split('/').collect();
    let [group @ .., artifact, version] = parts.as_slice() else {
        return Err(misplaced(&path, &files));
    };
    if group.is_empty() {
        return Err(misplaced(&path, &files));
    }
    let info = Value::Struct(map! {
        "group_id" => group.join("."),
        "artifact_id" => *artifact,
        "version" => *version,
    });
    Ok(Value::Struct(map! {"maven_info" => info, "files" => files}))
}

fn misplaced(path: &str, files: &[Value]) -> Failure {
    let names: Vec<String> = files.iter().map(|file| file.get("filename").display()).collect();
    Failure::buildroot(format!(
        "files found in unexpected path in local Maven repo, directory: {path}, files: {}",
        names.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use toji_value::list;

    use super::*;

    #[test]
    fn the_command_has_the_options_of_the_task() {
        let opts = Value::Struct(map! {
            "jvm_options" => list!["-Xms1m"],
            "envs" => Value::Struct(map! {"A" => "b"}),
            "profiles" => list!["x", "y"],
            "properties" => Value::Struct(map! {"flag" => Value::Nil, "n" => 1}),
            "goals" => list!["clean"],
            "maven_options" => list!["-e"],
        });
        let words = command(&opts).join(" ");
        let wanted =
            "env MAVEN_OPTS=-Xms1m -Xmx2048m A=b mvn -B -C -e -Px,y -Dflag -Dn=1 clean deploy";
        assert_eq!(words, wanted);
    }

    #[test]
    fn the_project_file_is_found_among_the_options() {
        let file = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            project_file(&words).map(str::to_owned).ok()
        };
        assert_eq!(file(&[]).as_deref(), Some("pom.xml"));
        assert_eq!(file(&["-e", "-f", "a/pom.xml"]).as_deref(), Some("a/pom.xml"));
        assert_eq!(file(&["--file=b.xml"]).as_deref(), Some("b.xml"));
        assert_eq!(file(&["-fc.xml"]).as_deref(), Some("c.xml"));
        assert_eq!(file(&["--file"]), None);
    }

    #[test]
    fn artifacts_are_told_by_their_places() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["org/example/a/1/a-1.jar", "org/example/a/1/a-1.jar.md5", "scm-sources.zip"] {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        let ignore = ["*.md5".to_owned()];
        let found = artifacts(dir.path(), &ignore).unwrap_or_default();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].get("maven_info").get("group_id").as_str(), Some("org.example"));
        assert_eq!(found[0].get("files").as_array().map(<[Value]>::len), Some(1));
        std::fs::write(dir.path().join("lost"), "x").unwrap();
        assert!(artifacts(dir.path(), &ignore).is_err());
    }

    #[test]
    fn the_repository_stands_for_all_but_the_dependencies() {
        let deps = list!["a-1-2", 77];
        let settings =
            Settings { task: 5, topurl: "http://h/files", tag: "t", repo_id: 3, deps: &deps };
        let text = settings.text().unwrap_or_default();
        for part in [
            "<mirrorOf>*,!koji-build-a-1-2-repo,!koji-task-77-repo</mirrorOf>",
            "<url>http://h/files/repos/t/3/maven</url>",
            "<url>http://h/files/packages/a/1/2/maven</url>",
            "koji-output::default::file:///builddir/maven/output",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
