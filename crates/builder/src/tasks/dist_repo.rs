//! `distRepo`: makes a repository for distribution, with a child task for each arch.

use std::collections::BTreeSet;

use toji_client::args;
use toji_types::arch::canonical;
use toji_value::{Map, Value, map};

use super::{method, take, texts};
use crate::context::{Context, upload_dir};
use crate::failure::{Failure, Result};
use crate::wait::Wait;

method!("distRepo", 0.1, [tag, repo_id, keys, task_opts]);

async fn run(task: &Context, values: Vec<Value>) -> Result<Value> {
    let [tag, repo_id, keys, opts] = take(values)?;
    let mut opts = opts.as_struct().cloned().unwrap_or_default();
    let event = opts.value("event").clone();
    let info = task.call("getTag", args!(&tag; "strict" => true, "event" => event)).await?;
    let mut arches = texts(opts.value("arch"));
    if arches.is_empty() {
        let own = info.get("arches").as_str().unwrap_or_default();
        arches = own.split_whitespace().map(str::to_owned).collect();
        opts.insert("arch", arches.clone());
    }
    if arches.is_empty() {
        return Err(Failure::generic("No arches specified nor for the tag!"));
    }
    refuse_deltas(&opts)?;
    let all: BTreeSet<String> = arches.iter().map(|arch| canonical(arch).to_owned()).collect();
    let (wide, narrow): (Vec<String>, Vec<String>) =
        all.into_iter().partition(|arch| has_narrow_partner(arch));
    // The packages of 32 bits must be in their place before others choose among them.
    let rounds = match opts.truthy("multilib") {
        true => vec![narrow, wide],
        false => vec![narrow.into_iter().chain(wide).collect()],
    };
    for arches in rounds {
        let mut children = Vec::new();
        for arch in arches {
            let (tag, repo_id, keys) = (tag.clone(), repo_id.clone(), keys.clone());
            let args = vec![tag, repo_id, Value::from(&arch), keys, Value::Struct(opts.clone())];
            let options = map! { "label" => &arch, "arch" => "noarch" };
            children.push((task.subtask("createdistrepo", args, options).await?, arch));
        }
        let ids: Vec<i64> = children.iter().map(|(id, _)| *id).collect();
        task.wait(&ids, Wait::STRICT).await?;
        for (id, arch) in children {
            task.call("host.distRepoMove", (repo_id.clone(), upload_dir(id), arch)).await?;
        }
    }
    task.call("host.repoDone", (repo_id.clone(), Map::new())).await?;
    let text = format!("Dist repository #{} successfully generated", repo_id.display());
    Ok(text.into())
}

/// Whether packages of 32 bits can be beside those of an arch.
fn has_narrow_partner(arch: &str) -> bool {
    matches!(arch, "x86_64" | "ppc64" | "s390x" | "sparc64" | "sparc64v")
}

/// Delta packages are not passed over in silence: no distribution's dnf reads them any more.
fn refuse_deltas(opts: &Map) -> Result<()> {
    if opts.truthy("delta") {
        let text = "delta packages (--delta-rpms) are not made; nothing was published";
        return Err(Failure::generic(text));
    }
    Ok(())
}
