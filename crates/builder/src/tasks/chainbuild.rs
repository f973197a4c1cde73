//! `chainbuild`: builds several packages in levels, each with what the levels before have made.

use toji_client::args;
use toji_value::{Default, Value, map};

use super::{method, take, texts};
use crate::context::{Context, text_of};
use crate::failure::{Failure, Result};
use crate::scm::is_scm_url;
use crate::wait::Wait;

method!("chainbuild", 0.1, [srcs, target, opts = Default::Nil]);

async fn run(task: &Context, values: Vec<Value>) -> Result<Value> {
    let [srcs, target, opts] = take(values)?;
    if opts.get("scratch").truthy() {
        return Err(Failure::build("--scratch is not allowed with chain-builds"));
    }
    let info = task.call("getBuildTarget", (target.clone(),)).await?;
    if info.is_nil() {
        return Err(Failure::generic(format!("unknown build target: {}", target.display())));
    }
    let build_tag = text_of(&info, "build_tag_name")?;
    let mut nvrs: Vec<Value> = Vec::new();
    for (level, sources) in srcs.as_array().unwrap_or_default().iter().enumerate() {
        if !nvrs.is_empty() {
            let args = vec![build_tag.into(), Value::Nil, Value::Array(std::mem::take(&mut nvrs))];
            let label = format!("wait {level}");
            let wait = task.subtask("waitrepo", args, map! {"label" => label}).await?;
            task.wait(&[wait], Wait::STRICT).await?;
        }
        let mut builds = Vec::new();
        for (n, source) in texts(sources).into_iter().enumerate() {
            if !is_scm_url(&source) {
                nvrs.push(source.into());
                continue;
            }
            let args = vec![source.into(), target.clone(), opts.clone()];
            let label = format!("build {level},{n}");
            builds.push(task.subtask("build", args, map! {"label" => label}).await?);
        }
        if !builds.is_empty() {
            task.wait(&builds, Wait::STRICT).await?;
        }
        for id in builds {
            let made = task.call("listBuilds", args!(; "taskID" => id)).await?;
            let first = made.as_array().and_then(|made| made.first());
            nvrs.extend(first.map(|build| build.get("nvr").clone()));
        }
    }
    Ok(Value::Nil)
}
