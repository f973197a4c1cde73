//! `newRepo`: makes a repository of a tag, with a child task for each arch.

use std::collections::BTreeSet;

use toji_client::args;
use toji_types::arch::canonical;
use toji_value::{Default, Map, Value, map};

use super::{method, take};
use crate::context::{Context, int, int_of};
use crate::failure::{Failure, Result};
use crate::wait::Wait;

method!(
    "newRepo",
    0.1,
    [
        tag,
        event = Default::Nil,
        src = Default::Nil,
        debuginfo = Default::Nil,
        separate_src = Default::Nil,
        opts = Default::Nil,
    ]
);

async fn run(task: &Context, values: Vec<Value>) -> Result<Value> {
    let [tag, event, src, debuginfo, separate_src, mut opts] = take(values)?;
    let tag = task.call("getTag", args!(tag; "strict" => true, "event" => &event)).await?;
    let old = [("src", src), ("debuginfo", debuginfo), ("separate_src", separate_src)];
    let old = old.into_iter().filter(|(_, value)| !value.is_nil());
    let old: Map = old.map(|(key, value)| (key.into(), Value::Bool(value.truthy()))).collect();
    if !old.is_empty() {
        if !opts.is_nil() {
            let text = "opts parameter cannot be combined with legacy options";
            return Err(toji_value::Fault::parameter(text).into());
        }
        opts = Value::Struct(old);
    }
    let mut init = args!(int_of(&tag, "id")?; "opts" => opts, "task_id" => task.id);
    if !event.is_nil() {
        init.keywords.insert("event", event);
    }
    let made = task.call("host.repoInit", init).await?;
    let Some([repo_id, event_id]) = made.as_array() else {
        return Err(Failure::generic(format!("host.repoInit answered {}", made.repr())));
    };
    let repo_id = int("host.repoInit", repo_id.clone())?;
    let data = arches(task, &tag, repo_id, event_id).await?;
    task.call("host.repoDone", (repo_id, data)).await?;
    Ok(Value::Array(vec![Value::Int(repo_id), event_id.clone()]))
}

/// Runs a child task for each arch; the result has what each made.
async fn arches(task: &Context, tag: &Value, repo_id: i64, event: &Value) -> Result<Map> {
    let config = task.call("getTag", args!(tag.get("id"); "event" => event)).await?;
    let repo = task.call("repoInfo", args!(repo_id; "strict" => true)).await?;
    let list = config.get("arches").as_str().unwrap_or_default();
    let mut arches: BTreeSet<&str> = list.split_whitespace().map(canonical).collect();
    if repo.get("opts").get("separate_src").truthy() {
        arches.insert("src");
    }
    let mut tasks = Vec::new();
    for arch in arches {
        let args = vec![Value::Int(repo_id), arch.into(), Value::Nil];
        // The label names the repository too: a task that begins anew makes another one, and must
        // not find a child that fills the one of its earlier life.
        let options = map! {"label" => format!("{arch} of {repo_id}"), "arch" => "noarch"};
        tasks.push((arch, task.subtask("createrepo", args, options).await?));
    }
    let mut data = Map::new();
    if tasks.is_empty() {
        return Ok(data);
    }
    let ids: Vec<i64> = tasks.iter().map(|(_, id)| *id).collect();
    let mut results = task.wait(&ids, Wait::STRICT).await?;
    for (arch, id) in tasks {
        data.insert(arch.to_owned(), results.remove(&id).unwrap_or_default());
    }
    Ok(data)
}
