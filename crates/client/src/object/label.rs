//! What a task is about, in the words that the stock client prints.

use toji_value::{Map, Value};

use super::Task;

impl Task {
    /// The method and what it is about, as the stock client shows it: `build (f43, bash-5.2.26-1.src.rpm)`.
    pub fn label(&self) -> String {
        let method = self.method();
        let about = about(method, &self.params()).filter(|about| !about.is_empty());
        let about = about.or_else(|| self.get("arch").as_str().map(str::to_owned));
        format!("{method} ({})", about.unwrap_or_default())
    }
}

/// What the parameters say of the purpose.
fn about(method: &str, params: &Map) -> Option<String> {
    let text = |name: &str| params.str(name).map(str::to_owned);
    let named = |name: &str| named(params.value(name));
    Some(match method {
        "build" | "maven" | "buildContainer" => {
            let source = text("src").or_else(|| text("url"))?;
            let target = named("target").or_else(|| named("build_tag"));
            format!("{}, {}", target.unwrap_or_else(|| "None".to_owned()), source_label(&source))
        }
        "winbuild" => format!("{}, {}", named("target")?, source_label(&text("source_url")?)),
        "buildSRPMFromSCM" => source_label(&text("url")?),
        "buildArch" => format!("{}, {}", last_part(&named("pkg")?), text("arch")?),
        "buildMaven" => named("build_tag")?,
        "wrapperRPM" => {
            let target = named("build_target")?;
            match build_label(params.value("build")) {
                Some(build) => format!("{target}, {build}"),
                None => target,
            }
        }
        "buildNotification" => build_label(params.value("build"))?,
        "newRepo" | "distRepo" => named("tag")?,
        "waitrepo" => {
            let builds = params.value("nvrs").as_array().unwrap_or_default().iter();
            let builds = builds.filter_map(Value::as_str).map(str::to_owned);
            std::iter::once(named("tag")?).chain(builds).collect::<Vec<_>>().join(", ")
        }
        "createrepo" => text("arch")?,
        "createdistrepo" => format!("{}, {}", params.value("repo_id").display(), text("arch")?),
        "chainbuild" | "chainmaven" => named("target")?,
        "restart" | "restartVerify" => named("host")?,
        "vmExec" => text("name")?,
        "dependantTask" => {
            let tasks = params.value("task_list").as_array()?.iter();
            let methods = tasks.filter_map(|task| task.as_array()?.first()?.as_str());
            methods.collect::<Vec<_>>().join(", ")
        }
        "indirectionimage" => {
            let opts = params.value("opts");
            ["name", "version", "release"].map(|part| opts.get(part).display()).join(", ")
        }
        "livecd" | "appliance" | "image" | "livemedia" => {
            let arches = ["arch", "arches"].map(|name| params.value(name));
            let arches = arches.into_iter().find(|arch| !arch.is_nil())?.display();
            let start = text("ksfile").or_else(|| text("inst_tree"))?;
            format!("{arches}, {}-{}, {start}", text("name")?, text("version")?)
        }
        "createLiveCD" | "createAppliance" | "createImage" | "createLiveMedia" => {
            let start = text("ksfile").or_else(|| text("inst_tree"))?;
            let image = ["name", "version", "release"].map(|part| params.value(part).display());
            format!("{}, {}, {start}, {}", named("target_info")?, image.join("-"), text("arch")?)
        }
        _ => return None,
    })
}

/// The name in a struct, or the name or number itself.
fn named(value: &Value) -> Option<String> {
    match value {
        Value::Struct(info) => info.str("name").map(str::to_owned),
        Value::Str(name) => Some(name.clone()),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Name-version-release of a build in a request.
fn build_label(build: &Value) -> Option<String> {
    let name = build.get("name").as_str().or_else(|| build.get("package_name").as_str())?;
    Some(format!("{name}-{}-{}", build.get("version").display(), build.get("release").display()))
}

/// A source in short: of a URL its path, the part below it if one is named, and the revision.
fn source_label(source: &str) -> String {
    let Some((_, rest)) = source.split_once("://") else { return last_part(source).to_owned() };
    let (place, revision) = rest.split_once('#').unwrap_or((rest, ""));
    let (place, module) = place.split_once('?').unwrap_or((place, ""));
    let path = place.find('/').map_or("", |at| &place[at..]);
    match module {
        "" => format!("{path}:{revision}"),
        module => format!("{path}:{module}:{revision}"),
    }
}

#[cfg(test)]
mod tests {
    use toji_value::{Map, Value, list, map};

    use super::*;
    use crate::{Client, Options};

    fn label(method: &str, request: Value) -> String {
        let client = Client::new("http://localhost/kojihub", Options::default()).unwrap();
        let info = map! { "method" => method, "request" => request, "arch" => "noarch" };
        Task::new(info, &client).label()
    }

    #[test]
    fn labels_are_those_of_the_stock_client() {
        let git = "git+https://src.example/rpms/bash?subdir#1234";
        assert_eq!(
            label("build", list![git, "f43", Map::new()]),
            "build (f43, /rpms/bash:subdir:1234)"
        );
        let upload = list!["cli-build/1.x/bash-5.2-1.src.rpm", "f43"];
        assert_eq!(label("build", upload), "build (f43, bash-5.2-1.src.rpm)");
        let arch = list!["tasks/1/bash-5.2-1.src.rpm", "f43-build", "x86_64", true, Map::new()];
        assert_eq!(label("buildArch", arch), "buildArch (bash-5.2-1.src.rpm, x86_64)");
        assert_eq!(label("newRepo", list![7]), "newRepo (7)");
        assert_eq!(label("newRepo", list![map! {"name" => "f43-build"}]), "newRepo (f43-build)");
        assert_eq!(label("sleep", list![3]), "sleep (noarch)");
        assert_eq!(label("build", Value::Nil), "build (noarch)");
    }
}
