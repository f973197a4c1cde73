//! `maven`: the parent of a Maven build: the build itself, a package around it if wanted, import, tagging.

use toji_client::args;
use toji_value::{Default, Value, map};

use super::{method, need_listed, take};
use crate::context::{Context, int_of, text_of};
use crate::failure::{Failure, Result};

method!("maven", 0.2, [url, target, opts = Default::Nil]);

/// Options that the build itself is given.
const OPTIONS: [&str; 10] = [
    "goals",
    "profiles",
    "properties",
    "envs",
    "patches",
    "packages",
    "jvm_options",
    "maven_options",
    "deps",
    "scratch",
];

async fn run(task: &Context, values: Vec<Value>) -> Result<Value> {
    let [url, target, opts] = take(values)?;
    let info = task.call("getBuildTarget", (target.clone(),)).await?;
    if info.is_nil() {
        return Err(Failure::build(format!("unknown build target: {}", target.display())));
    }
    let tag = |key: &str| args!(info.get(key); "strict" => true);
    let dest = task.call("getTag", tag("dest_tag")).await?;
    let build_tag = task.call("getTag", tag("build_tag")).await?;
    let repo = repository(task, &build_tag, opts.get("repo_id")).await?;
    let mut given = map! {"repo_id" => repo};
    for name in OPTIONS {
        if opts.as_struct().is_some_and(|opts| opts.get(name).is_some()) {
            given.insert(name, opts.get(name).clone());
        }
    }
    let args = vec![url, build_tag, Value::Struct(given)];
    let made = child(task, "buildMaven", args, "build").await?;
    let scratch = opts.get("scratch").truthy();
    let skip_tag = opts.get("skip_tag").truthy();
    let build = if scratch { Value::Nil } else { begin(task, &made, &dest, skip_tag).await? };
    let hand_over = async {
        let wrapped = match opts.get("specfile") {
            spec if spec.truthy() => {
                let source = task.call("getTaskInfo", (made.get("task_id").clone(),)).await?;
                let options = Value::Struct(map! {"repo_id" => repo});
                let args = vec![spec.clone(), info.clone(), build.clone(), source, options];
                child(task, "wrapperRPM", args, "rpm").await?
            }
            _ => Value::Nil,
        };
        if scratch {
            let call = (task.id, made.clone(), wrapped);
            return task.call("host.moveMavenBuildToScratch", call).await;
        }
        let call = (task.id, int_of(&build, "id")?, made.clone(), wrapped);
        task.call("host.completeMavenBuild", call).await
    };
    if let Err(failure) = hand_over.await {
        if !scratch {
            task.call("host.failBuild", (task.id, int_of(&build, "id")?)).await?;
        }
        return Err(failure);
    }
    if !scratch && !skip_tag {
        super::tag(task, int_of(&dest, "id")?, int_of(&build, "id")?).await?;
    }
    Ok(Value::Nil)
}

async fn repository(task: &Context, tag: &Value, wanted: &Value) -> Result<i64> {
    if let Some(id) = wanted.as_int().filter(|id| *id != 0) {
        return Ok(id);
    }
    let repo = task.call("getRepo", (int_of(tag, "id")?,)).await?;
    if repo.is_nil() {
        return Err(Failure::build(format!("no repo for tag {}", text_of(tag, "name")?)));
    }
    int_of(&repo, "id")
}

/// Runs a child to its end; its result with its number.
async fn child(task: &Context, method: &str, args: Vec<Value>, label: &str) -> Result<Value> {
    let id = task.subtask(method, args, map! {"label" => label, "arch" => "noarch"}).await?;
    let mut result = task.wait_for(id).await?.as_struct().cloned().unwrap_or_default();
    result.insert("task_id", id);
    Ok(Value::Struct(result))
}

/// Begins the build that the artifact's group, name and version make.
async fn begin(task: &Context, made: &Value, dest: &Value, skip_tag: bool) -> Result<Value> {
    let info = made.get("maven_info");
    let version = text_of(info, "version")?;
    if version.ends_with("-SNAPSHOT") {
        return Err(Failure::build("-SNAPSHOT versions are only supported in scratch builds"));
    }
    let name = format!("{}-{}", text_of(info, "group_id")?, text_of(info, "artifact_id")?);
    if !skip_tag {
        let config = task.call("getPackageConfig", (int_of(dest, "id")?, name.as_str())).await?;
        need_listed(&config, &name, text_of(dest, "name")?)?;
    }
    let build = map! {
        "name" => name.as_str(),
        "version" => version.replace('-', "_"),
        "release" => Value::Nil,
        "epoch" => Value::Nil,
        "package_name" => name.as_str(),
    };
    task.call("host.initMavenBuild", (task.id, Value::Struct(build), info.clone())).await
}
